"""strace's own format for the calls of a task.

Tracing wraps handlers when it is switched on, so it costs nothing while off.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pkern.kernel.errors import SyscallError
from pkern.syscalls.strace.decode import map_text, names
from pkern.syscalls.strace.flags import PROT

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

Handler = Callable[..., Any]
MAX_BYTES = 32


def _prot(value: int) -> str:
    return names(value, PROT, "PROT_NONE")


def _address(value: int) -> str:
    return hex(value) if value else "NULL"


def _value(value: Any) -> str:
    if isinstance(value, str):
        return '"' + value.replace('"', '\\"') + '"'
    if isinstance(value, bytes):
        text = "".join(
            chr(b) if 32 <= b < 127 and b != 34 else f"\\{b:o}" for b in value[:MAX_BYTES]
        )
        return f'"{text}"' + ("..." if len(value) > MAX_BYTES else "")
    return str(value)


# Call -> how each argument is printed; calls that are not here print plainly.
FORMATS: dict[str, tuple[Callable[[Any], str], ...]] = {
    "mmap": (_address, _value, _prot, map_text, _value, hex),
    "munmap": (_address, _value),
    "mprotect": (_address, _value, _prot),
    "mremap": (_address, _value, _value, _value, _address),
    "brk": (_address,),
    "remap_file_pages": (_address, _value, _prot, _value, _value, _value),
    "madvise": (_address, _value, _value),
    "msync": (_address, _value, _value),
    "mlock": (_address, _value),
    "munlock": (_address, _value),
}
ADDRESS_RESULT = frozenset({"mmap", "mremap", "brk"})


def format_call(name: str, args: tuple[Any, ...]) -> str:
    """Return `name(arg, ...)` as strace prints it."""
    formats = FORMATS.get(name, ())
    shown = [
        (formats[i] if i < len(formats) else _value)(argument) for i, argument in enumerate(args)
    ]
    return f"{name}({', '.join(shown)})"


def format_result(name: str, result: Any) -> str:
    """Return what stands after ` = `."""
    if isinstance(result, bytes):
        return str(len(result))
    return hex(result) if name in ADDRESS_RESULT and isinstance(result, int) else str(result)


def traced(name: str, handler: Handler, emit: Callable[[str], None]) -> Handler:
    """Return a handler that emits one line a call, in strace's format."""

    def wrapper(task: Task, *args: Any) -> Any:
        try:
            result = handler(task, *args)
        except SyscallError as error:
            number = error.errno or 0
            code = errno.errorcode.get(number, str(number))
            emit(f"{format_call(name, args)} = -1 {code} ({error.strerror})")
            raise
        emit(f"{format_call(name, args)} = {format_result(name, result)}")
        return result

    return wrapper
