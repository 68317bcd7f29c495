"""The host's tools where a mounted machine's /proc stands at /proc: ps, free, top and their kin.

They run in a mount name space of their own, which ends with them; the host's /proc is as it was for
everybody else. Who may not have one gets a user name space around it, where the host allows that.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
SHOWN = ("proc",)


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


def _leave_mounts() -> None:
    """Have a mount name space of one's own. Errors: NoNameSpace."""
    uid, gid = os.geteuid(), os.getegid()
    try:
        _call("unshare", CLONE_NEWNS | (CLONE_NEWUSER if uid else 0))
        if uid:
            _be_oneself(uid, gid)
        _mount("none", "/", MS_REC | MS_PRIVATE)
    except OSError as error:
        why = "the host allows no mount name space of one's own"
        raise NoNameSpace(f"{why}: {error.strerror} (root may always have one)") from error


def enter(directory: Path) -> None:
    """Let this process, and what it becomes, see the machine's /proc as /proc.

    directory: where the machine is mounted. Errors: NoNameSpace.
    """
    if not (directory / "proc" / "meminfo").exists():
        raise NoNameSpace(f"no machine is mounted on '{directory}'")
    _leave_mounts()
    for name in SHOWN:
        _mount(str(directory / name), f"/{name}", MS_BIND)
