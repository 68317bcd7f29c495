"""Protection keys through the system calls of a Python program. Source: pkeys(7), Linux 6.18."""

from __future__ import annotations

import errno

import pytest

from pkern.kernel.errors import SegmentationFault, SyscallError
from pkern.kernel.machine import Kernel
from pkern.userland.program import Sys

PAGE = 4096
PKUERR = 4


@pytest.fixture
def sys():
    with Kernel(ram="16M", cpu="pku") as kernel:
        yield Sys(kernel.spawn())
        kernel.check()


def pages(sys, nr=4, prot=3):
    return sys.mmap(0, nr * PAGE, prot, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS)


def smaps_keys(sys):
    fd = sys.open("/proc/self/smaps", sys.O_RDONLY, 0)
    text = b"".join(iter(lambda: sys.read(fd, 65536), b"")).decode()
    sys.close(fd)
    starts = [int(line.split("-")[0], 16) for line in text.splitlines() if " kB" not in line and
              line[:1].isalnum() and "-" in line.split(" ")[0]]  # fmt: skip
    keys = [int(line.split()[1]) for line in text.splitlines() if line.startswith("ProtectionKey:")]
    assert len(starts) == len(keys)
    return dict(zip(starts, keys, strict=True))


def refused(call, *arguments):
    with pytest.raises(SyscallError) as error:
        call(*arguments)
    return error.value.errno


def denied(access, *arguments):
    with pytest.raises(SegmentationFault) as fault:
        access(*arguments)
    return fault.value.code


def test_fifteen_keys_and_their_rights(sys):
    assert [sys.pkey_alloc(0, key % 4) for key in range(1, 16)] == list(range(1, 16))
    assert [sys.pkey_get(key) for key in range(1, 16)] == [key % 4 for key in range(1, 16)]
    assert refused(sys.pkey_alloc, 0, 0) == errno.ENOSPC
    sys.pkey_free(7)
    assert sys.pkey_alloc(0, 0) == 7
    assert refused(sys.pkey_free, 16) == refused(sys.pkey_free, -1) == errno.EINVAL


def test_a_key_splits_and_joins_vmas(sys):
    key, at = sys.pkey_alloc(0, 0), pages(sys)
    sys.pkey_mprotect(at + PAGE, PAGE, 3, key)
    keys = smaps_keys(sys)
    assert [keys[at], keys[at + PAGE], keys[at + 2 * PAGE]] == [0, key, 0]
    sys.mprotect(at + PAGE, PAGE, 1)
    assert smaps_keys(sys)[at + PAGE] == key, "mprotect leaves the key"
    sys.pkey_mprotect(at, 4 * PAGE, 3, 0)
    assert at + PAGE not in smaps_keys(sys)


def test_what_a_key_denies(sys):
    key, at = sys.pkey_alloc(0, 0), pages(sys)
    sys.store(at, b"secret")
    sys.pkey_mprotect(at, PAGE, 3, key)
    assert sys.load(at, 6) == b"secret"
    sys.pkey_set(key, sys.PKEY_DISABLE_WRITE)
    assert sys.load(at, 6) == b"secret"
    assert denied(sys.store, at, b"x") == PKUERR
    sys.pkey_set(key, sys.PKEY_DISABLE_ACCESS)
    assert denied(sys.load, at, 1) == PKUERR
    _, out = sys.pipe2(0)
    assert sys.syscall(1, out, at, 1) == -errno.EFAULT, "write(2) reads with the caller's rights"
    sys.pkey_set(key, 0)
    sys.store(at, b"open")


def test_the_key_comes_before_the_protection(sys):
    key, at = sys.pkey_alloc(0, 1), pages(sys)
    sys.pkey_mprotect(at, PAGE, 0, key)
    assert denied(sys.load, at, 1) == PKUERR
    sys.pkey_set(key, 0)
    assert denied(sys.load, at, 1) == 2


