"""Files through the system calls: content, names, rights, seals, pipes, the host's directory."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pkern.kernel.errors import SyscallError
from pkern.kernel.machine import Kernel
from pkern.kernel.vfs.fs.hostfs import Access, HostFs
from pkern.userland.program import Sys

PAGE = 4096


@pytest.fixture
def machine() -> Iterator[Kernel]:
    with Kernel() as kernel:
        yield kernel
        kernel.check()


@pytest.fixture
def user(machine: Kernel) -> Sys:
    return Sys(machine.spawn())


def refused(number: int, call: Any, *args: Any) -> None:
    with pytest.raises(SyscallError) as caught:
        call(*args)
    assert caught.value.errno == number, errno.errorcode[caught.value.errno or 0]


def make(user: Sys, path: str = "/tmp/a") -> int:
    fd: int = user.open(path, user.O_RDWR | user.O_CREAT, 0o600)
    return fd


def test_read_sees_what_was_written_at_the_position(user: Sys) -> None:
    fd = make(user)
    assert user.write(fd, b"hello world") == 11
    assert user.lseek(fd, 6, user.SEEK_SET) == 6
    assert user.read(fd, 100) == b"world"
    assert user.read(fd, 100) == b""
    assert user.pread64(fd, 5, 0) == b"hello"


def test_a_mapping_and_write_see_each_other(user: Sys) -> None:
    fd = make(user)
    user.ftruncate(fd, PAGE)
    at = user.mmap(0, PAGE, 3, user.MAP_SHARED, fd, 0)
    user.store(at, b"stored")
    assert user.pread64(fd, 6, 0) == b"stored"
    user.pwrite64(fd, b"W", 0)
    assert user.load(at, 6) == b"Wtored"


def test_growing_after_shrinking_shows_zeroes(user: Sys) -> None:
    fd = make(user)
    user.write(fd, b"x" * PAGE)
    user.ftruncate(fd, 1)
    user.ftruncate(fd, PAGE)
    assert user.pread64(fd, PAGE, 0) == b"x" + bytes(PAGE - 1)


def test_append_writes_at_the_end(user: Sys) -> None:
    user.write(make(user), b"one")
    fd = user.open("/tmp/a", user.O_WRONLY | user.O_APPEND, 0)
    user.write(fd, b"two")
    assert user.fstat(fd).st_size == 6


def test_dup_shares_the_position_and_open_does_not(user: Sys) -> None:
    fd = make(user)
    user.write(fd, b"abc")
    twin, other = user.dup(fd), user.open("/tmp/a", user.O_RDONLY, 0)
    assert user.lseek(twin, 0, user.SEEK_CUR) == 3
    assert user.lseek(other, 0, user.SEEK_CUR) == 0
    user.close(fd)
    refused(errno.EBADF, user.read, fd, 1)
    assert user.pread64(twin, 3, 0) == b"abc"


def test_an_unlinked_file_lives_while_it_is_open(user: Sys) -> None:
    fd = make(user)
    user.write(fd, b"kept")
    user.unlink("/tmp/a")
    refused(errno.ENOENT, user.stat, "/tmp/a")
    assert user.pread64(fd, 4, 0) == b"kept"


def test_an_unlinked_and_closed_file_lives_while_it_is_mapped(user: Sys) -> None:
    fd = make(user)
    user.write(fd, b"kept")
    at = user.mmap(0, PAGE, 1, user.MAP_SHARED, fd, 0)
    user.unlink("/tmp/a")
    user.close(fd)
    assert user.load(at, 4) == b"kept"
    user.munmap(at, PAGE)


def test_rights_are_refused_to_others_but_not_to_root(machine: Kernel, user: Sys) -> None:
    make(user)
    stranger, root = Sys(machine.spawn(uid=2000, gid=2000)), Sys(machine.spawn(uid=0, gid=0))
    refused(errno.EACCES, stranger.open, "/tmp/a", stranger.O_RDONLY, 0)
    refused(errno.EPERM, stranger.unlink, "/tmp/a")  # /tmp is sticky
    assert root.open("/tmp/a", root.O_RDONLY, 0) == 0


def test_names(user: Sys) -> None:
    user.mkdir("/tmp/d", 0o755)
    refused(errno.EEXIST, user.mkdir, "/tmp/d", 0o755)
    make(user, "/tmp/d/a")
    refused(errno.ENOTEMPTY, user.rmdir, "/tmp/d")
    refused(errno.EISDIR, user.unlink, "/tmp/d")
    refused(errno.ENOTDIR, user.open, "/tmp/d/a/b", 0, 0)
    user.rename("/tmp/d/a", "/tmp/b")
    refused(errno.EXDEV, user.rename, "/tmp/b", "/dev/shm/b")
    user.rmdir("/tmp/d")


def test_a_closed_end_of_a_pipe_shows(user: Sys) -> None:
    reader, writer = user.pipe()
    user.write(writer, b"through")
    assert user.read(reader, 100) == b"through"
    user.close(writer)
    assert user.read(reader, 100) == b""


def test_seals(user: Sys) -> None:
    fd = user.memfd_create("m", user.MFD_ALLOW_SEALING)
    user.ftruncate(fd, PAGE)
    at = user.mmap(0, PAGE, 3, user.MAP_SHARED, fd, 0)
    refused(errno.EBUSY, user.fcntl, fd, user.F_ADD_SEALS, user.F_SEAL_WRITE)
    user.munmap(at, PAGE)
    seals = user.F_SEAL_WRITE | user.F_SEAL_SHRINK | user.F_SEAL_GROW
    user.fcntl(fd, user.F_ADD_SEALS, seals)
    refused(errno.EPERM, user.pwrite64, fd, b"x", 0)
    refused(errno.EPERM, user.ftruncate, fd, 0)
    refused(errno.EPERM, user.ftruncate, fd, 2 * PAGE)
    refused(errno.EPERM, user.mmap, 0, PAGE, 3, user.MAP_SHARED, fd, 0)


# By vm.memfd_noexec: the mode and the seals of a memfd with no flag, MFD_NOEXEC_SEAL, MFD_EXEC.
@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        (0, [(0o777, 1), (0o666, 0x20), (0o777, 1)]),
        (1, [(0o666, 0x20), (0o666, 0x20), (0o777, 1)]),
        (2, [(0o666, 0x20), (0o666, 0x20), errno.EACCES]),
    ],
)
def test_what_memfd_noexec_governs(machine: Kernel, setting: int, expected: list[object]) -> None:
    def made(flags: int) -> object:
        try:
            fd = user.memfd_create("m", flags)
        except OSError as error:
            return error.errno
        return user.fstat(fd).st_mode & 0o7777, user.fcntl(fd, user.F_GET_SEALS)

    machine.sysctl["vm.memfd_noexec"] = setting
    user = Sys(machine.spawn())
    assert [made(flags) for flags in (0, user.MFD_NOEXEC_SEAL, user.MFD_EXEC)] == expected


def test_devices(user: Sys) -> None:
    null, zero = user.open("/dev/null", user.O_RDWR, 0), user.open("/dev/zero", user.O_RDWR, 0)
    assert user.read(null, 9) == b""
    assert user.write(null, b"gone") == 4
    assert user.read(zero, 3) == bytes(3)
    refused(errno.ENODEV, user.mmap, 0, PAGE, 1, user.MAP_PRIVATE, null, 0)
    for kind in (user.MAP_PRIVATE, user.MAP_SHARED):
        at = user.mmap(0, PAGE, 3, kind, zero, 0)
        user.store(at, b"x")
        assert user.load(at, 2) == b"x\0"


def test_the_host_is_read_only_unless_asked(machine: Kernel, user: Sys, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"host" * 2000)
    (tmp_path / "link").symlink_to("/etc/passwd")
    tmp_path.chmod(0o755)
    (tmp_path / "f").chmod(0o644)
    machine.vfs.mount("/host", HostFs(tmp_path))
    fd = user.open("/host/f", user.O_RDONLY, 0)
    assert user.read(fd, 9000) == b"host" * 2000
    root = Sys(machine.spawn(uid=0, gid=0))
    refused(errno.EROFS, root.open, "/host/f", root.O_RDWR, 0)
    refused(errno.ENOENT, root.open, "/host/link", root.O_RDONLY, 0)
    refused(errno.ENOENT, root.open, "/host/../f", root.O_RDONLY, 0)


def test_stores_reach_a_writable_host(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"host")
    with Kernel() as kernel:
        kernel.vfs.mount("/host", HostFs(tmp_path, Access.READ_WRITE))
        root = Sys(kernel.spawn(uid=0, gid=0))
        fd = root.open("/host/f", root.O_RDWR, 0)
        at = root.mmap(0, PAGE, 3, root.MAP_SHARED, fd, 0)
        root.store(at, b"H")
    assert (tmp_path / "f").read_bytes() == b"Host"


def test_a_forked_child_shares_open_files(user: Sys) -> None:
    fd = make(user)
    child = user.fork()
    child.write(fd, b"abc")
    assert user.lseek(fd, 0, user.SEEK_CUR) == 3
    child.exit(0)
    assert user.pread64(fd, 3, 0) == b"abc"


def test_a_write_seal_is_refused_while_a_special_vma_shows_the_file(machine: Kernel) -> None:
    machine.sysctl["vm.nonlinear"] = 1
    user = Sys(machine.spawn())
    fd = user.memfd_create("sealed", user.MFD_ALLOW_SEALING)
    user.ftruncate(fd, PAGE)
    window = user.mmap(0, PAGE, 3, user.MAP_SHARED | user.MAP_NONLINEAR)
    user.remap_file_pages(window, PAGE, 0, 0, 0, fd)
    refused(errno.EBUSY, user.fcntl, fd, user.F_ADD_SEALS, user.F_SEAL_WRITE)
    user.munmap(window, PAGE)
    assert user.fcntl(fd, user.F_ADD_SEALS, user.F_SEAL_WRITE) == 0


def test_vectors_move_bytes_within_and_between_tasks(machine: Kernel) -> None:
    one, two = Sys(machine.spawn()), Sys(machine.spawn())
    here = one.mmap(0, PAGE, 3, one.MAP_PRIVATE | one.MAP_ANONYMOUS)
    there = two.mmap(0, 2 * PAGE, 3, two.MAP_PRIVATE | two.MAP_ANONYMOUS)
    two.store(there, b"abcdefgh")
    one.store(here, struct.pack("<4Q", here + 512, 3, here + 600, 5))
    one.store(here + 64, struct.pack("<2Q", there, 8))
    assert one.syscall(310, two.pid, here, 2, here + 64, 1, 0) == 8
    assert one.load(here + 512, 3) + one.load(here + 600, 5) == b"abcdefgh"
    fd = make(one)
    assert one.syscall(20, fd, here, 2) == 8
    assert one.pread64(fd, 8, 0) == b"abcdefgh"
    assert one.syscall(311, two.pid, here, 2, here + 64, 1, 1) == -errno.EINVAL
