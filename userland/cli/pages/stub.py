"""userland/calls.pyi: the calls and constants of Sys as type checkers and editors read them.

Written from the same table that makes the methods (userland/binding.py), docstrings included.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Callable, Iterator
from typing import Any

from pkern.userland.binding import CONSTANTS, SHOWN_TYPES, Parameter, handlers, parameters
from pkern.userland.calls import OWN_FORMS

PATH = "userland/calls.pyi"
HOMES = {"Action": "pkern.kernel.tasks.signal.signals"}  # of aliases that a form's module imports
HEAD = '''\
# Written by `make docs` from the code: edit the handlers in syscalls/, not this file.
"""The calls and constants of Sys."""

import os
from typing import Any, Final, TypeAlias

{imports}

StrPath: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]
Data: TypeAlias = bytes | bytearray | memoryview

OWN_FORMS: frozenset[str]

class Calls:
    """Every system call by its name, and every constant of Linux's headers that they take."""

    task: Task
'''


def stub() -> str:
    """Return the whole text of userland/calls.pyi."""
    forms = {name: form for name, form in sorted(handlers().items()) if name not in OWN_FORMS}
    imports = {("pkern.kernel.tasks.task", "Task")}
    for form in forms.values():
        imports |= set(_imports(form))
    lines = [f"from {module} import {name}" for module, name in sorted(imports)]
    text = HEAD.format(imports="\n".join(lines))
    text += "".join(f"    {name}: Final = {_value(v)}\n" for name, v in sorted(CONSTANTS.items()))
    return text + "".join(_method(name, form) for name, form in forms.items())


def _value(value: int) -> str:
    return hex(value) if value > 9 else str(value)


def _method(name: str, form: Callable[..., Any]) -> str:
    takes = ", ".join(["self", *(_parameter(p) for p in parameters(name, form))])
    returns = form.__annotations__["return"]
    return f"\n    def {name}({takes}) -> {returns}:{_docstring(form)}"


def _docstring(form: Callable[..., Any]) -> str:
    lines = (form.__doc__ or "").strip().splitlines()
    body = "\n".join(f"        {line.strip()}".rstrip() for line in lines[1:])
    return f'\n        """{lines[0]}' + (f'\n{body}\n        """\n' if body else '"""\n')


def _parameter(parameter: Parameter) -> str:
    kind = SHOWN_TYPES.get(parameter.annotation, parameter.annotation)
    default = f" = {parameter.default[0]!r}" if parameter.default else ""
    return f"{parameter.name}: {kind}{default}"


def _imports(form: Callable[..., Any]) -> Iterator[tuple[str, str]]:
    """Yield (module, name) of each type that a form's annotations name."""
    room: Any = sys.modules[form.__module__]
    for key, annotation in form.__annotations__.items():
        for node in ast.walk(ast.parse(annotation)) if key != "task" else ():
            if isinstance(node, ast.Name) and node.id != "Any" and not hasattr(builtins, node.id):
                home = getattr(getattr(room, node.id), "__module__", "")
                own = home if home.startswith("pkern.") else form.__module__
                yield HOMES.get(node.id, own), node.id
