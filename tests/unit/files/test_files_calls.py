"""File calls as machine code makes them: registers, structures, descriptors, pipes, locks."""

from __future__ import annotations

import errno
import struct
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from pkern.kernel.errors import SyscallError
from pkern.kernel.machine import Kernel
from pkern.kernel.wait import WouldBlock
from pkern.userland.program import Sys

PAGE = 4096
SECOND = 1_000_000_000
READ, WRITE, PREAD, READV, WRITEV, IOCTL, FCNTL = 0, 1, 17, 19, 20, 16, 72
SENDFILE, STATX, UTIMENSAT, FSTAT, GETDENTS, LISTXATTR = 40, 332, 280, 5, 78, 194
F_RDLCK, F_WRLCK, F_UNLCK, F_GETLK, F_SETLK, F_OFD_SETLK = 0, 1, 2, 5, 6, 37
F_SETLEASE, F_GETLEASE = 1024, 1025


@pytest.fixture
def machine() -> Iterator[Kernel]:
    with Kernel() as kernel:
        yield kernel
        kernel.check()


@pytest.fixture
def user(machine: Kernel) -> Sys:
    sys = Sys(machine.spawn())
    sys.chdir("/tmp")
    return sys


@pytest.fixture
def at(user: Sys) -> int:
    """Return the first of two pages; what follows them is not mapped."""
    area = user.mmap(0, 3 * PAGE, 3, user.MAP_PRIVATE | user.MAP_ANONYMOUS, -1, 0)
    user.munmap(area + 2 * PAGE, PAGE)
    return int(area)


def refused(number: int, call: Any, *args: Any) -> None:
    with pytest.raises(SyscallError) as caught:
        call(*args)
    assert caught.value.errno == number, errno.errorcode[caught.value.errno or 0]


def make(user: Sys, path: str = "a", content: bytes = b"") -> int:
    fd = user.open(path, user.O_RDWR | user.O_CREAT, 0o644)
    user.write(fd, content)
    user.lseek(fd, 0, 0)
    return int(fd)


# ---- registers and memory ----


@pytest.mark.parametrize("beyond", [2 * PAGE, 1 << 26])
def test_a_count_beyond_the_memory_that_is_there_takes_no_room(
    user: Sys, at: int, beyond: int
) -> None:
    """What is written ends where memory does, and costs this process no more than that."""
    fd = make(user)
    user.store(at, b"x" * 2 * PAGE)
    tracemalloc.start()
    try:
        assert user.syscall(WRITE, fd, at + 1, beyond) == 2 * PAGE - 1
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    assert user.pread64(fd, 3 * PAGE, 0) == b"x" * (2 * PAGE - 1)


def test_the_descriptor_is_looked_at_before_the_buffer(user: Sys) -> None:
    reader, _ = user.pipe()
    assert user.syscall(READ, 99, 1, 10) == -errno.EBADF
    assert user.syscall(WRITE, 99, 1, 10) == -errno.EBADF
    assert user.syscall(WRITE, reader, 1, 10) == -errno.EBADF
    assert user.syscall(PREAD, reader, 1, 10, -1) == -errno.EINVAL
    assert user.syscall(PREAD, reader, 1, 10, 0) == -errno.ESPIPE


def test_a_buffer_that_ends_too_early_is_written_up_to_there(user: Sys, at: int) -> None:
    fd = make(user)
    assert user.syscall(WRITE, fd, at + 2 * PAGE - 5, 10) == 5
    assert user.syscall(WRITE, fd, at + 2 * PAGE, 10) == -errno.EFAULT
    assert user.fstat(fd).st_size == 5


def test_a_read_that_faults_leaves_the_position(user: Sys, at: int) -> None:
    fd = make(user, "a", b"content")
    assert user.syscall(READ, fd, at + 2 * PAGE, 3) == -errno.EFAULT
    assert user.lseek(fd, 0, user.SEEK_CUR) == 0
    assert user.syscall(READ, fd, at, 3) == 3
    assert user.load(at, 3) == b"con"


