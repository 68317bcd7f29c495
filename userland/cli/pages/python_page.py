"""docs/python.md: the reference of what a Python program has, written from the code.

The story at the top is python_story.md beside this; a test runs its examples. Below it stand each
call's signature, its handler's docstring and an example with what it gives, run while the page is
written.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pkern
from pkern.syscalls import TABLE
from pkern.userland.binding import CONSTANTS, handlers
from pkern.userland.cli.pages.call_examples import EXAMPLES, PRELUDE
from pkern.userland.program import Sys

STORY = Path(__file__).parent / "python_story.md"
# Where handlers stand -> the chapter's title, in the page's order.
CHAPTERS = {
    "memory.mman": "Memory",
    "memory.heap": "Memory: the heap",
    "memory.protection": "Memory: protection",
    "memory.process_vm": "Memory of other processes",
    "memory.policy": "Memory policy: nodes",
    "memory.shm": "Shared memory of System V",
    "memory.swap": "Swap",
    "ipc.sem": "Semaphores of System V",
    "ipc.msg": "Message queues of System V",
    "ipc.mqueue": "Message queues of POSIX",
    "memory.userfaultfd": "Faults that a program serves",
    "files.read_write": "Files: open, read, write",
    "files.paths": "Files: names and directories",
    "files.links": "Files: where links lead",
    "files.stat": "Files: what they are and who may",
    "files.statx": "Files: what their file systems tell",
    "files.sizes": "Files: sizes and caches",
    "files.fcntl": "Descriptors",
    "files.pidfd": "Descriptors of processes",
    "files.pipes": "Pipes",
    "files.splice": "From descriptor to descriptor",
    "files.xattr": "Extended attributes",
    "files.fileattr": "Attributes of chattr",
    "files.mounts": "Mounts",
    "files.fscontext": "Mounts: file systems made in steps",
    "files.mount_tree": "Mounts: trees that descriptors hold",
    "files.statmount": "Mounts: what they are like",
    "files.inotify": "Watching files",
    "files.poll": "Waiting for descriptors",
    "files.epoll": "epoll",
    "files.timerfd": "Timers that are files",
    "files.eventfd": "Counters that are files",
    "io_uring.calls": "Calls by rings: programs in machine code",
    "io_uring.registers": "Calls by rings: what a ring is given",
    "net.sockets": "Sockets",
    "net.messages": "Sockets: sending and receiving",
    "net.options": "Sockets: options",
    "tasks.clone": "Processes: birth",
    "tasks.namespaces": "Namespaces",
    "tasks.execve": "Processes: another program",
    "tasks.death": "Processes: death",
    "tasks.waiting": "Processes: waiting",
    "tasks.limits": "Processes: limits",
    "tasks.process": "Processes: numbers and more",
    "tasks.jobs": "Processes: groups and sessions",
    "tasks.threads": "Threads: what the kernel is told",
    "tasks.ids": "Who one is",
    "tasks.sched": "Scheduling",
    "tasks.prctl": "prctl",
    "tasks.signals": "Signals",
    "tasks.signalfd": "Signals that are read",
    "tasks.pidfd": "Signals through descriptors of processes",
    "tasks.timers": "Timers",
    "tasks.posix_timers": "Timers of POSIX",
    "tasks.time": "Time",
    "tasks.futex": "Futexes",
    "tasks.futex2": "Futexes of 2023: a call each",
    "tasks.seccomp": "Giving up system calls",
    "tasks.segments": "Segments of the processor",
    "tasks.ptrace": "ptrace",
    "info": "The machine",
    "entropy": "Random bytes",
}
OWN_EXAMPLES = {
    "pid": "sys.pid",
    "load": "sys.load(addr, 4)",
    "store": "sys.store(addr, b'abcd'); sys.load(addr, 4)",
    "touch": "sys.touch(addr, 2 * PAGE); sys.getrusage().ru_minflt",
    "fork": "child = sys.fork(); child.store(addr, b'x'); sys.load(addr, 1)",
    "exit": "child.exit(3); sys.wait4(child.pid)",
    "strace": "sys.strace(print); sys.munmap(addr, PAGE)",
    "syscall": "sys.syscall(11, 1, PAGE)",
    "on_userfault": (
        "ufd = sys.userfaultfd(); sys.on_userfault(ufd, lambda message: print(message[0]))"
    ),
    "pkey_get": "sys.pkey_get(0)",
    "pkey_set": "sys.pkey_set(1, sys.PKEY_DISABLE_WRITE); sys.pkey_get(1)",
}
PUBLIC = ("Kernel", "run", "Completed", "Task", "Vma", "Signal", "SigInfo", "LogRecord")
ERRORS = (
    *("SyscallError", "MemoryFault", "SegmentationFault", "BusError", "TaskKilled"),
    *("KernelPanic", "Deadlock", "KernelBug"),
)
KERNEL_MEMBERS = (
    "spawn",
    "fail_nth",
    "fail_pending",
    "run_out",
    "fail_io",
    "io_pending",
    "check",
    "close",
)
Emit = Callable[[str], object]


# ---- examples ----


def run_example(code: str) -> list[str]:
    """Return a line of example as a console shows it: each statement, and what it gives."""
    names: dict[str, Any] = {}
    exec(PRELUDE, names)
    shown: list[str] = []
    names["print"] = lambda *texts: shown.append(" ".join(map(str, texts)))
    try:
        for statement in ast.parse(code).body:
            shown.append(f">>> {ast.get_source_segment(code, statement)}")
            _run_statement(statement, names, shown.append)
        return shown
    finally:
        names["kernel"].close()


def _run_statement(statement: ast.stmt, names: dict[str, Any], emit: Emit) -> None:
    try:
        if not isinstance(statement, ast.Expr):
            exec(compile(ast.Module([statement], []), "<example>", "exec"), names)
            return
        value = eval(compile(ast.Expression(statement.value), "<example>", "eval"), names)
        if value is not None:
            emit(repr(value))
    except (OSError, pkern.MemoryFault) as error:
        emit(f"{type(error).__name__}: {error}")


def _example(code: str) -> str:
    return "```\n" + "\n".join(run_example(code)) + "\n```\n"


# ---- entries ----


def _docstring(thing: Any) -> str:
    return inspect.cleandoc(thing.__doc__ or "")


def _entry(name: str, thing: Any, code: str, note: str = "") -> str:
    shown = f"({_without_self(thing)}" if callable(thing) else ""
    text = f"### {name}\n\n`{name}{shown}`\n\n{_docstring(thing)}\n{note}"
    return f"{text}\n{_example(code)}" if code else text


def _without_self(function: Any) -> str:
    """Return a signature's text behind its first bracket, without self and without quotes."""
    signature = inspect.signature(function)
    takes = [p for p in signature.parameters.values() if p.name != "self"]
    text = re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(signature.replace(parameters=takes))[1:])
    return re.sub(r"(mode: int = )([1-9]\d*)", lambda found: f"{found[1]}{int(found[2]):#o}", text)


