"""/sys is the machine's own: read, written and obeyed like /proc/sys; host files to their end."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from pkern.kernel.errors import SyscallError
from pkern.kernel.machine import Kernel
from pkern.kernel.vfs.fs.hostfs import HostFs
from pkern.userland.program import Sys

POOL = "/sys/kernel/mm/hugepages/hugepages-2048kB"
THP = "/sys/kernel/mm/transparent_hugepage"


@pytest.fixture
def root(kernel: Kernel) -> Sys:
    return Sys(kernel.spawn(uid=0, gid=0))


def show(sys: Sys, path: str) -> str:
    fd = sys.open(path, sys.O_RDONLY)
    text = sys.read(fd, 4096).decode()
    sys.close(fd)
    return str(text)


def store(sys: Sys, path: str, text: str) -> None:
    fd = sys.open(path, sys.O_WRONLY)
    try:
        assert sys.write(fd, text.encode()) == len(text)
    finally:
        sys.close(fd)


def refused(number: int, call: object, *args: object) -> None:
    with pytest.raises(SyscallError) as caught:
        call(*args)  # type: ignore[operator]
    assert caught.value.errno == number


def test_one_pool_behind_three_doors(root: Sys, kernel: Kernel) -> None:
    store(root, f"{POOL}/nr_hugepages", "3\n")
    assert show(root, "/proc/sys/vm/nr_hugepages") == "3\n"
    assert show(root, f"{POOL}/free_hugepages") == "3\n"
    kernel.sysctl["vm.nr_hugepages"] = 1
    assert show(root, f"{POOL}/nr_hugepages") == "1\n"
    store(root, f"{POOL}/nr_overcommit_hugepages", "2")
    assert kernel.sysctl["vm.nr_overcommit_hugepages"] == 2
    node = "/sys/devices/system/node/node0"
    assert show(root, f"{node}/hugepages/hugepages-2048kB/nr_hugepages") == "1\n"
    assert "Node 0 HugePages_Total:     1\n" in show(root, f"{node}/meminfo")


def test_choices_are_kept_and_others_refused(root: Sys) -> None:
    assert show(root, f"{THP}/enabled") == "always [madvise] never\n"
    store(root, f"{THP}/enabled", "never\n")
    assert show(root, f"{THP}/enabled") == "always madvise [never]\n"
    refused(errno.EINVAL, store, root, f"{THP}/enabled", "sometimes")
    refused(errno.EINVAL, store, root, f"{THP}/khugepaged/max_ptes_none", "x")
    refused(errno.EINVAL, store, root, f"{THP}/khugepaged/pages_to_scan", "0")


def test_rights_and_names_of_sysfs(root: Sys, kernel: Kernel) -> None:
    user = Sys(kernel.spawn())
    refused(errno.EACCES, user.open, f"{POOL}/nr_hugepages", user.O_WRONLY)
    refused(errno.EACCES, root.open, f"{POOL}/free_hugepages", root.O_WRONLY)
    refused(errno.EACCES, root.open, "/sys/devices/system/node/node0/compact", root.O_RDONLY)
    refused(errno.EACCES, root.open, "/sys/new", root.O_CREAT | root.O_WRONLY, 0o600)
    refused(errno.EPERM, root.mkdir, "/sys/new", 0o700)
    assert root.stat(f"{POOL}/nr_hugepages").st_size == 4096
    assert root.stat(f"{POOL}/nr_hugepages").st_mode == 0o100644


def test_there_is_one_processor_and_one_node(root: Sys) -> None:
    for name in ("online", "possible", "present"):
        assert show(root, f"/sys/devices/system/cpu/{name}") == "0\n"
    assert show(root, "/sys/devices/system/cpu/offline") == "\n"
    assert show(root, "/sys/devices/system/node/has_memory") == "0\n"
    assert show(root, "/proc/cpuinfo").count("processor\t") == 1
    assert "sysfs /sys sysfs rw,relatime 0 0\n" in show(root, "/proc/mounts")


def test_a_root_of_the_host_does_not_show_its_sys(tmp_path: Path) -> None:
    (tmp_path / "sys").mkdir()
    (tmp_path / "sys" / "theirs").write_text("no")
    with Kernel() as kernel:
        kernel.vfs.set_root(HostFs(tmp_path))
        sys = Sys(kernel.spawn(uid=0, gid=0))
        assert "theirs" not in sys.listdir("/sys")
        assert show(sys, "/sys/devices/system/cpu/online") == "0\n"


def test_files_of_the_host_are_read_to_their_real_end() -> None:
    with Kernel() as kernel:
        kernel.vfs.mount("/host", HostFs("/proc/self"))
        sys = Sys(kernel.spawn(uid=os.getuid(), gid=os.getgid()))
        assert show(sys, "/host/comm") == Path("/proc/self/comm").read_text()
        assert sys.stat("/host/comm").st_size == 0


def test_statfs_of_a_host_directory_tells_its_sizes(tmp_path: Path) -> None:
    with Kernel() as kernel:
        kernel.vfs.mount("/host", HostFs(tmp_path))
        sys = Sys(kernel.spawn(uid=0, gid=0))
        told = sys.statfs("/host")
        blocks = int.from_bytes(told[16:24], "little") if isinstance(told, bytes) else told.f_blocks
        assert blocks == os.statvfs(tmp_path).f_blocks