def test_fork_copies_keys_and_rights(sys):
    key, at = sys.pkey_alloc(0, 2), pages(sys)
    sys.store(at, b"a")
    sys.pkey_mprotect(at, PAGE, 3, key)
    child = sys.fork()
    assert denied(child.store, at, b"b") == PKUERR
    child.pkey_set(key, 0)
    child.store(at, b"b")
    assert denied(sys.store, at, b"c") == PKUERR
    assert child.pkey_alloc(0, 0) == key + 1
    child.pkey_free(key)
    sys.pkey_mprotect(at, PAGE, 3, key)


def test_execute_only_memory(sys):
    at = pages(sys, prot=sys.PROT_EXEC)
    key = smaps_keys(sys)[at]
    assert key == 1 and sys.pkey_get(key) == sys.PKEY_DISABLE_ACCESS
    assert denied(sys.load, at, 1) == PKUERR
    assert refused(sys.pkey_free, key) == errno.EINVAL
    assert refused(sys.pkey_mprotect, at, PAGE, 1, key) == errno.EINVAL
    sys.pkey_set(key, 0)
    sys.load(at, 1)
    other = pages(sys, prot=sys.PROT_EXEC)
    assert denied(sys.load, other, 1) == PKUERR, "the next one takes the right back"
    sys.mprotect(at, PAGE, sys.PROT_READ)
    assert smaps_keys(sys)[at] == 0


def test_execute_only_memory_without_a_key_left_can_be_read(sys):
    for _ in range(15):
        sys.pkey_alloc(0, 0)
    at = pages(sys, prot=sys.PROT_EXEC)
    assert sys.load(at, 1) == b"\0"


def test_locked_and_populated_memory_obeys(sys):
    key, at = sys.pkey_alloc(0, 1), pages(sys)
    sys.pkey_mprotect(at, PAGE, 3, key)
    assert refused(sys.mlock, at, PAGE) == errno.ENOMEM
    assert refused(sys.madvise, at, PAGE, sys.MADV_POPULATE_READ) == errno.EINVAL


def test_special_vmas_have_keys_too():
    with Kernel(ram="16M", cpu="pku", sysctl={"vm.nonlinear": 1}) as kernel:
        sys = Sys(kernel.spawn())
        fd = sys.open("/tmp/f", sys.O_RDWR | sys.O_CREAT, 0o600)
        sys.write(fd, b"A" * PAGE + b"B" * PAGE)
        at = sys.mmap(0, 2 * PAGE, 3, sys.MAP_SHARED | sys.MAP_NONLINEAR, -1, 0)
        sys.remap_file_pages(at, PAGE, 0, 1, 0, fd)
        key = sys.pkey_alloc(0, 0)
        sys.pkey_mprotect(at, 2 * PAGE, 3, key)
        sys.remap_file_pages(at + PAGE, PAGE, 0, 0, 0, fd)
        kernel.check()
        assert sys.load(at, 1) + sys.load(at + PAGE, 1) == b"BA"
        sys.pkey_set(key, 1)
        assert denied(sys.load, at, 1) == denied(sys.load, at + PAGE, 1) == PKUERR


def test_what_a_machine_without_keys_says():
    with Kernel(ram="16M") as kernel:
        sys = Sys(kernel.spawn())
        at = pages(sys, prot=sys.PROT_EXEC)
        assert sys.load(at, 1) == b"\0"
        assert refused(sys.pkey_alloc, 0, 0) == errno.EINVAL
        assert refused(sys.pkey_alloc, 0, 0) == errno.ENOSPC
        assert refused(sys.pkey_mprotect, at, PAGE, 1, 0) == errno.EINVAL
        assert "ProtectionKey" not in kernel_smaps(sys)


def kernel_smaps(sys):
    fd = sys.open("/proc/self/smaps", sys.O_RDONLY, 0)
    return b"".join(iter(lambda: sys.read(fd, 65536), b"")).decode()


def test_cpuinfo_names_them(sys):
    fd = sys.open("/proc/cpuinfo", sys.O_RDONLY, 0)
    flags = next(line for line in sys.read(fd, 65536).decode().splitlines() if "flags" in line)
    assert flags.split()[-2:] == ["pku", "ospke"]


def test_an_unknown_feature_is_one_sentence():
    with pytest.raises(ValueError, match="unknown feature 'avx9' of a processor: choose pku"):
        Kernel(ram="16M", cpu="pku,avx9")
