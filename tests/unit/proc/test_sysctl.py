"""The sysctl table: values, ranges, rights, and what is logged."""

from __future__ import annotations

import errno
from collections.abc import Iterator

import pytest
import structlog

from pkern.kernel.errors import SyscallError
from pkern.kernel.log import KERN_ERR, KERN_INFO, KERN_WARNING
from pkern.kernel.machine import Kernel
from pkern.userland.program import Sys

O_RDONLY, O_WRONLY = 0, 1


@pytest.fixture
def machine() -> Iterator[Kernel]:
    with Kernel(ram="16M") as kernel:
        yield kernel


def refused(number: int) -> pytest.RaisesExc[SyscallError]:
    return pytest.raises(SyscallError, check=lambda error: error.errno == number)


def test_entries_are_sorted_and_explained(machine: Kernel) -> None:
    entries = machine.sysctl.entries()
    assert [e.name for e in entries] == sorted(e.name for e in entries) == list(machine.sysctl)
    assert all(entry.help for entry in entries)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("vm.nonlinear", 0),
        ("vm.nonlinear_mixing", 1),
        ("vm.nonlinear_emulated", 0),
        ("vm.max_map_count", 65530),
        ("vm.mmap_min_addr", 65536),
        ("vm.overcommit_memory", 0),
        ("vm.overcommit_ratio", 50),
        ("vm.overcommit_kbytes", 0),
        ("vm.legacy_va_layout", 0),
        ("kernel.randomize_va_space", 0),
        ("kernel.ostype", "Linux"),
        ("kernel.dmesg_restrict", 0),
        ("kernel.sched_rt_runtime_us", 950_000),
        (
            "kernel.seccomp.actions_avail",
            "kill_process kill_thread trap errno user_notif trace log allow",
        ),
        ("fs.aio-nr", 0),
        ("fs.mount-max", 100_000),
        ("fs.protected_symlinks", 0),
    ],
)
def test_boot_value(machine: Kernel, name: str, value: int | str) -> None:
    assert machine.sysctl[name] == value


def test_nonlinear_max_pages_is_half_of_ram(machine: Kernel) -> None:
    assert machine.sysctl["vm.nonlinear_max_pages"] == (16 << 20) // 4096 // 2


DESIGNS = ["virtual_scan", "pte_chain", "objrmap", "objrmap_tree", "compare"]


@pytest.mark.parametrize("design", DESIGNS)
def test_rmap_shows_the_choice_and_changes_only_while_no_page_is_mapped(design: str) -> None:
    with Kernel(ram="16M", rmap=design) as kernel:
        assert kernel.sysctl["vm.rmap"] == design
        task = kernel.spawn()
        for other in DESIGNS:
            kernel.sysctl["vm.rmap"] = other
            kernel.check()
        task.mm.write(task.mm.vmas()[0].start, b"x")
        with refused(errno.EBUSY):
            kernel.sysctl["vm.rmap"] = design
        with refused(errno.EINVAL):
            kernel.sysctl["vm.rmap"] = "none"
        assert kernel.sysctl["vm.rmap"] == DESIGNS[-1]
        kernel.check()


def test_write_reaches_the_hot_path_and_the_core(machine: Kernel) -> None:
    machine.sysctl["vm.nonlinear"] = 1
    machine.sysctl["vm.max_map_count"] = 100
    assert machine.memory.nonlinear_open == 1
    assert machine.tunables.max_map_count == 100


def test_boot_values_are_set() -> None:
    with Kernel(ram="16M", sysctl={"vm.nonlinear": 1, "kernel.hostname": "box"}) as kernel:
        assert (kernel.memory.nonlinear_open, kernel.nsproxy.uts.hostname) == (1, "box")


@pytest.mark.parametrize(
    "text", ["2", "-1", "", "one", "1 0", "1.0", "0x", "\n", "+1", "08", "0b1"]
)
def test_bad_value_changes_nothing(machine: Kernel, text: str) -> None:
    lines = machine.log.lines()
    with refused(errno.EINVAL):
        machine.sysctl.write("vm.nonlinear", text, None)
    assert machine.memory.nonlinear_open == 0
    assert machine.log.lines() == lines


