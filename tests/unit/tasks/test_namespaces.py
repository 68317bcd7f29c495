"""Namespaces: a capability inside one is no power over what belongs to the machine."""

from __future__ import annotations

import errno

import pytest

from pkern.kernel.errors import SyscallError
from pkern.kernel.machine import Kernel
from pkern.kernel.namespaces.idmap import parse
from pkern.kernel.namespaces.user import Extent, IdMap
from pkern.kernel.tasks.credentials import ALL_CAPS
from pkern.kernel.vfs.proc.procfs import ProcFs
from pkern.userland.program import Sys

NEWUTS, NEWIPC, NEWUSER = 0x4000000, 0x8000000, 0x10000000
PAGE = 4096


def put(sys: Sys, path: str, text: bytes) -> int:
    fd = sys.open(path, sys.O_WRONLY)
    try:
        return sys.write(fd, text)
    finally:
        sys.close(fd)


def get(sys: Sys, path: str) -> bytes:
    fd = sys.open(path, sys.O_RDONLY)
    try:
        return sys.read(fd, PAGE)
    finally:
        sys.close(fd)


def root_inside(kernel: Kernel, uid: int = 1000, more: int = 0) -> Sys:
    """Return a program that is root, with all capabilities, of a user namespace of its own."""
    sys = Sys(kernel.spawn("inside", uid=uid, gid=uid))
    sys.unshare(NEWUSER | more)
    put(sys, "/proc/self/setgroups", b"deny")
    put(sys, "/proc/self/uid_map", b"0 %d 1" % uid)
    put(sys, "/proc/self/gid_map", b"0 %d 1" % uid)
    assert (sys.getuid(), sys.getgid()) == (0, 0)
    assert sys.task.caps == ALL_CAPS
    return sys


def refused(number: int, call: object, *arguments: object) -> None:
    with pytest.raises(OSError) as caught:
        call(*arguments)  # type: ignore[operator]
    assert caught.value.errno == number


def test_root_inside_has_no_capability_over_the_machine(kernel: Kernel) -> None:
    inside = root_inside(kernel)
    assert not any(inside.task.capable(capability) for capability in ALL_CAPS)


def test_the_gate_of_nonlinear_mappings_stays_closed(kernel: Kernel) -> None:
    inside = root_inside(kernel)
    kind = inside.MAP_SHARED | inside.MAP_NONLINEAR
    refused(errno.EPERM, inside.mmap, 0, 4 * PAGE, inside.PROT_READ, kind, -1, 0)
    root = Sys(kernel.spawn("root", uid=0, gid=0))
    assert root.mmap(0, 4 * PAGE, root.PROT_READ, kind, -1, 0)
    refused(errno.EPERM, inside.remap_file_pages, PAGE, PAGE, 0, 0, 0)


def test_locking_memory_has_its_limit(kernel: Kernel) -> None:
    inside = root_inside(kernel)
    inside.setrlimit(inside.RLIMIT_MEMLOCK, (PAGE, PAGE))
    where = inside.mmap(0, 4 * PAGE, 3, inside.MAP_PRIVATE | inside.MAP_ANONYMOUS)
    assert inside.mlock(where, PAGE) == 0
    refused(errno.ENOMEM, inside.mlock, where, 4 * PAGE)
    refused(errno.EPERM, inside.setrlimit, inside.RLIMIT_MEMLOCK, (PAGE, 2 * PAGE))


@pytest.mark.parametrize(
    "name",
    ["vm/nonlinear", "vm/overcommit_memory", "kernel/pid_max", "kernel/core_pattern",
     "kernel/hostname", "kernel/shmmax", "fs/file-max", "vm/drop_caches"],
)  # fmt: skip
def test_the_machines_sysctls_cannot_be_written(kernel: Kernel, name: str) -> None:
    inside = root_inside(kernel)
    refused(errno.EACCES, inside.open, f"/proc/sys/{name}", inside.O_WRONLY)


def test_sysctls_of_its_own_namespaces_can(kernel: Kernel) -> None:
    inside = root_inside(kernel, more=NEWIPC)
    assert put(inside, "/proc/sys/kernel/shmmni", b"9") == 1
    assert get(inside, "/proc/sys/kernel/shmmni") == b"9\n"
    assert kernel.sysctl["kernel.shmmni"] == 4096


def test_files_tasks_and_names_of_others_are_out_of_reach(kernel: Kernel) -> None:
    root = Sys(kernel.spawn("root", uid=0, gid=0))
    fd = root.open("/tmp/secret", root.O_RDWR | root.O_CREAT, 0o600)
    root.close(fd)
    inside = root_inside(kernel)
    refused(errno.EACCES, inside.open, "/tmp/secret", inside.O_RDONLY)
    refused(errno.EPERM, inside.chown, "/tmp/secret", 0, 0)
    refused(errno.EPERM, inside.chmod, "/tmp/secret", 0o777)
    refused(errno.EPERM, inside.unlink, "/tmp/secret")  # sticky
    assert inside.stat("/tmp/secret").st_uid == 65534
    refused(errno.EPERM, inside.kill, root.task.pid, 9)
    refused(errno.EACCES, inside.open, f"/proc/{root.task.pid}/mem", inside.O_RDONLY)
    refused(errno.EPERM, inside.sethostname, b"mine")
    refused(errno.EPERM, inside.mount, "none", "/tmp", "tmpfs")
    refused(errno.EPERM, inside.mknod, "/tmp/null", 0o20666, 0x103)
    refused(errno.EPERM, inside.swapon, "/tmp/secret", 0)