def test_the_limit_of_a_file_s_size_is_a_signal_and_an_error(user: Sys) -> None:
    fd, got = make(user, "a", b"12345678"), []
    user.rt_sigaction(user.SIGXFSZ, lambda number, info: got.append(number))
    user.setrlimit(user.RLIMIT_FSIZE, (10, 10))
    assert user.pwrite64(fd, b"xyz", 8) == 2
    refused(errno.EFBIG, user.pwrite64, fd, b"xyz", 10)
    refused(errno.EFBIG, user.ftruncate, fd, 11)
    user.ftruncate(fd, 10)
    assert got == [user.SIGXFSZ] * 2


def test_vectors_are_filled_in_order(user: Sys, at: int) -> None:
    fd = make(user, "a", b"onetwo")
    user.store(at, struct.pack("<6Q", at + 512, 3, at + 1024, 0, at + 2048, 9))
    assert user.syscall(READV, fd, at, 3) == 6
    assert (user.load(at + 512, 4), user.load(at + 2048, 4)) == (b"one\0", b"two\0")
    assert user.syscall(WRITEV, fd, at, 1025) == -errno.EINVAL
    user.store(at, struct.pack("<2Q", at, 1 << 63))
    assert user.syscall(WRITEV, fd, at, 1) == -errno.EINVAL


def test_struct_stat_has_linux_s_layout(user: Sys, at: int, machine: Kernel) -> None:
    fd = make(user, "a", b"x" * 5000)
    assert user.syscall(FSTAT, fd, at) == 0
    raw = user.load(at, 144)
    _, ino, nlink, mode, uid, gid = struct.unpack_from("<3Q3I", raw)
    assert (nlink, mode, uid, gid) == (1, 0o100644, 1000, 1000)
    assert struct.unpack_from("<qqq", raw, 48) == (5000, PAGE, 16)
    seconds, ns = struct.unpack_from("<qq", raw, 88)
    assert seconds * SECOND + ns == user.stat("a").st_mtime_ns <= machine.clock.realtime_ns
    assert ino == user.stat("a").st_ino


def test_struct_statx_has_linux_s_layout(user: Sys, at: int) -> None:
    make(user, "a", b"x" * 9)
    user.store(at + 512, b"a\0")
    assert user.syscall(STATX, -100, at + 512, 0, 0xFFF, at) == 0
    raw = user.load(at, 256)
    mask, blksize, _, nlink, uid, gid, mode = struct.unpack_from("<IIQIIIH", raw)
    assert (mask, blksize, nlink, uid, gid, mode) == (0x1FFF, PAGE, 1, 1000, 1000, 0o100644)
    assert struct.unpack_from("<QQQ", raw, 32) == (user.stat("a").st_ino, 9, 8)
    status = user.stat("a")
    times = [struct.unpack_from("<qI", raw, 64 + 16 * i) for i in range(4)]
    expected = (status.st_atime_ns, status.btime_ns, status.st_ctime_ns, status.st_mtime_ns)
    assert [s * SECOND + ns for s, ns in times] == list(expected)
    assert user.syscall(STATX, -100, at + 512, 0x6000, 0, at) == -errno.EINVAL


def test_old_and_new_directory_entries_agree(user: Sys, at: int) -> None:
    user.mkdir("d", 0o755)
    make(user, "d/file")
    user.symlink("x", "d/link")
    fd = user.open("d", user.O_DIRECTORY, 0)
    size = user.syscall(GETDENTS, fd, at, PAGE)
    old, raw = [], user.load(at, size)
    while raw:
        ino, _, length = struct.unpack_from("<QqH", raw)
        old.append((ino, raw[18:length].split(b"\0")[0], raw[length - 1]))
        raw = raw[length:]
    assert [(name, kind) for _, name, kind in old] == [
        (b".", 4), (b"..", 4), (b"file", 8), (b"link", 10),
    ]  # fmt: skip
    assert old[1][0] == user.stat("/tmp").st_ino
    assert user.syscall(GETDENTS, fd, at, PAGE) == 0
    user.lseek(fd, 0, 0)
    assert user.syscall(GETDENTS, fd, at, 10) == -errno.EINVAL


