"""The names on a program's sys: the same numbers as in Linux's headers."""

import errno
import fcntl
import mmap
import os
import resource
import select
import signal
import socket
import stat

import pytest

from pkern.userland.program import CONSTANTS, Sys

PAGE = 4096
OTHERS = {"O_LARGEFILE", "RLIM_INFINITY"}  # 0 and -1 in Python


def test_numbers_are_those_of_the_host() -> None:
    modules = (fcntl, mmap, os, resource, select, signal, socket, stat)
    shared = [(name, m) for name in CONSTANTS for m in modules if hasattr(m, name)]
    assert len(shared) > 200
    wrong = [name for name, m in shared if getattr(m, name) != CONSTANTS[name]]
    assert set(wrong) <= OTHERS


def test_a_call_that_is_missing_is_enosys_and_noted_once(kernel) -> None:
    sys = Sys(kernel.spawn())
    before = len(kernel.log.lines())
    for _ in range(2):
        with pytest.raises(OSError, check=lambda error: error.errno == errno.ENOSYS):
            sys.map_shadow_stack(0, PAGE, 0)
    assert len(kernel.log.lines()) == before + 1
    with pytest.raises(AttributeError, match="PROT_RED"):
        _ = sys.PROT_RED


def test_a_program_finds_what_its_calls_take(kernel) -> None:
    sys = Sys(kernel.spawn())
    for name in (
        *("SA_RESTART", "FD_CLOEXEC", "AT_SYMLINK_NOFOLLOW", "LOCK_EX", "F_SETLK", "WNOHANG"),
        *(
            "RUSAGE_SELF",
            "PRIO_PROCESS",
            "RENAME_EXCHANGE",
            "EFD_SEMAPHORE",
            "POLLIN",
            "SOCK_STREAM",
        ),
        *("MADV_DONTNEED", "MLOCK_ONFAULT", "MREMAP_DONTUNMAP", "MAP_ANON", "PAGE_SIZE"),
        *("SEGV_ACCERR", "BUS_ADRERR", "CLONE_VM", "MS_SYNC", "IPC_SET", "SIGSEGV"),
    ):
        assert isinstance(getattr(sys, name), int)
