"""System V semaphores of Python programs, and what bounds them."""

import errno
import struct

import pytest

from pkern.kernel.machine import Kernel
from pkern.userland.program import Sys

INDEXES = 32768


def refused(number: int) -> pytest.RaisesExc[OSError]:
    return pytest.raises(OSError, check=lambda error: error.errno == number)


@pytest.fixture
def sys(kernel: Kernel) -> Sys:
    sys = Sys(kernel.spawn())
    sys.mmap(0x10000, 4096, 3, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS | sys.MAP_FIXED, -1, 0)
    return sys


def operate(sys: Sys, semid: int, *operations: tuple[int, int, int]) -> int:
    sys.store(0x10000, b"".join(struct.pack("<Hhh", *one) for one in operations))
    return sys.semop(semid, 0x10000, len(operations))


def test_a_python_program_does_not_sleep_and_leaves_no_trace(sys: Sys) -> None:
    semid = sys.semget(sys.IPC_PRIVATE, 1, 0o600)
    with refused(errno.EAGAIN):
        operate(sys, semid, (0, -1, 0))
    assert sys.semctl(semid, 0, sys.GETNCNT) == 0
    operate(sys, semid, (0, 2, 0))
    operate(sys, semid, (0, -1, 0))
    assert sys.semctl(semid, 0, sys.GETVAL) == 1


def test_the_end_of_a_task_undoes_in_every_set(sys: Sys) -> None:
    sets = [sys.semget(sys.IPC_PRIVATE, 2, 0o600) for _ in range(3)]
    child = sys.fork()
    for semid in sets:
        operate(child, semid, (1, 5, sys.SEM_UNDO), (0, 1, 0))
    sys.semctl(sets[1], 0, sys.IPC_RMID)
    child.exit()
    left = [[sys.semctl(semid, n, sys.GETVAL) for n in (0, 1)] for semid in (sets[0], sets[2])]
    assert left == [[1, 0], [1, 0]]


def test_the_limits_of_kernel_sem_are_obeyed(sys: Sys, kernel: Kernel) -> None:
    kernel.sysctl["kernel.sem"] = "3 5 2 2"
    assert kernel.sysctl["kernel.sem"] == "3\t5\t2\t2"
    with refused(errno.EINVAL):
        sys.semget(sys.IPC_PRIVATE, 4, 0o600)
    first = sys.semget(sys.IPC_PRIVATE, 3, 0o600)
    with refused(errno.ENOSPC):
        sys.semget(sys.IPC_PRIVATE, 3, 0o600)
    sys.semget(sys.IPC_PRIVATE, 1, 0o600)
    with refused(errno.ENOSPC):
        sys.semget(sys.IPC_PRIVATE, 1, 0o600)
    with refused(errno.E2BIG):
        operate(sys, first, (0, 1, 0), (0, 1, 0), (0, 1, 0))


def test_an_id_is_an_index_and_a_sequence(sys: Sys, kernel: Kernel) -> None:
    """The same numbers as a fresh namespace of Linux gives: ipc_idr_alloc()."""
    ids = []
    for _ in range(66):
        ids.append(sys.semget(sys.IPC_PRIVATE, 1, 0o600))
        sys.semctl(ids[-1], 0, sys.IPC_RMID)
    assert ids == [*range(64), INDEXES, INDEXES + 1]
    kernel.sysctl["kernel.sem_next_id"] = 7 * INDEXES + 9
    assert sys.semget(sys.IPC_PRIVATE, 1, 0o600) == 7 * INDEXES + 9
    assert kernel.sysctl["kernel.sem_next_id"] == -1


def test_proc_shows_the_sets(sys: Sys) -> None:
    semid = sys.semget(0x1234, 3, sys.IPC_CREAT | 0o640)
    head, row = bytes(sys.read(sys.open("/proc/sysvipc/sem"), 4096)).decode().splitlines()
    assert head.split()[:4] == ["key", "semid", "perms", "nsems"]
    assert row.split()[:8] == ["4660", str(semid), "640", "3", "1000", "1000", "1000", "1000"]