# ---- times ----


def test_times_move_as_linux_says(user: Sys) -> None:
    fd = make(user, "a", b"old")
    first = user.fstat(fd)
    user.write(fd, b"new")
    second = user.fstat(fd)
    assert second.st_mtime_ns == second.st_ctime_ns >= first.st_mtime_ns
    user.chmod("a", 0o600)
    assert user.fstat(fd).st_mtime_ns == second.st_mtime_ns
    user.utimensat(-100, "a", ((5, 6), (7, 8)))
    assert (user.stat("a").st_atime_ns, user.stat("a").st_mtime_ns) == (
        5 * SECOND + 6,
        7 * SECOND + 8,
    )


def test_utimensat_takes_null_now_and_omit(user: Sys, at: int, machine: Kernel) -> None:
    fd = make(user)
    user.utimensat(-100, "a", ((1, 0), (2, 0)))
    user.store(at, struct.pack("<4q", 9, 0, 0, (1 << 30) - 2))
    assert user.syscall(UTIMENSAT, fd, 0, at, 0) == 0
    assert (user.fstat(fd).st_atime_ns, user.fstat(fd).st_mtime_ns) == (9 * SECOND, 2 * SECOND)
    assert user.syscall(UTIMENSAT, fd, 0, 0, 0) == 0
    assert user.fstat(fd).st_mtime_ns == machine.clock.realtime_ns
    assert user.syscall(UTIMENSAT, -100, 0, 0, 0) == -errno.EFAULT
    user.store(at, struct.pack("<4q", 0, SECOND, 0, 0))
    assert user.syscall(UTIMENSAT, fd, 0, at, 0) == -errno.EINVAL
    other = Sys(machine.spawn(uid=2000, gid=2000))
    refused(errno.EACCES, other.utimensat, -100, "/tmp/a")
    refused(errno.EPERM, other.utimensat, -100, "/tmp/a", ((1, 0), (1, 0)))


# ---- pipes ----


def test_an_empty_pipe_waits_and_a_closed_one_ends(user: Sys) -> None:
    reader, writer = user.pipe()
    with pytest.raises(WouldBlock) as caught:
        user.read(reader, 1)
    assert caught.value.keys == (user.task.fds.get(reader).inode,)
    user.write(writer, b"abc")
    assert user.read(reader, 2) == b"ab"
    user.close(writer)
    assert user.read(reader, 9) == b"c"
    assert user.read(reader, 9) == b""


def test_a_pipe_that_does_not_wait_says_eagain(user: Sys) -> None:
    reader, writer = user.pipe2(user.O_NONBLOCK)
    for call, args in ((user.read, (reader, 1)), (user.write, (writer, b"x"))):
        if call == user.write:
            assert user.write(writer, bytes(70000)) == 65536
        with pytest.raises(SyscallError) as caught:
            call(*args)
        assert caught.value.errno == errno.EAGAIN
        assert not isinstance(caught.value, WouldBlock)


def test_a_small_write_is_whole_or_not_at_all(user: Sys) -> None:
    _, writer = user.pipe2(user.O_NONBLOCK)
    user.write(writer, bytes(65536 - 100))
    refused(errno.EAGAIN, user.write, writer, bytes(200))
    assert user.write(writer, bytes(4196)) == 100  # what is over whole pages goes on


def test_writing_where_no_one_reads_is_epipe(user: Sys) -> None:
    reader, writer = user.pipe()
    user.close(reader)
    got: list[int] = []
    user.rt_sigaction(user.SIGPIPE, lambda number, info: got.append(number))
    refused(errno.EPIPE, user.write, writer, b"x")
    refused(errno.EPIPE, user.sendfile, writer, make(user, "a", b"x"), 0, 1)
    assert got == [user.SIGPIPE] * 2
    assert user.write(writer, b"") == 0