def test_objects_of_the_machines_ipc_are_out_of_reach(kernel: Kernel) -> None:
    root = Sys(kernel.spawn("root", uid=0, gid=0))
    shmid = root.shmget(5, PAGE, root.IPC_CREAT | 0o600)
    inside = root_inside(kernel)
    refused(errno.EACCES, inside.shmget, 5, PAGE, 0o600)
    refused(errno.EPERM, inside.shmctl, shmid, root.IPC_RMID)


def test_the_owner_has_power_from_above_and_none_from_beside(kernel: Kernel) -> None:
    inside = root_inside(kernel)
    owner = Sys(kernel.spawn("owner", uid=1000, gid=1000))
    other = Sys(kernel.spawn("other", uid=1001, gid=1001))
    beside = root_inside(kernel)
    target = inside.task.cred.user_ns
    assert owner.task.capable_in(target, "CAP_SYS_ADMIN")
    assert not other.task.capable_in(target, "CAP_SYS_ADMIN")
    assert not beside.task.capable_in(target, "CAP_SYS_ADMIN")
    assert owner.task.may_trace(inside.task) and not inside.task.may_trace(owner.task)
    assert not beside.task.may_trace(inside.task)


def test_a_namespace_goes_with_its_last_user(kernel: Kernel) -> None:
    inside = root_inside(kernel, more=NEWUTS | NEWIPC)
    inside.shmget(5, 16 * PAGE, inside.IPC_CREAT | 0o600)
    outside = Sys(kernel.spawn("root", uid=0, gid=0))
    fd = outside.open(f"/proc/{inside.task.pid}/ns/uts", outside.O_RDONLY)
    assert len(kernel.namespaces.made) == 3
    inside.task.exit(0)
    assert {one.kind.name for one in kernel.namespaces.made.values()} == {"user", "uts"}
    outside.setns(fd, 0)
    outside.close(fd)
    assert len(kernel.namespaces.made) == 2
    outside.task.exit(0)
    kernel.namespaces.sweep()
    assert not kernel.namespaces.made


def test_a_clone_that_cannot_be_made_leaves_no_namespace(kernel: Kernel) -> None:
    user = Sys(kernel.spawn("user"))
    refused(errno.EPERM, user.unshare, NEWUTS)
    user.setrlimit(user.RLIMIT_NPROC, (0, 0))
    refused(errno.EAGAIN, user.clone, NEWUSER | NEWUTS)
    kernel.namespaces.sweep()
    assert not kernel.namespaces.made


def test_maps_lead_down_and_up() -> None:
    wide = IdMap([Extent(0, 1000, 10), Extent(100, 5000, 5)])
    assert [wide.down(n) for n in (0, 9, 10, 104)] == [1000, 1009, None, 5004]
    assert [wide.up(n) for n in (1000, 1009, 1010, 5004)] == [0, 9, None, 104]
    assert IdMap([Extent(7, 2, 3)]).through(wide) == (Extent(7, 1002, 3),)
    with pytest.raises(SyscallError):
        IdMap([Extent(0, 8, 5)]).through(wide)
    assert parse(b"0 1 2\n  9 8 7 \n") == (Extent(0, 1, 2), Extent(9, 8, 7))


NEWPID = 0x20000000


def first_inside(kernel: Kernel) -> tuple[Sys, Sys]:
    """Return a program, and the first of a pid namespace, its child."""
    above = root_inside(kernel)
    above.unshare(NEWPID)
    return above, above.fork()


def test_numbers_begin_anew_and_go_with_their_pids(kernel: Kernel) -> None:
    above, first = first_inside(kernel)
    assert (first.getpid(), first.getppid()) == (1, 0)
    second = first.fork()
    assert (second.getpid(), second.getppid()) == (2, 1)
    second.setsid()
    second.task.exit(3)
    assert first.wait4(2) == (2, 3 << 8)
    assert not first.task.pid_of(2)
    assert above.task.number_of(first.task.pid) == first.task.pid


def test_the_end_of_the_first_process_ends_all(kernel: Kernel) -> None:
    above, first = first_inside(kernel)
    first.fork()
    others = [task for task in kernel.tasks.values() if task.pid_ns is first.task.pid_ns]
    assert len(others) == 2
    first.task.exit(0)
    assert not any(task.alive for task in others)
    refused(errno.ENOMEM, above.fork)


