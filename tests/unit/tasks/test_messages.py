"""System V message queues of Python programs, what bounds them, and signals read from files."""

import errno
import struct

import pytest

from pkern.kernel.machine import Kernel
from pkern.userland.program import Sys

AT = 0x10000


def refused(number: int) -> pytest.RaisesExc[OSError]:
    return pytest.raises(OSError, check=lambda error: error.errno == number)


@pytest.fixture
def sys(kernel: Kernel) -> Sys:
    sys = Sys(kernel.spawn())
    sys.mmap(AT, 3 * 4096, 3, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS | sys.MAP_FIXED, -1, 0)
    return sys


def put(sys: Sys, msqid: int, kind: int, text: bytes) -> int:
    sys.store(AT, struct.pack("<Q", kind) + text)
    return sys.msgsnd(msqid, AT, len(text))


def take(sys: Sys, msqid: int, kind: int = 0) -> bytes:
    return sys.load(AT + 8, sys.msgrcv(msqid, AT, 8000, kind))


def test_tasks_talk_and_a_python_program_does_not_sleep(sys: Sys) -> None:
    other, msqid = sys.fork(), sys.msgget(77, sys.IPC_CREAT | 0o600)
    assert other.msgget(77) == msqid
    with refused(errno.ENOMSG):
        take(other, msqid)
    put(sys, msqid, 2, b"second")
    put(sys, msqid, 1, b"first")
    assert (take(other, msqid, 1), take(other, msqid)) == (b"first", b"second")
    with refused(errno.ENOMSG):
        take(other, msqid)
    while True:
        try:
            put(sys, msqid, 1, bytes(4096))
        except BlockingIOError:
            break
    head, row = bytes(sys.read(sys.open("/proc/sysvipc/msg"), 4096)).decode().splitlines()
    shown = dict(zip(head.split(), row.split(), strict=True))
    assert (shown["key"], shown["cbytes"], shown["qnum"]) == ("77", "16384", "4")
    assert (shown["lspid"], shown["lrpid"]) == (str(sys.pid), str(other.pid))


def test_the_limits_of_kernel_msg_are_obeyed(sys: Sys, kernel: Kernel) -> None:
    kernel.sysctl["kernel.msgmni"], kernel.sysctl["kernel.msgmax"] = 1, 10
    kernel.sysctl["kernel.msgmnb"] = 15
    msqid = sys.msgget(sys.IPC_PRIVATE, 0o600)
    with refused(errno.ENOSPC):
        sys.msgget(sys.IPC_PRIVATE, 0o600)
    with refused(errno.EINVAL):
        put(sys, msqid, 1, bytes(11))
    put(sys, msqid, 1, bytes(10))
    with refused(errno.EAGAIN):
        put(sys, msqid, 1, bytes(6))
    put(sys, msqid, 1, bytes(5))
    sys.msgctl(msqid, sys.IPC_RMID)
    kernel.sysctl["kernel.msg_next_id"] = 5
    assert sys.msgget(sys.IPC_PRIVATE, 0o600) == 5


def test_signals_are_read_by_who_they_wait_for(sys: Sys) -> None:
    mask = 1 << sys.SIGUSR1 - 1
    sys.store(AT, struct.pack("<Q", mask))
    fd = sys.signalfd4(-1, AT, 8, sys.SFD_NONBLOCK)
    sys.rt_sigprocmask(sys.SIG_BLOCK, mask)
    assert sys.poll([(fd, sys.POLLIN)], 0) == [0]
    with refused(errno.EAGAIN):
        sys.read(fd, 128)
    sys.kill(sys.pid, sys.SIGUSR1)
    assert sys.poll([(fd, sys.POLLIN)], 0) == [sys.POLLIN]
    record = bytes(sys.read(fd, 1024))
    assert len(record) == 128
    assert struct.unpack_from("<Iii", record) == (sys.SIGUSR1, 0, 0)
    assert struct.unpack_from("<I", record, 12) == (sys.pid,)
    assert sys.rt_sigpending(AT, 8) == 0
    assert sys.load(AT, 8) == bytes(8)


def test_queues_of_posix_count_for_their_maker_and_obey_fs_mqueue(sys: Sys, kernel: Kernel) -> None:
    flags = sys.O_RDWR | sys.O_CREAT | sys.O_NONBLOCK
    kernel.sysctl["fs.mqueue.msg_max"], kernel.sysctl["fs.mqueue.queues_max"] = 3, 2
    one = sys.mq_open("one", flags, 0o600)
    sys.mq_getsetattr(one, 0, AT)
    assert struct.unpack("<4q", sys.load(AT, 32)) == (sys.O_NONBLOCK, 3, 8192, 0)
    sys.store(AT, struct.pack("<8q", 0, 4, 100, 0, 0, 0, 0, 0))
    with refused(errno.EINVAL):
        sys.mq_open("two", flags, 0o600, AT)
    two = sys.mq_open("two", flags, 0o600)
    with refused(errno.ENOSPC):
        sys.mq_open("three", flags, 0o600)
    sys.mq_unlink("two")
    with refused(errno.ENOSPC):
        sys.mq_open("three", flags, 0o600)
    sys.close(two)
    charge = 3 * 8192 + 6 * 48
    sys.setrlimit(sys.RLIMIT_MSGQUEUE, (2 * charge - 1, 2 * charge))
    with refused(errno.EMFILE):
        sys.mq_open("three", flags, 0o600)
    sys.setrlimit(sys.RLIMIT_MSGQUEUE, (2 * charge, 2 * charge))
    three = sys.mq_open("three", flags, 0o600)
    for priority in (1, 5, 1):
        sys.mq_timedsend(three, AT, 8, priority)
    with refused(errno.EAGAIN):
        sys.mq_timedsend(three, AT, 8)
    got = [
        sys.mq_timedreceive(three, AT, 8192, AT + 8192) and sys.load(AT + 8192, 1)[0] for _ in "123"
    ]
    assert got == [5, 1, 1]