def test_a_pipe_s_size_can_be_asked_and_set(user: Sys, at: int) -> None:
    reader, writer = user.pipe()
    assert user.fcntl(reader, 1032) == 65536
    assert user.fcntl(writer, 1031, 5000) == 8192
    user.write(writer, bytes(6000))
    refused(errno.EBUSY, user.fcntl, writer, 1031, PAGE)
    refused(errno.EPERM, user.fcntl, writer, 1031, 2 << 20)
    assert user.ioctl(reader, 0x541B, at) == 0
    assert struct.unpack("<i", user.load(at, 4)) == (6000,)


def test_the_slots_of_a_user_s_pipes_are_few_beyond_a_limit_and_none_beyond_another(
    machine: Kernel, user: Sys
) -> None:
    machine.sysctl["fs.pipe-user-pages-soft"], machine.sysctl["fs.pipe-user-pages-hard"] = 40, 33
    pipes = [user.pipe() for _ in range(2)]  # of 16 slots each
    refused(errno.ENFILE, user.pipe)  # 48 slots, or at least 34
    machine.sysctl["fs.pipe-user-pages-hard"] = 0
    pipes += [user.pipe(), user.pipe()]
    assert [user.fcntl(writer, 1032) for _, writer in pipes] == [65536, 65536, 8192, 8192]
    refused(errno.EPERM, user.fcntl, pipes[0][1], 1031, 32 * PAGE)
    refused(errno.EPERM, user.fcntl, pipes[3][1], 1031, 8 * PAGE)  # 42
    assert user.fcntl(pipes[0][1], 1031, 8 * PAGE) == 8 * PAGE
    assert user.fcntl(pipes[3][1], 1031, 8 * PAGE) == 8 * PAGE  # 34
    user.mknod("p", 0o010600, 0)
    machine.sysctl["fs.pipe-user-pages-hard"], machine.sysctl["fs.pipe-user-pages-soft"] = 37, 0
    refused(errno.ENOMEM, user.open, "p", user.O_RDWR)
    root = Sys(machine.spawn(uid=0))
    assert [root.fcntl(root.pipe()[1], 1032) for _ in range(4)] == [65536] * 4


@pytest.mark.parametrize(
    ("wanted", "made"), [(0, PAGE), (1, PAGE), (5000, 8192), (1 << 31, 1 << 31), ((1 << 31) + 1, 0)]
)
def test_the_largest_pipe_of_all_is_a_power_of_two_of_pages(
    machine: Kernel, wanted: int, made: int
) -> None:
    root = Sys(machine.spawn(uid=0))
    name = root.open("/proc/sys/fs/pipe-max-size", root.O_RDWR)
    if not made:
        refused(errno.EINVAL, root.write, name, b"%d" % wanted)
        return
    root.write(name, b"%d" % wanted)
    assert root.pread64(name, 20, 0) == b"%d\n" % made


def test_the_two_openers_of_a_fifo_meet(user: Sys) -> None:
    user.mknod("p", 0o010600, 0)
    child = user.fork()
    with pytest.raises(WouldBlock):
        child.open("p", child.O_RDONLY, 0)
    writer = user.open("p", user.O_WRONLY, 0)  # the reader is there, waiting
    user.write(writer, b"hello")
    user.close(writer)
    reader = child.open("p", child.O_RDONLY, 0)  # again, as the scheduler does it
    assert child.read(reader, 9) == b"hello"
    assert child.read(reader, 9) == b""
    child.exit(0)


def test_who_has_ended_waits_for_no_other_end_of_a_fifo(user: Sys) -> None:
    user.mknod("p", 0o010600, 0)
    child = user.fork()
    with pytest.raises(WouldBlock):
        child.open("p", child.O_RDONLY, 0)
    child.exit(0)
    refused(errno.ENXIO, user.open, "p", user.O_WRONLY | user.O_NONBLOCK, 0)
    user.close(user.open("p", user.O_RDONLY | user.O_NONBLOCK, 0))
    assert user.task.kernel.vfs.pipes.used == {}


