"""Writes a sequence as a C program that runs on the host and prints what each call gave.

So that a divergence can be looked at without this project.  Called by run.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pkern.userland.conform.calls import NR_FILES, Call, Kind

_SYSCALL = {
    Kind.MMAP: "SYS_mmap",
    Kind.MUNMAP: "SYS_munmap",
    Kind.MPROTECT: "SYS_mprotect",
    Kind.MREMAP: "SYS_mremap",
    Kind.MADVISE: "SYS_madvise",
    Kind.FTRUNCATE: "SYS_ftruncate",
    Kind.MSYNC: "SYS_msync",
    Kind.MINCORE: "SYS_mincore",
    Kind.MLOCK: "SYS_mlock",
    Kind.MUNLOCK: "SYS_munlock",
    Kind.MLOCK2: "SYS_mlock2",
}
_FILES = ("f0", "f1", "f2", "f0_readonly")


def c_program(calls: Sequence[Call], title: str) -> str:
    """Return the source text; compile it with gcc -static -no-pie -O1."""
    template = Path(__file__).with_name("program.c").read_text()
    body = "\n".join(f"\t{_statement(call)}" for call in calls)
    return template.replace("TITLE", title).replace("\t/* CALLS */", body)


def _statement(call: Call) -> str:
    args = [_number(value) for value in call.args]
    match call.kind:
        case Kind.LOAD:
            return f"LOAD({args[0]});"
        case Kind.STORE:
            return f"STORE({args[0]}, {args[1]});"
        case Kind.PREAD:
            return f"PREAD({_file(call.args[0])}, {args[1]});"
        case Kind.PWRITE:
            return f"PWRITE({_file(call.args[0])}, {args[1]}, {args[2]});"
        case Kind.MMAP:
            args[4] = f"(long){_file(call.args[4])}"
        case Kind.FTRUNCATE:
            args[0] = f"(long){_file(call.args[0])}"
        case Kind.MINCORE:
            args.append("scratch")
        case _:
            pass
    return f"CALL({_SYSCALL[call.kind]}, {', '.join(args)});"


def _number(value: int) -> str:
    return f"{value & ((1 << 64) - 1):#x}ul"


def _file(slot: int) -> str:
    return _FILES[slot] if slot < NR_FILES else "-1"
