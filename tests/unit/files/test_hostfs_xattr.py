"""Extended attributes of host files: shown read only, through an overlay, and where it is rw."""

from __future__ import annotations

import errno
import os

import pytest

from pkern import Kernel, Sys
from pkern.kernel.vfs.fs.hostfs import Access, HostFs
from pkern.kernel.vfs.fs.overlay import OverlayFs

SET = {"user.b": b"two\0", "user.a": b"1"}


@pytest.fixture
def folder(tmp_path):
    """Return a host directory with a file and a directory that have attributes."""
    (tmp_path / "file").write_text("text")
    (tmp_path / "dir").mkdir()
    try:
        for name, value in SET.items():
            os.setxattr(tmp_path / "file", name, value)
        os.setxattr(tmp_path / "dir", "user.d", b"d")
    except OSError as error:
        pytest.skip(f"the host's file system has no extended attributes: {error}")
    return tmp_path


def machine_over(fs):
    kernel = Kernel(ram="16M")
    kernel.vfs.set_root(fs)
    return kernel, Sys(kernel.spawn(uid=0))


def names(sys, path):
    addr = sys.mmap(0, 4096, 3, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS)
    sys.store(addr, path.encode() + b"\0")
    count = sys.syscall(194, addr, addr + 256, 1024)
    assert count >= 0, os.strerror(-count)
    return sys.load(addr + 256, count).decode().split("\0")[:-1]


def refused(number, call, *arguments):
    with pytest.raises(OSError, check=lambda error: error.errno == number):
        call(*arguments)


def test_a_read_only_directory_shows_them(folder):
    kernel, sys = machine_over(HostFs(folder))
    with kernel:
        assert [name for name in names(sys, "/file") if name in SET] == sorted(SET)
        assert sys.getxattr("/file", "user.b") == b"two\0"
        assert sys.getxattr("/dir", "user.d") == b"d"
        refused(errno.ENODATA, sys.getxattr, "/file", "user.none")
        refused(errno.EROFS, sys.setxattr, "/file", "user.a", b"no")
    assert os.getxattr(folder / "file", "user.a") == b"1"


def test_an_overlay_shows_them_and_keeps_changes_to_itself(folder):
    kernel, sys = machine_over(OverlayFs(HostFs(folder)))
    with kernel:
        sys.setxattr("/file", "user.c", b"new")
        sys.removexattr("/file", "user.a")
        sys.setxattr("/dir", "user.d", b"other")
        assert [n for n in names(sys, "/file") if n.startswith("user.")] == ["user.b", "user.c"]
        assert sys.getxattr("/file", "user.b") == b"two\0"
        assert sys.getxattr("/dir", "user.d") == b"other"
        refused(errno.ENODATA, sys.getxattr, "/file", "user.a")
        fd = sys.open("/file", sys.O_WRONLY)
        assert sys.write(fd, b"T") == 1
        assert sys.getxattr("/file", "user.b") == b"two\0"
    assert {n: os.getxattr(folder / "file", n) for n in SET} == SET
    assert os.getxattr(folder / "dir", "user.d") == b"d"


def test_a_writable_directory_gives_them_to_the_host(folder):
    kernel, sys = machine_over(HostFs(folder, Access.READ_WRITE))
    with kernel:
        sys.setxattr("/file", "user.c", b"new")
        sys.removexattr("/file", "user.a")
    assert os.getxattr(folder / "file", "user.c") == b"new"
    refused(errno.ENODATA, os.getxattr, folder / "file", "user.a")