def test_a_reader_of_a_fifo_waits_for_the_writer_that_was_there_first(user: Sys) -> None:
    user.mknod("p", 0o010600, 0)
    child = user.fork()
    with pytest.raises(WouldBlock):
        child.open("p", child.O_WRONLY, 0)
    reader = user.open("p", user.O_RDONLY, 0)
    with pytest.raises(WouldBlock):
        user.read(reader, 9)  # not the end: the writer has not been told yet
    writer = child.open("p", child.O_WRONLY, 0)
    child.write(writer, b"hello")
    child.exit(0)
    assert user.read(reader, 9) == b"hello"
    assert user.read(reader, 9) == b""


def test_a_fifo_that_does_not_wait(user: Sys) -> None:
    user.mknod("p", 0o010600, 0)
    refused(errno.ENXIO, user.open, "p", user.O_WRONLY | user.O_NONBLOCK, 0)
    reader = user.open("p", user.O_RDONLY | user.O_NONBLOCK, 0)
    writer = user.open("p", user.O_WRONLY | user.O_NONBLOCK, 0)
    user.write(writer, b"x")
    assert user.read(reader, 1) == b"x"
    refused(errno.EAGAIN, user.read, reader, 1)
    refused(errno.ESPIPE, user.lseek, reader, 0, 0)


# ---- locks ----


def flock_bytes(kind: int, start: int = 0, length: int = 0) -> bytes:
    return struct.pack("<hh4xqqi4x", kind, 0, start, length, 0)


def lock(
    sys: Sys, fd: int, at: int, kind: int, start: int, length: int, command: int = F_SETLK
) -> int:
    sys.store(at, flock_bytes(kind, start, length))
    return sys.syscall(FCNTL, fd, command, at)


def test_records_of_two_tasks_exclude_each_other(user: Sys, at: int) -> None:
    fd = make(user, "a", bytes(100))
    child = user.fork()
    assert lock(user, fd, at, F_WRLCK, 10, 20) == 0
    assert lock(child, fd, at, F_RDLCK, 0, 10) == 0
    assert lock(child, fd, at, F_RDLCK, 5, 10) == -errno.EAGAIN
    child.store(at, flock_bytes(F_RDLCK, 0, 0))
    assert child.syscall(FCNTL, fd, F_GETLK, at) == 0
    assert struct.unpack("<hh4xqqi4x", child.load(at, 32)) == (F_WRLCK, 0, 10, 20, user.pid)
    assert lock(user, fd, at, F_UNLCK, 15, 5) == 0  # 10..15 and 20..30 stay
    assert lock(child, fd, at, F_WRLCK, 15, 5) == 0
    assert lock(child, fd, at, F_WRLCK, 15, 6) == -errno.EAGAIN
    twin = user.dup(fd)
    user.close(twin)  # closing any descriptor of the file drops the task's records
    assert lock(child, fd, at, F_WRLCK, 0, 0) == 0
    child.exit(0)
    assert lock(user, fd, at, F_WRLCK, 0, 0) == 0


def test_a_record_needs_the_right_mode(user: Sys, at: int) -> None:
    make(user)
    fd = user.open("a", user.O_RDONLY, 0)
    assert lock(user, fd, at, F_WRLCK, 0, 0) == -errno.EBADF
    assert lock(user, fd, at, 7, 0, 0) == -errno.EINVAL
    assert lock(user, fd, at, F_RDLCK, -1, 0) == -errno.EINVAL


def test_a_record_of_an_open_file_is_shared_by_its_descriptors(user: Sys, at: int) -> None:
    fd = make(user)
    other = user.open("a", user.O_RDWR, 0)
    assert lock(user, fd, at, F_WRLCK, 0, 0, F_OFD_SETLK) == 0
    assert lock(user, user.dup(fd), at, F_WRLCK, 0, 0, F_OFD_SETLK) == 0
    assert lock(user, other, at, F_WRLCK, 0, 0, F_OFD_SETLK) == -errno.EAGAIN


def test_flock_belongs_to_the_open_file(user: Sys) -> None:
    fd = make(user)
    other = user.open("a", user.O_RDONLY, 0)
    user.flock(fd, 1)
    user.flock(other, 1)
    refused(errno.EAGAIN, user.flock, other, 2 | 4)
    user.flock(fd, 8)
    user.flock(other, 2)
    with pytest.raises(WouldBlock):
        user.flock(fd, 2)
    user.close(other)
    user.flock(fd, 2)
    refused(errno.EINVAL, user.flock, fd, 3)