@pytest.mark.parametrize("text", ["1", "1\n", " 1\n", "0x1", "01"])
def test_spellings_of_a_number(machine: Kernel, text: str) -> None:
    machine.sysctl.write("vm.nonlinear", text, None)
    assert machine.memory.nonlinear_open == 1


def test_unknown_name(machine: Kernel) -> None:
    with refused(errno.ENOENT):
        machine.sysctl["vm.no_such_thing"]
    with refused(errno.ENOENT):
        machine.sysctl["vm.no_such_thing"] = 1


@pytest.mark.parametrize("name", ["kernel.ostype", "kernel.osrelease", "kernel.version"])
def test_read_only_even_for_root(machine: Kernel, name: str) -> None:
    before = machine.sysctl[name]
    with refused(errno.EACCES):
        machine.sysctl[name] = "other"
    assert machine.sysctl[name] == before


def test_only_uid_0_may_write(machine: Kernel) -> None:
    user, root = machine.spawn(), machine.spawn(uid=0, gid=0)
    assert not machine.sysctl.may_write("vm.nonlinear", user)
    assert machine.sysctl.may_write("vm.nonlinear", root)
    with refused(errno.EACCES):
        machine.sysctl.write("vm.nonlinear", "1", user)
    assert machine.memory.nonlinear_open == 0


def test_change_is_logged_with_who_did_it(machine: Kernel) -> None:
    root = machine.spawn(uid=0, gid=0)
    machine.sysctl.write("vm.nonlinear", "1\n", root)
    wanted = f"sysctl: vm.nonlinear = 1 (pid {root.pid}, uid 0)"
    assert machine.log.lines()[-1].endswith(wanted)


def test_proc_sys_is_the_same_table(machine: Kernel) -> None:
    root = machine.spawn(uid=0, gid=0)
    file = machine.vfs.open(root, "/proc/sys/vm/nonlinear", O_WRONLY, 0)
    assert file.inode.write(0, b"1\n", root) == 2
    assert machine.sysctl["vm.nonlinear"] == 1
    shown = machine.vfs.open(root, "/proc/sys/vm/nonlinear", O_RDONLY, 0)
    assert shown.inode.read(0, 100) == b"1\n"


def test_proc_sys_knows_only_what_starts_at_its_beginning(machine: Kernel) -> None:
    root = machine.spawn(uid=0, gid=0)
    inode = machine.vfs.open(root, "/proc/sys/vm/swappiness", O_WRONLY, 0).inode
    assert inode.read(1, 100) == b""
    assert inode.write(0, b"", root) == 0
    assert inode.write(1, b"70", root) == 2
    assert machine.sysctl["vm.swappiness"] == 60


def test_proc_sys_refuses_a_user_at_open(machine: Kernel) -> None:
    user = machine.spawn()
    with refused(errno.EACCES):
        machine.vfs.open(user, "/proc/sys/vm/nonlinear", O_WRONLY, 0)


# ---- fs.file-max, kernel.printk ----


def test_no_more_files_than_file_max(machine: Kernel) -> None:
    user, root = Sys(machine.spawn()), Sys(machine.spawn(uid=0))
    fds = [user.memfd_create("file", 0) for _ in range(3)]
    mapped = user.memfd_create("mapped", 0)
    user.ftruncate(mapped, 4096)
    at = user.mmap(0, 4096, 3, user.MAP_SHARED, mapped, 0)
    user.close(mapped)
    assert machine.sysctl["fs.file-nr"] == "4\t0\t8192"
    machine.sysctl["fs.file-max"] = 4
    for call in (
        lambda: user.open("/tmp/new", user.O_RDWR | user.O_CREAT, 0o600),
        lambda: user.memfd_create("more", 0),
        lambda: user.pipe(),
    ):
        with refused(errno.ENFILE):
            call()
    with refused(errno.ENOENT):
        user.stat("/tmp/new")
    root.memfd_create("more", 0)
    assert machine.log.lines()[-1].endswith("VFS: file-max limit 4 reached")
    machine.sysctl["fs.file-max"] = 5
    user.munmap(at, 4096)
    user.memfd_create("more", 0)
    user.dup(fds[0])
    with refused(errno.ENFILE):
        user.memfd_create("more", 0)


