"""Paths: links, dotdot, trailing slashes, rights, roots. test_files_host asks the host, too."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pkern.kernel.errors import SyscallError
from pkern.kernel.machine import Kernel
from pkern.kernel.vfs.fs.hostfs import Access, HostFs
from pkern.userland.program import Sys


@pytest.fixture
def machine() -> Iterator[Kernel]:
    with Kernel() as kernel:
        yield kernel
        kernel.check()


@pytest.fixture
def user(machine: Kernel) -> Sys:
    sys = Sys(machine.spawn())
    sys.mkdir("/tmp/w", 0o755)
    sys.chdir("/tmp/w")
    return sys


@pytest.fixture
def root(machine: Kernel) -> Sys:
    return Sys(machine.spawn(uid=0, gid=0))


def refused(number: int, call: Any, *args: Any) -> None:
    with pytest.raises(SyscallError) as caught:
        call(*args)
    assert caught.value.errno == number, errno.errorcode[caught.value.errno or 0]


def make(user: Sys, path: str, content: bytes = b"") -> None:
    fd = user.open(path, user.O_WRONLY | user.O_CREAT, 0o644)
    user.write(fd, content)
    user.close(fd)


# ---- links ----


def test_forty_links_are_followed_and_one_more_is_eloop(user: Sys) -> None:
    make(user, "l0", b"end")
    for number in range(1, 42):
        user.symlink(f"l{number - 1}", f"l{number}")
    assert user.stat("l40").st_size == 3
    refused(errno.ELOOP, user.stat, "l41")


def test_a_link_to_itself_can_be_seen_and_removed_but_not_followed(user: Sys) -> None:
    user.symlink("me", "me")
    refused(errno.ELOOP, user.stat, "me")
    assert user.readlink("me") == "me"
    assert user.lstat("me").st_size == 2
    user.unlink("me")
    refused(errno.ENOENT, user.lstat, "me")


def test_a_relative_target_starts_where_the_link_is(user: Sys) -> None:
    user.mkdir("d", 0o755)
    make(user, "d/f", b"in d")
    user.symlink("f", "d/l")
    user.symlink("d/l", "outer")
    assert user.stat("outer").st_size == 4


def test_dotdot_after_a_link_is_the_real_parent_and_not_the_text_s(user: Sys) -> None:
    user.mkdir("d", 0o755)
    user.mkdir("d/deep", 0o755)
    make(user, "d/f", b"beside deep")
    user.symlink("d/deep", "l")
    assert user.stat("l/../f").st_size == 11
    refused(errno.ENOENT, user.stat, "f")


def test_creating_through_a_dangling_link_makes_its_target(user: Sys) -> None:
    user.symlink("new", "l")
    make(user, "l", b"x")
    assert user.lstat("new").st_size == 1
    refused(errno.EEXIST, user.open, "l", user.O_CREAT | 0o200, 0o600)  # O_EXCL follows none


def test_nofollow_refuses_a_link_and_a_path_descriptor_names_it(user: Sys) -> None:
    make(user, "f")
    user.symlink("f", "l")
    refused(errno.ELOOP, user.open, "l", user.O_NOFOLLOW, 0)
    fd = user.open("l", user.O_PATH | user.O_NOFOLLOW, 0)
    assert user.readlinkat(fd, "") == "f"
    refused(errno.EBADF, user.read, fd, 1)


# ---- directories ----


def test_a_slash_asks_for_a_directory(user: Sys) -> None:
    make(user, "f")
    refused(errno.ENOTDIR, user.stat, "f/")
    refused(errno.ENOTDIR, user.unlink, "f/")
    refused(errno.EISDIR, user.open, "new/", user.O_CREAT, 0o600)
    user.mkdir("d/", 0o755)
    user.symlink("d", "l")
    assert user.lstat("l/").st_mode & 0o170000 == 0o040000


def test_a_directory_that_moves_takes_its_names_along(user: Sys) -> None:
    user.mkdir("a", 0o755)
    user.mkdir("a/b", 0o755)
    user.mkdir("c", 0o755)
    fd = user.open("a/b", user.O_DIRECTORY, 0)
    user.chdir("a/b")
    user.rename("/tmp/w/a/b", "/tmp/w/c/moved")
    assert user.getcwd() == "/tmp/w/c/moved"
    user.mkdir("/tmp/w/c/only", 0o755)
    assert user.stat("../only").st_ino == user.stat("/tmp/w/c/only").st_ino
    make_at = user.openat(fd, "f", user.O_CREAT | user.O_WRONLY, 0o600)
    user.close(make_at)
    assert user.listdir("/tmp/w/c/moved") == ["f"]
    assert user.stat("/tmp/w/a").st_nlink == 2


def test_a_removed_working_directory_has_no_name_and_takes_none(user: Sys) -> None:
    user.mkdir("gone", 0o755)
    user.chdir("gone")
    user.rmdir("/tmp/w/gone")
    refused(errno.ENOENT, user.getcwd)
    refused(errno.ENOENT, user.mkdir, "x", 0o755)
    refused(errno.ENOENT, user.open, "x", user.O_CREAT, 0o600)
    user.chdir("..")
    assert user.getcwd() == "/tmp/w"


def test_a_directory_cannot_be_moved_below_itself(user: Sys) -> None:
    user.mkdir("a", 0o755)
    user.mkdir("a/b", 0o755)
    user.symlink("a/b", "l")
    refused(errno.EINVAL, user.rename, "a", "a/b/c")
    refused(errno.EINVAL, user.rename, "a", "l/c")  # the text does not tell


def test_entries_change_places(user: Sys) -> None:
    make(user, "f", b"file")
    user.mkdir("d", 0o755)
    user.mkdir("d/in", 0o755)
    user.renameat2(-100, "f", -100, "d/in", 2)
    assert user.stat("d/in").st_size == 4
    assert user.stat("f").st_mode & 0o170000 == 0o040000
    assert (user.stat(".").st_nlink, user.stat("d").st_nlink) == (4, 2)
    refused(errno.EEXIST, user.renameat2, -100, "f", -100, "d", 1)


def test_listing_goes_on_while_entries_are_removed(user: Sys) -> None:
    names = {f"file{number:03}" for number in range(100)}
    for name in names:
        make(user, name)
    fd, seen = user.open(".", user.O_DIRECTORY, 0), set()
    while raw := user.getdents64(fd, 200):
        while raw:
            length = int.from_bytes(raw[16:18], "little")
            name = raw[19:length].split(b"\0")[0].decode()
            raw = raw[length:]
            if name not in (".", ".."):
                user.unlink(name)
                seen.add(name)
    assert seen == names


# ---- rights ----


def test_searching_a_directory_needs_its_x_bit(user: Sys, machine: Kernel, root: Sys) -> None:
    user.mkdir("d", 0o700)
    make(user, "d/f")
    stranger = Sys(machine.spawn(uid=2000, gid=2000))
    refused(errno.EACCES, stranger.stat, "/tmp/w/d/f")
    refused(errno.EACCES, stranger.chdir, "/tmp/w/d")
    assert root.stat("/tmp/w/d/f").st_uid == 1000
    user.chmod("d", 0o600)
    refused(errno.EACCES, user.stat, "d/f")
    assert user.listdir("d") == ["f"]


def test_writing_clears_set_user_id(user: Sys) -> None:
    make(user, "f")
    user.chmod("f", 0o6755)
    fd = user.open("f", user.O_WRONLY, 0)
    user.write(fd, b"x")
    assert user.fstat(fd).st_mode & 0o7777 == 0o755


def test_a_set_group_id_directory_passes_its_group_on(machine: Kernel, root: Sys) -> None:
    root.mkdir("/tmp/shared", 0o777)
    root.chown("/tmp/shared", 0, 77)
    root.chmod("/tmp/shared", 0o2777)
    user = Sys(machine.spawn())
    user.mkdir("/tmp/shared/d", 0o755)
    make(user, "/tmp/shared/f")
    assert user.stat("/tmp/shared/d").st_gid == user.stat("/tmp/shared/f").st_gid == 77
    assert user.stat("/tmp/shared/d").st_mode & 0o2000


# ---- roots and mounts ----


def test_nothing_leads_out_of_a_new_root(root: Sys) -> None:
    root.mkdir("/tmp/jail", 0o755)
    root.symlink("/../../dev", "/tmp/jail/out")
    root.chroot("/tmp/jail")
    root.chdir("/")
    assert root.getcwd() == "/"
    assert root.stat("/../..").st_ino == root.stat("/").st_ino
    refused(errno.ENOENT, root.stat, "/dev/null")
    refused(errno.ENOENT, root.stat, "/out")


def test_chroot_and_mount_need_their_capabilities(user: Sys) -> None:
    refused(errno.EPERM, user.chroot, "/tmp")
    refused(errno.EPERM, user.mount, "none", "/tmp/w", "tmpfs")
    refused(errno.EPERM, user.umount2, "/dev/shm", 0)


def test_a_mount_covers_and_gives_back(root: Sys) -> None:
    root.mkdir("/tmp/m", 0o755)
    make(root, "/tmp/m/under")
    device = root.stat("/tmp/m").st_dev
    root.mount("none", "/tmp/m", "tmpfs", 0, "size=64k,mode=700")
    assert root.listdir("/tmp/m") == []
    assert root.stat("/tmp/m").st_mode & 0o7777 == 0o700
    assert root.stat("/tmp/m").st_dev != device == root.stat("/tmp/m/..").st_dev
    make(root, "/tmp/m/above")
    refused(errno.EXDEV, root.rename, "/tmp/m/above", "/tmp/above")
    refused(errno.EXDEV, root.link, "/tmp/m/above", "/tmp/above")
    refused(errno.EBUSY, root.rmdir, "/tmp/m")
    refused(errno.EBUSY, root.rename, "/tmp/m", "/tmp/n")
    fd = root.open("/tmp/m/above", root.O_RDONLY, 0)
    refused(errno.EBUSY, root.umount2, "/tmp/m", 0)
    root.close(fd)
    root.umount2("/tmp/m", 0)
    assert root.listdir("/tmp/m") == ["under"]
    refused(errno.EINVAL, root.umount2, "/tmp/m", 0)


def mounted(sys: Sys, folder: str) -> list[str]:
    """Return the lines of /proc/mounts about a folder."""
    fd = sys.open("/proc/mounts", sys.O_RDONLY, 0)
    lines = sys.read(fd, 1 << 16).decode().splitlines()
    sys.close(fd)
    return [line for line in lines if line.split()[1] == folder]


# Linux 6.18 answers the same to the calls below.
RDONLY, NOSUID, NODEV, NOEXEC, REMOUNT = 1, 2, 4, 8, 32


def test_mounts_on_one_place_are_stacked(root: Sys) -> None:
    root.mkdir("/tmp/m", 0o755)
    root.mount("one", "/tmp/m", "tmpfs", 0, "size=64k,mode=700")
    make(root, "/tmp/m/first")
    root.mount("two", "/tmp/m", "tmpfs", NOSUID | NOEXEC, "nr_inodes=5")
    assert mounted(root, "/tmp/m") == [
        "one /tmp/m tmpfs rw,relatime,size=64k,mode=700 0 0",
        "two /tmp/m tmpfs rw,nosuid,noexec,relatime,nr_inodes=5 0 0",
    ]
    make(root, "/tmp/m/second")
    assert root.listdir("/tmp/m") == ["second"]
    assert root.stat("/tmp/m/..").st_ino == root.stat("/tmp").st_ino
    root.umount2("/tmp/m", 0)
    assert root.listdir("/tmp/m") == ["first"]
    root.mount("p", "/tmp/m", "proc", NODEV)
    assert root.stat("/tmp/m/self/status").st_size == 0
    root.umount2("/tmp/m", 0)
    root.umount2("/tmp/m", 0)
    assert root.listdir("/tmp/m") == mounted(root, "/tmp/m") == []
    refused(errno.EINVAL, root.mount, "none", "/tmp/m", None, REMOUNT)


def test_the_inodes_of_a_tmpfs_can_be_limited(root: Sys) -> None:
    root.mkdir("/tmp/m", 0o755)
    root.mount("none", "/tmp/m", "tmpfs", 0, "nr_inodes=5")
    for name in "123":
        make(root, f"/tmp/m/{name}")
    root.mkdir("/tmp/m/4", 0o755)
    for call, args in (
        (root.open, ("/tmp/m/5", root.O_CREAT | root.O_RDWR, 0o600)),
        (root.link, ("/tmp/m/1", "/tmp/m/5")),
        (root.mkdir, ("/tmp/m/4/5", 0o755)),
        (root.symlink, ("1", "/tmp/m/5")),
        (root.mknod, ("/tmp/m/5", 0o010600, 0)),
    ):
        refused(errno.ENOSPC, call, *args)
    refused(errno.EINVAL, root.mount, "none", "/tmp/m", None, REMOUNT, "nr_inodes=4")
    root.unlink("/tmp/m/1")
    root.symlink("2", "/tmp/m/5")


def test_a_mount_becomes_read_only_and_another_size(root: Sys) -> None:
    root.mkdir("/tmp/m", 0o755)
    root.mount("none", "/tmp/m", "tmpfs", 0, "size=1m")
    fd = root.open("/tmp/m/f", root.O_CREAT | root.O_RDWR, 0o600)
    root.write(fd, bytes(1 << 17))
    refused(errno.EINVAL, root.mount, "none", "/tmp/m", None, REMOUNT, "size=64k")
    refused(errno.EBUSY, root.mount, "none", "/tmp/m", None, REMOUNT | RDONLY)
    root.close(fd)
    root.mount("none", "/tmp/m", None, REMOUNT | RDONLY, "size=128k,mode=711")
    assert mounted(root, "/tmp/m") == ["none /tmp/m tmpfs ro,relatime,size=128k 0 0"]
    assert root.stat("/tmp/m").st_mode & 0o7777 == 0o1777
    for call, args in (
        (root.mkdir, ("/tmp/m/d", 0o755)),
        (root.unlink, ("/tmp/m/f",)),
        (root.chmod, ("/tmp/m/f", 0o600)),
        (root.truncate, ("/tmp/m/f", 0)),
        (root.utimensat, (-100, "/tmp/m/f")),
        (root.open, ("/tmp/m/f", root.O_RDWR, 0)),
    ):
        refused(errno.EROFS, call, *args)
    root.close(root.open("/tmp/m/f", root.O_RDONLY, 0))
    root.mount("none", "/tmp/m", None, REMOUNT)
    root.unlink("/tmp/m/f")
    root.umount2("/tmp/m", 0)
    root.mount("none", "/tmp/m", "tmpfs", RDONLY)
    refused(errno.EROFS, root.mkdir, "/tmp/m/d", 0o755)


def test_a_hugetlbfs(root: Sys, machine: Kernel) -> None:
    large = 2 << 20
    machine.sysctl["vm.nr_hugepages"] = 2
    root.mkdir("/tmp/h", 0o755)
    root.mount("none", "/tmp/h", "hugetlbfs", 0, "pagesize=2M")
    assert mounted(root, "/tmp/h") == ["none /tmp/h hugetlbfs rw,relatime,pagesize=2M 0 0"]
    assert root.stat("/tmp/h").st_mode & 0o7777 == 0o755
    fd = root.open("/tmp/h/file", root.O_CREAT | root.O_RDWR, 0o600)
    at = root.mmap(0, 2 * large, 3, root.MAP_SHARED, fd, 0)
    assert machine.counters.nr_huge_reserved == 2
    root.store(at + large, b"there")
    assert root.pread64(fd, 5, large) == b"there"
    root.munmap(at, 2 * large)
    root.close(fd)
    assert (machine.counters.nr_huge_free, machine.counters.nr_huge_reserved) == (1, 1)
    root.unlink("/tmp/h/file")
    assert (machine.counters.nr_huge_free, machine.counters.nr_huge_reserved) == (2, 0)
    refused(errno.EINVAL, root.mount, "none", "/tmp/h", "hugetlbfs", 0, "pagesize=4K")
    root.umount2("/tmp/h", 0)


@pytest.mark.parametrize(
    ("kind", "options", "number", "lines"),
    [
        ("proc", "pidns=/none", errno.ENOENT, ["proc: could not get file from pidns argument"]),
        ("proc", "pidns=/tmp", errno.EINVAL, ["proc: pidns argument is not an nsfs file"]),
        ("proc", "pidns=", errno.EINVAL, ["proc: Bad value for 'pidns'"]),
        ("proc", "hidepid=9", errno.EINVAL, ["proc: unknown value of hidepid - 9", ""]),
        ("tmpfs", "nosuch", errno.EINVAL, ["tmpfs: Unknown parameter 'nosuch'"]),
        ("tmpfs", "noswap=1", errno.EINVAL, ["tmpfs: Unexpected value for 'noswap'"]),
        ("tmpfs", "uid=x", errno.EINVAL, ["tmpfs: Bad value for 'uid'"] * 2),
        ("tmpfs", "uid=4294967295", errno.EINVAL, ["tmpfs: Invalid uid '4294967295'"]),
        ("tmpfs", "source=a", errno.EINVAL, ["Multiple sources"]),
        ("devpts", "max=99999999", errno.EINVAL, ["max out of range"]),
        ("hugetlbfs", "pagesize=4K", errno.EINVAL, ["hugetlbfs: Unsupported page size 0 MB"]),
    ],
)
def test_the_log_tells_of_what_a_mount_refuses(
    root: Sys, machine: Kernel, kind: str, options: str, number: int, lines: list[str]
) -> None:
    root.mkdir("/tmp/m", 0o755)
    before = len(machine.log.records())
    refused(number, root.mount, "it", "/tmp/m", kind, 0, options)
    told = machine.log.records()[before:]
    assert [(record.level, record.text) for record in told] == [(3, line) for line in lines]


def test_a_full_tmpfs_says_so(root: Sys) -> None:
    root.mkdir("/tmp/m", 0o755)
    root.mount("none", "/tmp/m", "tmpfs", 0, "size=8k")
    fd = root.open("/tmp/m/f", root.O_CREAT | root.O_WRONLY, 0o600)
    assert root.write(fd, bytes(8192)) == 8192
    refused(errno.ENOSPC, root.write, fd, b"x")
    blocks, free = (int.from_bytes(root.statfs("/tmp/m")[i : i + 8], "little") for i in (16, 24))
    assert (blocks, free) == (2, 0)


@pytest.mark.parametrize(
    "options",
    [
        *("size=x", "size=\u00b2", "size=\u0663", "mode=9", "mode=0_7", "uid=-1", "colour=red"),
        "mpol=bind:\u0660",
    ],
)
def test_a_mount_refuses_options_it_does_not_know(root: Sys, options: str) -> None:
    root.mkdir("/tmp/m", 0o755)
    refused(errno.EINVAL, root.mount, "none", "/tmp/m", "tmpfs", 0, options)
    refused(errno.ENODEV, root.mount, "none", "/tmp/m", "btrfs", 0, "")


# ---- the host's directory ----


@pytest.fixture
def host(machine: Kernel, tmp_path: Path) -> Path:
    folder = tmp_path / "shown"
    (folder / "sub").mkdir(parents=True)
    (tmp_path / "secret").write_text("outside")
    (folder / "file").write_text("inside")
    (folder / "sub" / "up").symlink_to("../file")
    (folder / "absolute").symlink_to("/host/file")
    (folder / "outside").symlink_to(tmp_path / "secret")
    (folder / "escape").symlink_to("../secret")
    (folder / "climb").symlink_to("../" * 30 + str(tmp_path / "secret"))
    machine.vfs.mount("/host", HostFs(folder, Access.READ_WRITE))
    return folder


def test_links_of_the_host_stay_inside(root: Sys, host: Path) -> None:
    assert root.stat("/host/sub/up").st_size == 6
    assert root.stat("/host/absolute").st_size == 6  # from the task's root, as any absolute path
    refused(errno.ENOENT, root.stat, "/host/outside")
    assert root.readlink("/host/escape") == "../secret"
    refused(errno.ENOENT, root.stat, "/host/escape")
    refused(errno.ENOENT, root.stat, "/host/climb")


def test_names_on_the_host_are_made_linked_moved_and_removed(root: Sys, host: Path) -> None:
    root.link("/host/file", "/host/sub/second")
    assert root.stat("/host/file").st_nlink == 2
    fd = root.open("/host/sub/second", root.O_WRONLY, 0)
    root.write(fd, b"INSIDE")
    assert root.read(root.open("/host/file", root.O_RDONLY, 0), 9) == b"INSIDE"
    root.symlink("sub/second", "/host/new")
    assert (host / "new").readlink() == Path("sub/second")
    root.rename("/host/sub", "/host/moved")
    assert (host / "moved" / "second").exists()
    root.chmod("/host/moved", 0o711)
    assert (host / "moved").stat().st_mode & 0o777 == 0o711
    root.unlink("/host/moved/second")
    assert root.stat("/host/file").st_nlink == 1
    assert not (host / "moved" / "second").exists()
    refused(errno.EPERM, root.mknod, "/host/pipe", 0o010600, 0)


def test_a_read_only_host_refuses_every_change(root: Sys, machine: Kernel, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    machine.vfs.mount("/ro", HostFs(tmp_path))
    for call, args in (
        (root.mkdir, ("/ro/d", 0o755)),
        (root.unlink, ("/ro/f",)),
        (root.rename, ("/ro/f", "/ro/g")),
        (root.symlink, ("f", "/ro/l")),
        (root.link, ("/ro/f", "/ro/l")),
        (root.chmod, ("/ro/f", 0o600)),
        (root.chown, ("/ro/f", 1, 1)),
        (root.utimensat, (-100, "/ro/f")),
        (root.truncate, ("/ro/f", 0)),
        (root.open, ("/ro/new", root.O_CREAT | root.O_WRONLY, 0o600)),
    ):
        refused(errno.EROFS, call, *args)
    assert root.open("/ro/f", root.O_CREAT | root.O_RDONLY, 0o600) >= 0


# ---- /proc ----


def test_a_descriptor_opens_its_file_again_whatever_its_name(user: Sys) -> None:
    make(user, "f", b"kept")
    fd = user.open("f", user.O_RDONLY, 0)
    user.unlink("f")
    assert user.readlink(f"/proc/self/fd/{fd}") == "/tmp/w/f (deleted)"
    again = user.open(f"/dev/fd/{fd}", user.O_RDWR, 0)
    assert user.read(again, 9) == b"kept"
    assert user.lseek(fd, 0, user.SEEK_CUR) == 0
    assert user.listdir("/proc/self/fd") == [str(fd), str(again)]
    refused(errno.ENOENT, user.open, "/dev/fd/77", user.O_RDONLY, 0)


def test_a_pipe_is_opened_again_through_proc(user: Sys) -> None:
    reader, writer = user.pipe()
    again = user.open(f"/proc/self/fd/{writer}", user.O_WRONLY, 0)
    user.write(again, b"both")
    user.close(writer)
    assert user.read(reader, 9) == b"both"
    assert user.readlink(f"/proc/self/fd/{reader}").startswith("pipe:[")


def test_proc_shows_where_a_task_stands(user: Sys, machine: Kernel, root: Sys) -> None:
    assert user.readlink("/proc/self") == str(user.pid)
    assert user.readlink("/proc/self/cwd") == "/tmp/w"
    assert user.stat("/proc/self/cwd").st_ino == user.stat(".").st_ino
    assert user.readlink(f"/proc/{user.pid}/root") == "/"
    stranger = Sys(machine.spawn(uid=2000, gid=2000))
    refused(errno.EACCES, stranger.readlink, f"/proc/{user.pid}/cwd")
    refused(errno.EACCES, stranger.listdir, f"/proc/{user.pid}/fd")
    assert root.readlink(f"/proc/{user.pid}/cwd") == "/tmp/w"
    user.rmdir("/tmp/w")
    assert user.readlink("/proc/self/cwd") == "/tmp/w (deleted)"
    assert user.stat("/proc/self/cwd").st_nlink == 0