def test_a_lease_that_nobody_gives_up_ends_in_time_or_never(machine: Kernel, user: Sys) -> None:
    user.close(make(user))
    fd = user.open("a", user.O_RDONLY, 0)
    machine.sysctl["fs.leases-enable"] = 0
    refused(errno.EINVAL, user.fcntl, fd, F_SETLEASE, F_RDLCK)
    machine.sysctl["fs.leases-enable"] = 1
    user.fcntl(fd, F_SETLEASE, F_WRLCK)
    user.rt_sigaction(29, 1)
    for way, left in ((user.O_RDONLY, F_RDLCK), (user.O_WRONLY, F_UNLCK)):
        refused(errno.EWOULDBLOCK, user.open, "a", way | user.O_NONBLOCK, 0)
        with pytest.raises(WouldBlock) as caught:
            user.open("a", way, 0)
        assert 44 * SECOND < (caught.value.deadline or 0) - machine.clock.now_ns <= 45 * SECOND
        machine.clock.advance(45 * SECOND)
        user.close(user.open("a", way, 0))
        assert user.fcntl(fd, F_GETLEASE) == left
    machine.sysctl["fs.lease-break-time"] = 0
    user.fcntl(fd, F_SETLEASE, F_RDLCK)
    with pytest.raises(WouldBlock) as caught:
        user.truncate("a", 0)
    assert caught.value.deadline is None
    user.close(fd)
    user.truncate("a", 0)


# ---- descriptors ----


def test_close_range_closes_or_marks(user: Sys) -> None:
    fds = [make(user, name) for name in "abcd"]
    user.close_range(fds[1], fds[2], 4)
    assert [user.fcntl(fd, user.F_GETFD) for fd in fds] == [0, 1, 1, 0]
    user.close_range(fds[1], (1 << 32) - 1)
    assert sorted(user.task.fds.files) == [fds[0]]
    refused(errno.EINVAL, user.close_range, 5, 3)


def test_ioctl_of_a_plain_file(user: Sys, at: int) -> None:
    fd = make(user, "a", b"12345")
    user.read(fd, 2)
    assert user.syscall(IOCTL, fd, 0x541B, at) == 0
    assert struct.unpack("<i", user.load(at, 4)) == (3,)
    assert user.ioctl(fd, 0x5451) == 0
    assert user.fcntl(fd, user.F_GETFD) == 1
    assert user.syscall(IOCTL, fd, 0x5401, at) == -errno.ENOTTY
    assert user.syscall(IOCTL, 99, 0x5401, at) == -errno.EBADF
    user.store(at, struct.pack("<i", 1))
    user.ioctl(fd, 0x5421, at)
    assert user.fcntl(fd, user.F_GETFL) & user.O_NONBLOCK


def test_a_path_descriptor_names_and_does_nothing_else(user: Sys, at: int) -> None:
    user.mkdir("d", 0o755)
    make(user, "d/f", b"x")
    fd = user.open("d", user.O_PATH, 0)
    assert user.fstat(user.openat(fd, "f", user.O_RDONLY, 0)).st_size == 1
    user.fchdir(fd)
    assert user.getcwd() == "/tmp/d"
    for call, args in (
        (user.getdents64, (fd, 100)), (user.fchmod, (fd, 0)), (user.flock, (fd, 1)),
        (user.ioctl, (fd, 0x5451)), (user.fcntl, (fd, user.F_SETFL, 0)), (user.fsync, (fd,)),
        (user.mmap, (0, PAGE, 1, user.MAP_PRIVATE, fd, 0)),
    ):  # fmt: skip
        refused(errno.EBADF, call, *args)
    assert user.dup(fd) > fd