def test_proc_shows_the_namespace_that_it_was_mounted_in(kernel: Kernel) -> None:
    _, first = first_inside(kernel)
    fs = ProcFs(kernel, first.task.pid_ns)
    root = fs.root
    assert [name for name in root.names(first.task) if name.isdecimal()] == ["1"]
    status = root.lookup("1", first.task).lookup("status", first.task).opened(first.task)
    text = status.read(0, PAGE)
    assert b"\nPid:\t1\n" in text and b"\nNSpid:\t1\n" in text and b"\nPPid:\t0\n" in text
    assert root.entries["self"].readlink(first.task) == "1"
    whole = get(first, f"/proc/{first.task.pid}/status")
    assert b"\nNSpid:\t%d\t1\n" % first.task.pid in whole


def test_nothing_is_seen_of_who_is_outside(kernel: Kernel) -> None:
    _, first = first_inside(kernel)
    outside = kernel.spawn("outside").pid
    refused(errno.ESRCH, first.kill, outside, 0)
    refused(errno.ESRCH, first.getpgid, outside)
    refused(errno.ESRCH, first.pidfd_open, outside)
    refused(errno.ESRCH, first.prlimit64, outside, first.RLIMIT_NOFILE)


def test_no_signal_from_inside_ends_the_first_process(kernel: Kernel) -> None:
    above, first = first_inside(kernel)
    for signo in (9, 15, 19):
        first.kill(1, signo)
    assert first.task.alive
    above.kill(first.task.pid, 9)
    assert not first.task.alive


NEWNS = 0x20000
BIND, REMOUNT, RDONLY, MOVE, DETACH = 4096, 32, 1, 8192, 2


def test_mounts_inside_are_not_seen_outside(kernel: Kernel) -> None:
    outside = Sys(kernel.spawn("outside", uid=0, gid=0))
    outside.close(outside.open("/tmp/file", outside.O_CREAT | outside.O_RDWR, 0o644))
    inside = root_inside(kernel, more=NEWNS)
    inside.mount("none", "/tmp", "tmpfs")
    assert inside.listdir("/tmp") == [] and outside.listdir("/tmp") == ["file"]
    assert inside.stat("/tmp").st_uid == 0 and b" /tmp " in get(inside, "/proc/self/mountinfo")
    assert get(outside, "/proc/self/mounts").count(b" /tmp ") == 1
    inside.umount2("/tmp", 0)
    assert inside.listdir("/tmp") == ["file"]


def test_what_the_machine_has_mounted_cannot_be_uncovered_inside(kernel: Kernel) -> None:
    root = Sys(kernel.spawn("root", uid=0, gid=0))
    root.mount("/dev", "/dev", None, BIND)
    root.mount("", "/dev", None, BIND | REMOUNT | RDONLY)
    inside = root_inside(kernel, more=NEWNS)
    refused(errno.EINVAL, inside.umount2, "/dev", DETACH)
    refused(errno.EINVAL, inside.mount, "/proc", "/tmp", None, MOVE)
    refused(errno.EPERM, inside.mount, "", "/dev", None, BIND | REMOUNT)
    refused(errno.EPERM, inside.mount, "", "/tmp", None, REMOUNT | RDONLY)
    refused(errno.EPERM, inside.mount, "none", "/tmp", "hugetlbfs")
    assert root.listdir("/tmp") == []


def test_the_machines_mounts_want_its_own_power(kernel: Kernel) -> None:
    inside = root_inside(kernel)
    refused(errno.EPERM, inside.mount, "/tmp", "/dev", None, BIND)
    refused(errno.EPERM, inside.umount2, "/tmp", 0)
    refused(errno.EPERM, inside.pivot_root, "/tmp", "/tmp")


def test_a_file_system_ends_with_its_last_mount(kernel: Kernel) -> None:
    root = Sys(kernel.spawn("root", uid=0, gid=0))
    for name in ("/tmp/a", "/tmp/b"):
        root.mkdir(name)
    before = len(kernel.vfs.table.file_systems)
    root.mount("none", "/tmp/a", "tmpfs")
    root.mount("/tmp/a", "/tmp/b", None, BIND)
    fd = root.open("/tmp/b/file", root.O_CREAT | root.O_RDWR, 0o600)
    root.umount2("/tmp/a", 0)
    refused(errno.EBUSY, root.umount2, "/tmp/b", 0)
    root.umount2("/tmp/b", DETACH)
    assert root.write(fd, b"still there") == 11
    assert len(kernel.vfs.table.file_systems) == before + 1
    root.close(fd)
    kernel.vfs.table.sweep()
    assert len(kernel.vfs.table.file_systems) == before


def test_a_zombie_still_has_a_pid_and_a_user_namespace(kernel: Kernel) -> None:
    sys = Sys(kernel.spawn("root", uid=0, gid=0))
    child = sys.fork()
    pid = child.getpid()
    child.task.exit(0)
    for name in ("pid", "user"):
        assert sys.readlink(f"/proc/{pid}/ns/{name}") == sys.readlink(f"/proc/self/ns/{name}")
    for name in ("mnt", "pid_for_children", "uts"):
        with pytest.raises(FileNotFoundError):
            sys.readlink(f"/proc/{pid}/ns/{name}")
