"""Errors of system calls are Python's own where Python has one, with the errno's text and paths."""

from __future__ import annotations

import copy
import errno
import os
import pickle

import pytest

from pkern import BusError, SegmentationFault, SyscallError, TaskKilled
from pkern.kernel.wait import WouldBlock


def test_every_errno_is_also_what_python_has_for_it() -> None:
    for number in sorted(errno.errorcode):
        error = SyscallError(number)
        assert isinstance(error, SyscallError)
        assert isinstance(error, type(OSError(number, "")))
        assert (error.errno, error.number, error.strerror) == (number, number, os.strerror(number))
        assert type(SyscallError(number)) is type(error)


def test_the_path_is_the_filename_and_stands_in_the_text() -> None:
    error = SyscallError(errno.ENOENT, "/tmp/x")
    assert isinstance(error, FileNotFoundError)
    assert (error.filename, error.filename2) == ("/tmp/x", None)
    assert str(error) == "[Errno 2] No such file or directory: '/tmp/x'"
    both = SyscallError(errno.EXDEV, "/a", "/b")
    assert str(both) == "[Errno 18] Invalid cross-device link: '/a' -> '/b'"


@pytest.mark.parametrize(
    "error",
    [
        SyscallError(errno.ENOENT, "/tmp/x"),
        SyscallError(errno.EXDEV, "/a", "/b"),
        SyscallError(errno.EINVAL),
        SegmentationFault(0x1000, 1, 2),
        BusError(0x2000, 2, 0),
        TaskKilled(7, 9),
    ],
)
def test_errors_survive_pickling_and_copying(error: Exception) -> None:
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(other) is type(error)
        assert str(other) == str(error)
        assert vars(other) == vars(error)


def test_a_wait_keeps_its_keys_and_is_what_its_errno_says() -> None:
    wait = WouldBlock("key")
    assert isinstance(wait, WouldBlock)
    assert isinstance(wait, BlockingIOError)
    assert (wait.errno, wait.keys) == (errno.EAGAIN, ("key",))
    assert isinstance(WouldBlock(error=errno.EINTR), InterruptedError)
    assert WouldBlock(error=errno.EDEADLK).errno == errno.EDEADLK