def _call_entry(name: str) -> str:
    partly = {call.name: call.partly for call in TABLE.values()}.get(name, "")
    note = f"\nNot done: {partly}.\n" if partly else ""
    return _entry(name, getattr(Sys, name), EXAMPLES.get(name, ""), note)


def chapter_of(form: Callable[..., Any]) -> str:
    """Return the key in CHAPTERS of a call's handler."""
    return form.__module__.removeprefix("pkern.syscalls.")


def _calls() -> Iterator[str]:
    forms = handlers()
    for room, title in CHAPTERS.items():
        names = [name for name, form in forms.items() if chapter_of(form) == room]
        yield f"## {title}\n"
        yield from (_call_entry(name) for name in sorted(names) if name not in OWN_EXAMPLES)


def _own() -> Iterator[str]:
    yield "## What sys has beside Linux's calls\n"
    for name, code in OWN_EXAMPLES.items():
        yield _entry(name, inspect.getattr_static(Sys, name), code)


def _public() -> Iterator[str]:
    yield "## The package\n"
    for name in PUBLIC:
        thing = getattr(pkern, name)
        yield _entry(name, thing if name in ("Kernel", "run") else _Plain(thing), "")
        if name == "Kernel":
            for member in KERNEL_MEMBERS:
                yield _entry(f"Kernel.{member}", inspect.getattr_static(thing, member), "")
    yield "## Errors\n"
    for name in ERRORS:
        yield _entry(name, _Plain(getattr(pkern, name)), "")


class _Plain:
    """A class that a program does not call: its docstring only."""

    def __init__(self, thing: type) -> None:
        self.__doc__ = thing.__doc__


def _results() -> Iterator[str]:
    yield "## What calls return\n"
    seen = {}
    for form in handlers().values():
        kind = getattr(sys.modules[form.__module__], form.__annotations__["return"], None)
        if isinstance(kind, type):
            seen[kind.__name__] = kind
    for name, kind in sorted(seen.items()):
        names = list(getattr(kind, "__annotations__", {})) or list(getattr(kind, "_fields", ()))
        yield f"### {name}\n\n{_docstring(kind)}\n\nFields: {', '.join(f'`{n}`' for n in names)}.\n"


def _constants() -> Iterator[str]:
    yield "## Constants\n"
    families: dict[str, list[str]] = {}
    for name in sorted(CONSTANTS):
        first = re.match(r"[A-Z0-9]+_", name)
        families.setdefault(first[0] if first else "others", []).append(name)
    yield "Those of Linux's headers on x86-64; numbers and all names: userland/calls.pyi.\n"
    for family, names in families.items():
        yield f"* {family}: {', '.join(f'`{name}`' for name in names)}"
    yield ""


def page() -> str:
    """Return the text of docs/python.md, without the mark of generated pages."""
    parts = [STORY.read_text(), *_own(), "# The calls\n", *_calls(), *_results(), *_public()]
    return "\n".join([*parts, *_constants()])
