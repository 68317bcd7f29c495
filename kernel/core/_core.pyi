"""The compiled core, as the type checker sees it: its types are core_api.h's."""

from typing import Any

ffi: Any
lib: Any