def test_sendfile_and_copy_file_range(user: Sys, at: int) -> None:
    source, target = make(user, "a", bytes(range(200))), make(user, "b")
    user.store(at, struct.pack("<q", 100))
    assert user.syscall(SENDFILE, target, source, at, 1000) == 100
    assert struct.unpack("<q", user.load(at, 8)) == (200,)
    assert user.lseek(source, 0, user.SEEK_CUR) == 0
    assert user.sendfile(target, source, 0, 50) == 50
    assert user.copy_file_range(source, 0, target, 0, 500, 0) == 150
    assert user.fstat(target).st_size == 300
    assert user.pread64(target, 300, 0) == bytes([*range(100, 200), *range(200)])
    reader, writer = user.pipe()
    user.lseek(source, 0, 0)
    assert user.sendfile(writer, source, 0, 10) == 10
    refused(errno.EINVAL, user.sendfile, target, reader, 0, 10)
    refused(errno.EINVAL, user.copy_file_range, source, 0, source, 0, 10, 0)


# ---- the rest ----


def test_devices(user: Sys, machine: Kernel) -> None:
    assert user.stat("/dev/null").st_rdev == 1 << 8 | 3
    random = user.open("/dev/urandom", user.O_RDONLY, 0)
    first = user.read(random, 32)
    assert len(first) == 32 != len(set(user.read(random, 32) + first))
    with Kernel() as twin:
        other = Sys(twin.spawn())
        assert other.read(other.open("/dev/random", 0, 0), 32) == first
    refused(errno.ENXIO, user.open, "/dev/tty", user.O_RDWR, 0)
    refused(errno.ENOSPC, user.write, user.open("/dev/full", user.O_WRONLY, 0), b"x")
    assert user.readlink("/dev/stdin") == "/proc/self/fd/0"
    refused(errno.EPERM, user.mknod, "null", 0o020666, 1 << 8 | 3)
    root = Sys(machine.spawn(uid=0, gid=0))
    root.umask(0)
    root.mknod("/tmp/null", 0o020666, 1 << 8 | 3)
    assert user.write(user.open("/tmp/null", user.O_WRONLY, 0), b"gone") == 4


def test_extended_attributes(user: Sys, at: int, machine: Kernel) -> None:
    make(user)
    user.setxattr("a", "user.one", b"1")
    user.setxattr("a", "user.two", b"22", 1)
    refused(errno.EEXIST, user.setxattr, "a", "user.one", b"", 1)
    refused(errno.ENODATA, user.setxattr, "a", "user.none", b"", 2)
    refused(errno.ENODATA, user.getxattr, "a", "user.none")
    refused(errno.EOPNOTSUPP, user.setxattr, "a", "other", b"")
    refused(errno.EPERM, user.setxattr, "a", "trusted.x", b"")
    refused(errno.ERANGE, user.getxattr, "a", "")
    assert user.getxattr("a", "user.two") == b"22"
    user.store(at + 512, b"a\0")
    assert user.syscall(LISTXATTR, at + 512, at, 0) == 18
    assert user.syscall(LISTXATTR, at + 512, at, 5) == -errno.ERANGE
    assert user.syscall(LISTXATTR, at + 512, at, 100) == 18
    assert user.load(at, 18) == b"user.one\0user.two\0"
    user.removexattr("a", "user.one")
    refused(errno.ENODATA, user.removexattr, "a", "user.one")
    refused(errno.EACCES, Sys(machine.spawn(uid=7, gid=7)).setxattr, "/tmp/a", "user.x", b"")


def test_an_unnamed_file_can_be_given_a_name(user: Sys) -> None:
    fd = user.open("/tmp", 0o20200000 | user.O_RDWR, 0o600)
    user.write(fd, b"kept")
    assert user.fstat(fd).st_nlink == 0
    user.linkat(fd, "", -100, "/tmp/named", 0x1000)
    user.close(fd)
    assert user.stat("/tmp/named").st_size == 4


def test_an_interrupted_opener_of_a_fifo_is_not_met(user: Sys) -> None:
    user.mknod("p", 0o010600, 0)
    with pytest.raises(WouldBlock) as caught:
        user.open("p", user.O_RDONLY, 0)
    assert caught.value.interrupted is not None
    caught.value.interrupted()
    refused(errno.ENXIO, user.open, "p", user.O_WRONLY | user.O_NONBLOCK, 0)
