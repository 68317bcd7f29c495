"""What the bench runs to see what a start costs: whole processes, by what the host charges them.

Every function here measures once. Times are processor time in nanoseconds, user's and system's, of
a process from its start to its end. Memory is the peak of one, in bytes, as its own /proc tells:
ru_maxrss begins at what the process that started it had.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from resource import struct_rusage

from pkern.userland.bench.machine_code import QEMU, WrongAnswer
from pkern.userland.cprograms import program

SECOND = 1_000_000_000
KIB = 1024
# What the installed command does, whatever the folder it lies in.
COMMAND = "import sys; from pkern.__main__ import main; sys.exit(main())"
PEAK = """\
import atexit
atexit.register(lambda: print(open('/proc/self/status').read()))
from pkern.__main__ import main
main()
"""


def true() -> str:
    """Return the path of a static program that ends at once. Errors: NoCompiler."""
    return str(program("true"))


def python_time() -> float:
    """Start this Python and do nothing; nanoseconds. Errors: WrongAnswer."""
    return _time([sys.executable, "-c", "pass"])


def qemu_time() -> float:
    """Run the program under qemu-user; nanoseconds. Errors: NoCompiler, WrongAnswer."""
    return _time([shutil.which(QEMU) or QEMU, true()])


def run_time() -> float:
    """Run the program with `pkern run`; nanoseconds. Errors: NoCompiler, WrongAnswer."""
    return command_time("run", true())


def run_memory() -> float:
    """Run the program with `pkern run`; bytes at the peak. Errors: NoCompiler, WrongAnswer."""
    argv = [sys.executable, "-c", PEAK, "run", true()]
    done = subprocess.run(argv, capture_output=True, text=True)
    (kib,) = re.findall(r"^VmHWM:\s+(\d+) kB$", done.stdout, re.MULTILINE) or [None]
    if done.returncode or kib is None:
        raise WrongAnswer(f"{' '.join(argv)}: status {done.returncode}")
    return float(int(kib) * KIB)


def command_time(*arguments: str) -> float:
    """Run a command line of pkern; nanoseconds. Errors: WrongAnswer."""
    return _time(_command(*arguments))


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", COMMAND, *arguments]


def _time(argv: list[str]) -> float:
    spent = _spent(argv)
    return (spent.ru_utime + spent.ru_stime) * SECOND


def _spent(argv: list[str]) -> struct_rusage:
    """Run a process without output to its end and return what it used."""
    silent = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    pid = os.posix_spawn(argv[0], argv, os.environ, file_actions=silent)
    _, status, spent = os.wait4(pid, 0)
    if status:
        raise WrongAnswer(f"{' '.join(argv)}: status {status}")
    return spent
