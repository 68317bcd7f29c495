"""A tmpfs holds at most half of RAM."""

import errno

import pytest

from pkern.kernel.core import lib
from pkern.kernel.errors import BusError, SyscallError
from pkern.kernel.machine import Kernel
from pkern.syscalls.memory import mman
from pkern.userland.program import Sys

HALF = 512 << 10
O_RDWR, O_CREAT = 2, 64


def test_a_full_tmpfs_is_enospc_for_write_and_sigbus_for_a_store() -> None:
    with Kernel("1M", sysctl={"vm.overcommit_memory": 1}) as kernel:
        task = kernel.spawn()
        file = kernel.vfs.open(task, "/tmp/large", O_RDWR | O_CREAT)
        assert file.inode.write(0, bytes(HALF)) == HALF
        with pytest.raises(SyscallError) as caught:
            file.inode.write(HALF, b"x")
        assert caught.value.errno == errno.ENOSPC
        file.inode.truncate(HALF + 4096)
        fd = task.fds.install(file)
        at = mman.mmap(task, 0, 4096, lib.PROT_READ | lib.PROT_WRITE, lib.MAP_SHARED, fd, HALF)
        with pytest.raises(BusError):
            task.mm.write(at, b"x")
        file.inode.truncate(HALF - 4096)
        file.inode.truncate(HALF + 4096)
        task.mm.write(at, b"x")
        kernel.check()


@pytest.mark.parametrize(
    ("fstype", "options", "goes"), [("tmpfs", "", 1), ("tmpfs", "noswap", 0), ("ramfs", "", 0)]
)
def test_pages_of_a_mount_without_swap_stay_in_memory(fstype: str, options: str, goes: int) -> None:
    with Kernel("2M", swap="8M") as kernel:
        root = Sys(kernel.spawn(uid=0))
        root.mkdir("/mnt")
        root.mount("none", "/mnt", fstype, 0, options)
        fd = root.open("/mnt/file", O_RDWR | O_CREAT)
        root.write(fd, bytes(64 << 10))
        at = root.mmap(0, 3 << 20, root.PROT_WRITE, root.MAP_PRIVATE | root.MAP_ANONYMOUS)
        for page in range(768):
            root.store(at + page * 4096, b"x")
        mapping = kernel.vfs.walk(root.task, "/mnt/file").inode.mapping
        assert bool(lib.mapping_nr_swapped(mapping)) == goes
        kernel.check()
