"""The host's tools where a mounted machine's /proc and /sys stand at theirs: ps, free, top.

They run in a mount name space of their own, which ends with them; the host's /proc is as it was for
everybody else. In a pid name space, too: a number that they read in the machine's /proc is to be
no process of the host when they send it a signal. Who may not have such gets a user name space
around them, where the host allows that.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID = 0x20000, 0x10000000, 0x20000000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
PR_SET_PDEATHSIG = 1
SHOWN = ("proc", "sys")
KEYS = (signal.SIGINT, signal.SIGQUIT)  # of the terminal, which the command is for
OF_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)  # which ignores them; the command does not
NOT_FOUND = 127
LAST_PID, MACHINES_PIDS = Path("/proc/sys/kernel/ns_last_pid"), 1 << 16


class NoNameSpace(Exception):
    """The tools cannot be run; the text says why, as a sentence."""


def _call(name: str, *arguments: object) -> None:
    """Call libc. Errors: OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _mount(source: str, target: str, flags: int) -> None:
    _call("mount", source.encode(), target.encode(), None, ctypes.c_ulong(flags), None)


def _be_oneself(uid: int, gid: int) -> None:
    """In a new user name space, be who one was."""
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")


def _leave_name_spaces() -> None:
    """Have name spaces of one's own. Errors: NoNameSpace."""
    uid, gid = os.geteuid(), os.getegid()
    try:
        _call("unshare", CLONE_NEWNS | CLONE_NEWPID | (CLONE_NEWUSER if uid else 0))
        if uid:
            _be_oneself(uid, gid)
        _mount("none", "/", MS_REC | MS_PRIVATE)
    except OSError as error:
        why = "the host allows no name spaces of one's own"
        raise NoNameSpace(f"{why}: {error.strerror} (root may always have them)") from error


def run(directory: Path, command: list[str]) -> int:
    """Run a command where a machine's files stand; return its status as a shell gives it.

    directory: where the machine is mounted. Errors: NoNameSpace.
    """
    if not _shows_machine(directory):
        raise NoNameSpace(f"no machine is mounted on '{directory}'")
    _leave_name_spaces()
    return _child(lambda: _first(directory, command))


def _shows_machine(directory: Path) -> bool:
    """Tell whether its proc is a machine's: in the same file system, as no host's is."""
    proc = directory / "proc"
    return (proc / "meminfo").exists() and proc.stat().st_dev == directory.stat().st_dev


def _first(directory: Path, command: list[str]) -> int:
    """Be the first process of the name space, which ends with it; return the command's status."""
    _call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL)
    with suppress(OSError):  # where the host can: pids that the machine does not show
        LAST_PID.write_text(str(MACHINES_PIDS))
    for name in SHOWN:
        _mount(str(directory / name), f"/{name}", MS_BIND)
    return _child(lambda: _become(command))


def _become(command: list[str]) -> int:
    for signo in (*KEYS, *OF_PYTHON):
        signal.signal(signo, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)
    except (OSError, ValueError) as error:  # ValueError: it is empty
        why = os.strerror(getattr(error, "errno", errno.ENOENT))
        os.write(2, f"pkern: cannot execute '{command[0]}': {why}\n".encode())
        return NOT_FOUND


def _child(work: Callable[[], int]) -> int:
    """Do work in a child and return its status; the terminal's keys are for others."""
    for signo in KEYS:
        signal.signal(signo, signal.SIG_IGN)
    pid = os.fork()
    if not pid:
        status = 1
        try:
            status = work()
        finally:
            os._exit(status)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code if code >= 0 else 128 - code
