"""A tmpfs holds at most half of RAM."""

import errno

import pytest

from pkern.kernel.core import lib
from pkern.kernel.errors import BusError, SyscallError
from pkern.kernel.machine import Kernel
from pkern.syscalls.memory import mman

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
