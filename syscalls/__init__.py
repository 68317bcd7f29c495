"""The Linux ABI: decode, check rights and gates, call one kernel method.

Importing this package fills the table with every call that exists.
"""

from pkern.syscalls import entropy, info
from pkern.syscalls.files import (
    epoll,
    fcntl,
    mounts,
    paths,
    pipes,
    poll,
    read_write,
    sizes,
    sockets,
    splice,
    stat,
    timerfd,
    xattr,
)
from pkern.syscalls.files import (
    pidfd as file_pidfd,
)
from pkern.syscalls.ipc import mqueue, msg, sem
from pkern.syscalls.memory import maps, mman, shm, swap, userfaultfd
from pkern.syscalls.table import TABLE, Syscall
from pkern.syscalls.tasks import (
    futex,
    futex2,
    ids,
    jobs,
    life,
    pidfd,
    prctl,
    process,
    ptrace,
    sched,
    signalfd,
    signals,
    time,
    timers,
)

__all__ = ["TABLE", "Syscall"]
