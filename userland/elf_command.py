"""`pkern run PROGRAM` and `pkern shell`: programs in machine code from the command line.

Owns how the machine's root is filled and what is printed when the program has ended.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from kernel.errors import KernelPanic, SyscallError
from kernel.machine import Kernel
from kernel.processor import ProcessorUnavailable
from kernel.scheduler import Deadlock, EngineError
from kernel.vfs.console import HostInput, Stream, Terminal, host_sink
from kernel.vfs.hostfs import HostFs
from userland.cpu import CpuUnavailable
from userland.machine_code import (
    STDERR,
    STDIN,
    STDOUT,
    Stdio,
    put_program,
    run_machine_code,
)
from userland.options import UsageError, boot, existing

SHELL_HELP = """\
busybox's shell, or another static program, runs on the terminal; leave it with exit or control-D.

examples:
  pkern shell
  pkern shell --sysctl vm.nonlinear=1 --uid 1000
"""
BUSYBOX = Path("/bin/busybox")
FAILED, SIGNALLED = 1, 128


# ---- the machine's root ----


def _interpreter(program: Path) -> Path | None:
    """Return the interpreter that a script of the host names, if that is what the file is."""
    with program.open("rb") as file:
        head = file.read(256)
    words = head[2:].split(b"\n")[0].split() if head.startswith(b"#!") else []
    return Path(os.fsdecode(words[0])) if words else None


def _bring(kernel: Kernel, program: Path) -> None:
    """Copy a program of the host, and a script's interpreter, to the same paths of the machine."""
    put_program(kernel, program, str(program))
    interpreter = _interpreter(program)
    if interpreter is not None and interpreter.is_file():
        put_program(kernel, interpreter, str(interpreter))


def fill_root(kernel: Kernel, name: str, root: str | None) -> str:
    """Make the machine's root and return the program's path in it.

    root: a host directory, or None for a root in memory that holds the host's program.
    """
    if root is not None:
        if not Path(root).is_dir():
            raise UsageError(f"'{root}' is not a directory of the host")
        kernel.vfs.set_root(HostFs(root))
        return name
    program = existing(name).absolute()
    _bring(kernel, program)
    return str(program)


# ---- descriptors ----


def _input(kernel: Kernel, data: bytes | None) -> Stream:
    return HostInput(kernel, STDIN) if data is None else Stream(kernel, data)


def _descriptors(kernel: Kernel, data: bytes | None) -> Stdio:
    """Return the host's descriptors; its terminal stays one. data: what stdin holds instead."""
    if data is None and os.isatty(STDIN):
        terminal = Terminal(kernel, STDIN, host_sink(STDOUT))
        kernel.vfs.add_device("tty", terminal)
        out = terminal if os.isatty(STDOUT) else Stream(kernel, b"", host_sink(STDOUT))
        err = terminal if os.isatty(STDERR) else Stream(kernel, b"", host_sink(STDERR))
        return Stdio(terminal, out, err)
    return Stdio(
        _input(kernel, data),
        Stream(kernel, b"", host_sink(STDOUT)),
        Stream(kernel, b"", host_sink(STDERR)),
    )


# ---- running ----


def _run(
    kernel: Kernel, path: str, argv: list[str], stdio: Stdio, uid: int, cwd: str | None = None
) -> int:
    """Run and return the exit status as a shell gives it."""
    try:
        status = run_machine_code(kernel, path, argv, stdio=stdio, uid=uid, cwd=cwd)
    except (CpuUnavailable, ProcessorUnavailable) as error:
        raise UsageError(str(error)) from error
    except SyscallError as error:
        print(f"pkern: cannot execute '{path}': {error.strerror}", file=sys.stderr)
        return FAILED
    except (Deadlock, EngineError, KernelPanic) as error:
        print(f"pkern: {error}", file=sys.stderr)
        return FAILED
    finally:
        if isinstance(stdio.stdin, Terminal):
            stdio.stdin.restore()
    return SIGNALLED + (status & 0x7F) if status & 0x7F else status >> 8


def run(options: argparse.Namespace, caps: frozenset[str] | None) -> int:
    """Run a program in machine code and return its exit status, 128+n for signal n."""
    if options.file == "--" and options.arguments:
        options.file, options.arguments = options.arguments[0], options.arguments[1:]
    with boot(options) as kernel:
        path = fill_root(kernel, options.file, options.root)
        stdio = _descriptors(kernel, None)
        argv = [options.file, *options.arguments]
        cwd = None if options.root else os.getcwd()  # so that relative names mean the same
        status = _run(kernel, path, argv, stdio, options.uid, cwd)
        if options.dmesg:
            print("\n".join(kernel.log.lines()))
    return status


def shell(options: argparse.Namespace) -> int:
    """Run a shell on the terminal."""
    with boot(options) as kernel:
        path = fill_root(kernel, options.program, options.root)
        argv = [options.program, "sh"] if Path(path).name == "busybox" else [options.program]
        return _run(kernel, path, argv, _descriptors(kernel, None), options.uid)