def test_a_row_of_numbers_keeps_what_a_write_leaves_out(machine: Kernel) -> None:
    assert machine.sysctl["kernel.printk"] == "4\t4\t1\t7"
    machine.sysctl["kernel.printk"] = "7"
    assert machine.sysctl["kernel.printk"] == "7\t4\t1\t7"
    machine.sysctl["kernel.printk"] = "3 5\t2"
    assert machine.sysctl["kernel.printk"] == "3\t5\t2\t7"
    for text in ("", "1 2 3 4 5", "a", "-1"):
        with refused(errno.EINVAL):
            machine.sysctl["kernel.printk"] = text
    assert machine.sysctl["kernel.printk"] == "3\t5\t2\t7"


def test_the_console_shows_what_printk_lets_through(machine: Kernel) -> None:
    root = Sys(machine.spawn(uid=0))
    with structlog.testing.capture_logs() as shown:
        machine.log.write(KERN_WARNING, "a warning")
        machine.log.write(KERN_ERR, "an error")
        root.syscall(103, 6, 0, 0)
        machine.log.write(KERN_ERR, "off")
        root.syscall(103, 7, 0, 0)
        root.syscall(103, 8, 0, 8)
        machine.log.write(KERN_INFO, "all of it")
    structlog.reset_defaults()  # or later tests' machines print to this process's subscribers
    assert [line["event"] for line in shown] == ["an error", "all of it"]
    assert machine.sysctl["kernel.printk"] == "8\t4\t1\t7"
    assert [line["log_level"] for line in shown] == ["error", "info"]


def test_a_log_that_is_restricted(machine: Kernel) -> None:
    user = Sys(machine.spawn(uid=1000))
    at = user.mmap(0, 4096, 3, user.MAP_PRIVATE | user.MAP_ANONYMOUS)
    read_all, size = 3, 10
    assert user.syslog(read_all, at, 4096) > 0
    assert user.syslog(size) > 0
    machine.sysctl["kernel.dmesg_restrict"] = 1
    for action in (read_all, size):
        with refused(errno.EPERM):
            user.syslog(action, at, 4096)
    assert Sys(machine.spawn(uid=0)).syslog(size) > 0


def test_what_others_may_not_read(machine: Kernel) -> None:
    path = "/proc/sys/vm/mmap_rnd_bits"
    user, root = Sys(machine.spawn(uid=1000)), Sys(machine.spawn(uid=0))
    with refused(errno.EACCES):
        user.open(path, user.O_RDONLY)
    assert root.read(root.open(path, root.O_RDONLY), 10) == b"28\n"


@pytest.mark.parametrize("one", ["dirty", "dirty_background"])
def test_a_limit_in_bytes_and_one_in_percent_put_out_each_other(machine: Kernel, one: str) -> None:
    percent, nbytes = f"vm.{one}_ratio", f"vm.{one}_bytes"
    machine.sysctl[nbytes] = 1 << 20
    assert (machine.sysctl[percent], machine.sysctl[nbytes]) == (0, 1 << 20)
    machine.sysctl[percent] = 30
    assert (machine.sysctl[percent], machine.sysctl[nbytes]) == (30, 0)


def test_nobody_takes_back_that_nobody_is_traced(machine: Kernel) -> None:
    name = "kernel.yama.ptrace_scope"
    for value in (1, 0, 2, 3, 3):
        machine.sysctl[name] = value
    with refused(errno.EINVAL):
        machine.sysctl[name] = 2
    assert machine.sysctl[name] == 3
