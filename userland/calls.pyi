# Written by `make docs` from the code: edit the handlers in syscalls/, not this file.
"""The calls and constants of Sys."""

import os
from typing import Any, Final, TypeAlias

from pkern.kernel.tasks.signal.signals import Action
from pkern.kernel.tasks.task import Task
from pkern.syscalls.files.stat import Stat
from pkern.syscalls.files.stat import Time
from pkern.syscalls.info import Sysinfo
from pkern.syscalls.info import Utsname
from pkern.syscalls.memory.shm import ShmidDs
from pkern.syscalls.tasks.ids import Ids
from pkern.syscalls.tasks.waiting import Rusage

StrPath: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]
Data: TypeAlias = bytes | bytearray | memoryview

OWN_FORMS: frozenset[str]

class Calls:
    """Every system call by its name, and every constant of Linux's headers that they take."""

    task: Task
    ADDR_COMPAT_LAYOUT: Final = 0x200000
    ADDR_LIMIT_32BIT: Final = 0x800000
    ADDR_LIMIT_3GB: Final = 0x8000000
    ADDR_NO_RANDOMIZE: Final = 0x40000
    AF_INET: Final = 2
    AF_INET6: Final = 0xa
    AF_NETLINK: Final = 0x10
    AF_UNIX: Final = 1
    AF_UNSPEC: Final = 0
    ARCH_GET_FS: Final = 0x1003
    ARCH_GET_GS: Final = 0x1004
    ARCH_SET_FS: Final = 0x1002
    ARCH_SET_GS: Final = 0x1001
    AT_EMPTY_PATH: Final = 0x1000
    AT_FDCWD: Final = -100
    AT_NO_AUTOMOUNT: Final = 0x800
    AT_REMOVEDIR: Final = 0x200
    AT_STATX_DONT_SYNC: Final = 0x4000
    AT_STATX_FORCE_SYNC: Final = 0x2000
    AT_STATX_SYNC_AS_STAT: Final = 0
    AT_SYMLINK_FOLLOW: Final = 0x400
    AT_SYMLINK_NOFOLLOW: Final = 0x100
    BUS_ADRALN: Final = 1
    BUS_ADRERR: Final = 2
    CLD_CONTINUED: Final = 6
    CLD_DUMPED: Final = 3
    CLD_EXITED: Final = 1
    CLD_KILLED: Final = 2
    CLD_STOPPED: Final = 5
    CLD_TRAPPED: Final = 4
    CLOCK_BOOTTIME: Final = 7
    CLOCK_MONOTONIC: Final = 1
    CLOCK_MONOTONIC_COARSE: Final = 6
    CLOCK_MONOTONIC_RAW: Final = 4
    CLOCK_PROCESS_CPUTIME_ID: Final = 2
    CLOCK_REALTIME: Final = 0
    CLOCK_REALTIME_COARSE: Final = 5
    CLOCK_THREAD_CPUTIME_ID: Final = 3
    CLONE_CHILD_CLEARTID: Final = 0x200000
    CLONE_CHILD_SETTID: Final = 0x1000000
    CLONE_CLEAR_SIGHAND: Final = 0x100000000
    CLONE_FILES: Final = 0x400
    CLONE_FS: Final = 0x200
    CLONE_INTO_CGROUP: Final = 0x200000000
    CLONE_IO: Final = 0x80000000
    CLONE_NEWCGROUP: Final = 0x2000000
    CLONE_NEWIPC: Final = 0x8000000
    CLONE_NEWNET: Final = 0x40000000
    CLONE_NEWNS: Final = 0x20000
    CLONE_NEWPID: Final = 0x20000000
    CLONE_NEWUSER: Final = 0x10000000
    CLONE_NEWUTS: Final = 0x4000000
    CLONE_PARENT: Final = 0x8000
    CLONE_PARENT_SETTID: Final = 0x100000
    CLONE_PIDFD: Final = 0x1000
    CLONE_PTRACE: Final = 0x2000
    CLONE_SETTLS: Final = 0x80000
    CLONE_SIGHAND: Final = 0x800
    CLONE_SYSVSEM: Final = 0x40000
    CLONE_THREAD: Final = 0x10000
    CLONE_UNTRACED: Final = 0x800000
    CLONE_VFORK: Final = 0x4000
    CLONE_VM: Final = 0x100
    CLOSE_RANGE_CLOEXEC: Final = 4
    CLOSE_RANGE_UNSHARE: Final = 2
    EFD_CLOEXEC: Final = 0x80000
    EFD_NONBLOCK: Final = 0x800
    EFD_SEMAPHORE: Final = 1
    EPOLLERR: Final = 8
    EPOLLET: Final = 0x80000000
    EPOLLEXCLUSIVE: Final = 0x10000000
    EPOLLHUP: Final = 0x10
    EPOLLIN: Final = 1
    EPOLLMSG: Final = 0x400
    EPOLLONESHOT: Final = 0x40000000
    EPOLLOUT: Final = 4
    EPOLLPRI: Final = 2
    EPOLLRDBAND: Final = 0x80
    EPOLLRDHUP: Final = 0x2000
    EPOLLRDNORM: Final = 0x40
    EPOLLWAKEUP: Final = 0x20000000
    EPOLLWRBAND: Final = 0x200
    EPOLLWRNORM: Final = 0x100
    EPOLL_CLOEXEC: Final = 0x80000
    EPOLL_CTL_ADD: Final = 1
    EPOLL_CTL_DEL: Final = 2
    EPOLL_CTL_MOD: Final = 3
    FALLOC_FL_COLLAPSE_RANGE: Final = 8
    FALLOC_FL_KEEP_SIZE: Final = 1
    FALLOC_FL_PUNCH_HOLE: Final = 2
    FALLOC_FL_ZERO_RANGE: Final = 0x10
    FDPIC_FUNCPTRS: Final = 0x80000
    FD_CLOEXEC: Final = 1
    FIOCLEX: Final = 0x5451
    FIONBIO: Final = 0x5421
    FIONCLEX: Final = 0x5450
    FIONREAD: Final = 0x541b
    FPE_FLTINV: Final = 7
    FPE_INTDIV: Final = 1
    FUTEX_CMP_REQUEUE: Final = 4
    FUTEX_CMP_REQUEUE_PI: Final = 0xc
    FUTEX_LOCK_PI: Final = 6
    FUTEX_LOCK_PI2: Final = 0xd
    FUTEX_REQUEUE: Final = 3
    FUTEX_TRYLOCK_PI: Final = 8
    FUTEX_UNLOCK_PI: Final = 7
    FUTEX_WAIT: Final = 0
    FUTEX_WAIT_BITSET: Final = 9
    FUTEX_WAIT_REQUEUE_PI: Final = 0xb
    FUTEX_WAKE: Final = 1
    FUTEX_WAKE_BITSET: Final = 0xa
    FUTEX_WAKE_OP: Final = 5
    F_ADD_SEALS: Final = 0x409
    F_DUPFD: Final = 0
    F_DUPFD_CLOEXEC: Final = 0x406
    F_GETFD: Final = 1
    F_GETFL: Final = 3
    F_GETLK: Final = 5
    F_GETOWN: Final = 9
    F_GETPIPE_SZ: Final = 0x408
    F_GET_SEALS: Final = 0x40a
    F_OFD_GETLK: Final = 0x24
    F_OFD_SETLK: Final = 0x25
    F_OFD_SETLKW: Final = 0x26
    F_OK: Final = 0
    F_RDLCK: Final = 0
    F_SEAL_EXEC: Final = 0x20
    F_SEAL_FUTURE_WRITE: Final = 0x10
    F_SEAL_GROW: Final = 4
    F_SEAL_SEAL: Final = 1
    F_SEAL_SHRINK: Final = 2
    F_SEAL_WRITE: Final = 8
    F_SETFD: Final = 2
    F_SETFL: Final = 4
    F_SETLK: Final = 6
    F_SETLKW: Final = 7
    F_SETOWN: Final = 8
    F_SETPIPE_SZ: Final = 0x407
    F_UNLCK: Final = 2
    F_WRLCK: Final = 1
    GETALL: Final = 0xd
    GETNCNT: Final = 0xe
    GETPID: Final = 0xb
    GETVAL: Final = 0xc
    GETZCNT: Final = 0xf
    GRND_NONBLOCK: Final = 1
    GRND_RANDOM: Final = 2
    HUGETLBFS_MAGIC: Final = 0x958458f6
    ILL_ILLOPN: Final = 2
    IN_ACCESS: Final = 1
    IN_ALL_EVENTS: Final = 0xfff
    IN_ATTRIB: Final = 4
    IN_CLOEXEC: Final = 0x80000
    IN_CLOSE: Final = 0x18
    IN_CLOSE_NOWRITE: Final = 0x10
    IN_CLOSE_WRITE: Final = 8
    IN_CREATE: Final = 0x100
    IN_DELETE: Final = 0x200
    IN_DELETE_SELF: Final = 0x400
    IN_DONT_FOLLOW: Final = 0x2000000
    IN_EXCL_UNLINK: Final = 0x4000000
    IN_IGNORED: Final = 0x8000
    IN_ISDIR: Final = 0x40000000
    IN_MASK_ADD: Final = 0x20000000
    IN_MASK_CREATE: Final = 0x10000000
    IN_MODIFY: Final = 2
    IN_MOVE: Final = 0xc0
    IN_MOVED_FROM: Final = 0x40
    IN_MOVED_TO: Final = 0x80
    IN_MOVE_SELF: Final = 0x800
    IN_NONBLOCK: Final = 0x800
    IN_ONESHOT: Final = 0x80000000
    IN_ONLYDIR: Final = 0x1000000
    IN_OPEN: Final = 0x20
    IN_Q_OVERFLOW: Final = 0x4000
    IN_UNMOUNT: Final = 0x2000
    IOPRIO_CLASS_BE: Final = 2
    IOPRIO_CLASS_IDLE: Final = 3
    IOPRIO_CLASS_NONE: Final = 0
    IOPRIO_CLASS_RT: Final = 1
    IOPRIO_WHO_PGRP: Final = 2
    IOPRIO_WHO_PROCESS: Final = 1
    IOPRIO_WHO_USER: Final = 3
    IPC_CREAT: Final = 0x200
    IPC_EXCL: Final = 0x400
    IPC_INFO: Final = 3
    IPC_NOWAIT: Final = 0x800
    IPC_PRIVATE: Final = 0
    IPC_RMID: Final = 0
    IPC_SET: Final = 1
    IPC_STAT: Final = 2
    IPPROTO_ICMP: Final = 1
    IPPROTO_ICMPV6: Final = 0x3a
    IPPROTO_IP: Final = 0
    IPPROTO_IPV6: Final = 0x29
    IPPROTO_RAW: Final = 0xff
    IPPROTO_TCP: Final = 6
    IPPROTO_UDP: Final = 0x11
    IPV6_ADD_MEMBERSHIP: Final = 0x14
    IPV6_DROP_MEMBERSHIP: Final = 0x15
    IPV6_MTU: Final = 0x18
    IPV6_MTU_DISCOVER: Final = 0x17
    IPV6_MULTICAST_HOPS: Final = 0x12
    IPV6_MULTICAST_IF: Final = 0x11
    IPV6_MULTICAST_LOOP: Final = 0x13
    IPV6_PKTINFO: Final = 0x32
    IPV6_RECVERR: Final = 0x19
    IPV6_RECVHOPLIMIT: Final = 0x33
    IPV6_RECVPKTINFO: Final = 0x31
    IPV6_RECVTCLASS: Final = 0x42
    IPV6_TCLASS: Final = 0x43
    IPV6_UNICAST_HOPS: Final = 0x10
    IPV6_V6ONLY: Final = 0x1a
    IP_ADD_MEMBERSHIP: Final = 0x23
    IP_BIND_ADDRESS_NO_PORT: Final = 0x18
    IP_DROP_MEMBERSHIP: Final = 0x24
    IP_FREEBIND: Final = 0xf
    IP_HDRINCL: Final = 3
    IP_MTU: Final = 0xe
    IP_MTU_DISCOVER: Final = 0xa
    IP_MULTICAST_IF: Final = 0x20
    IP_MULTICAST_LOOP: Final = 0x22
    IP_MULTICAST_TTL: Final = 0x21
    IP_OPTIONS: Final = 4
    IP_PKTINFO: Final = 8
    IP_PKTOPTIONS: Final = 9
    IP_RECVERR: Final = 0xb
    IP_RECVOPTS: Final = 6
    IP_RECVTOS: Final = 0xd
    IP_RECVTTL: Final = 0xc
    IP_RETOPTS: Final = 7
    IP_ROUTER_ALERT: Final = 5
    IP_TOS: Final = 1
    IP_TRANSPARENT: Final = 0x13
    IP_TTL: Final = 2
    ITIMER_PROF: Final = 2
    ITIMER_REAL: Final = 0
    ITIMER_VIRTUAL: Final = 1
    KCMP_FILE: Final = 0
    KCMP_FILES: Final = 2
    KCMP_FS: Final = 3
    KCMP_IO: Final = 5
    KCMP_SIGHAND: Final = 4
    KCMP_SYSVSEM: Final = 6
    KCMP_VM: Final = 1
    LOCK_EX: Final = 2
    LOCK_NB: Final = 4
    LOCK_SH: Final = 1
    LOCK_UN: Final = 8
    MADV_COLD: Final = 0x14
    MADV_COLLAPSE: Final = 0x19
    MADV_DODUMP: Final = 0x11
    MADV_DOFORK: Final = 0xb
    MADV_DONTDUMP: Final = 0x10
    MADV_DONTFORK: Final = 0xa
    MADV_DONTNEED: Final = 4
    MADV_DONTNEED_LOCKED: Final = 0x18
    MADV_FREE: Final = 8
    MADV_GUARD_INSTALL: Final = 0x66
    MADV_GUARD_REMOVE: Final = 0x67
    MADV_HUGEPAGE: Final = 0xe
    MADV_KEEPONFORK: Final = 0x13
    MADV_MERGEABLE: Final = 0xc
    MADV_NOHUGEPAGE: Final = 0xf
    MADV_NORMAL: Final = 0
    MADV_PAGEOUT: Final = 0x15
    MADV_POPULATE_READ: Final = 0x16
    MADV_POPULATE_WRITE: Final = 0x17
    MADV_RANDOM: Final = 1
    MADV_REMOVE: Final = 9
    MADV_SEQUENTIAL: Final = 2
    MADV_UNMERGEABLE: Final = 0xd
    MADV_WILLNEED: Final = 3
    MADV_WIPEONFORK: Final = 0x12
    MAP_32BIT: Final = 0x40
    MAP_ABOVE4G: Final = 0x80
    MAP_ANON: Final = 0x20
    MAP_ANONYMOUS: Final = 0x20
    MAP_DENYWRITE: Final = 0x800
    MAP_DROPPABLE: Final = 8
    MAP_EXECUTABLE: Final = 0x1000
    MAP_FILE: Final = 0
    MAP_FIXED: Final = 0x10
    MAP_FIXED_NOREPLACE: Final = 0x100000
    MAP_GROWSDOWN: Final = 0x100
    MAP_HUGETLB: Final = 0x40000
    MAP_HUGE_1GB: Final = 0x78000000
    MAP_HUGE_2MB: Final = 0x54000000
    MAP_LOCKED: Final = 0x2000
    MAP_NONBLOCK: Final = 0x10000
    MAP_NONLINEAR: Final = 0x800000
    MAP_NORESERVE: Final = 0x4000
    MAP_POPULATE: Final = 0x8000
    MAP_PRIVATE: Final = 2
    MAP_SHARED: Final = 1
    MAP_SHARED_VALIDATE: Final = 3
    MAP_STACK: Final = 0x20000
    MAP_SYNC: Final = 0x80000
    MAP_TYPE: Final = 0xf
    MCL_CURRENT: Final = 1
    MCL_FUTURE: Final = 2
    MCL_ONFAULT: Final = 4
    MEMBARRIER_CMD_GLOBAL: Final = 1
    MEMBARRIER_CMD_GLOBAL_EXPEDITED: Final = 2
    MEMBARRIER_CMD_PRIVATE_EXPEDITED: Final = 8
    MEMBARRIER_CMD_QUERY: Final = 0
    MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED: Final = 4
    MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED: Final = 0x10
    MFD_ALLOW_SEALING: Final = 2
    MFD_CLOEXEC: Final = 1
    MFD_EXEC: Final = 0x10
    MFD_HUGETLB: Final = 4
    MFD_HUGE_2MB: Final = 0x54000000
    MFD_NOEXEC_SEAL: Final = 8
    MLOCK_ONFAULT: Final = 1
    MMAP_PAGE_ZERO: Final = 0x100000
    MNT_DETACH: Final = 2
    MNT_EXPIRE: Final = 4
    MNT_FORCE: Final = 1
    MPOL_BIND: Final = 2
    MPOL_DEFAULT: Final = 0
    MPOL_F_ADDR: Final = 2
    MPOL_F_MEMS_ALLOWED: Final = 4
    MPOL_F_NODE: Final = 1
    MPOL_F_NUMA_BALANCING: Final = 0x2000
    MPOL_F_RELATIVE_NODES: Final = 0x4000
    MPOL_F_STATIC_NODES: Final = 0x8000
    MPOL_INTERLEAVE: Final = 3
    MPOL_LOCAL: Final = 4
    MPOL_MF_MOVE: Final = 2
    MPOL_MF_MOVE_ALL: Final = 4
    MPOL_MF_STRICT: Final = 1
    MPOL_PREFERRED: Final = 1
    MPOL_PREFERRED_MANY: Final = 5
    MPOL_WEIGHTED_INTERLEAVE: Final = 6
    MREMAP_DONTUNMAP: Final = 4
    MREMAP_FIXED: Final = 2
    MREMAP_MAYMOVE: Final = 1
    MSG_CMSG_CLOEXEC: Final = 0x40000000
    MSG_COPY: Final = 0x4000
    MSG_CTRUNC: Final = 8
    MSG_DONTROUTE: Final = 4
    MSG_DONTWAIT: Final = 0x40
    MSG_EOR: Final = 0x80
    MSG_ERRQUEUE: Final = 0x2000
    MSG_EXCEPT: Final = 0x2000
    MSG_INFO: Final = 0xc
    MSG_MORE: Final = 0x8000
    MSG_NOERROR: Final = 0x1000
    MSG_NOSIGNAL: Final = 0x4000
    MSG_OOB: Final = 1
    MSG_PEEK: Final = 2
    MSG_STAT: Final = 0xb
    MSG_STAT_ANY: Final = 0xd
    MSG_TRUNC: Final = 0x20
    MSG_WAITALL: Final = 0x100
    MSG_WAITFORONE: Final = 0x10000
    MS_ASYNC: Final = 1
    MS_BIND: Final = 0x1000
    MS_INVALIDATE: Final = 2
    MS_NOATIME: Final = 0x400
    MS_NODEV: Final = 4
    MS_NOEXEC: Final = 8
    MS_NOSUID: Final = 2
    MS_RDONLY: Final = 1
    MS_REC: Final = 0x4000
    MS_RELATIME: Final = 0x200000
    MS_REMOUNT: Final = 0x20
    MS_SILENT: Final = 0x8000
    MS_STRICTATIME: Final = 0x1000000
    MS_SYNC: Final = 4
    MS_SYNCHRONOUS: Final = 0x10
    NETLINK_ROUTE: Final = 0
    O_ACCMODE: Final = 3
    O_APPEND: Final = 0x400
    O_CLOEXEC: Final = 0x80000
    O_CREAT: Final = 0x40
    O_DIRECT: Final = 0x4000
    O_DIRECTORY: Final = 0x10000
    O_DSYNC: Final = 0x1000
    O_EXCL: Final = 0x80
    O_LARGEFILE: Final = 0x8000
    O_NOATIME: Final = 0x40000
    O_NOCTTY: Final = 0x100
    O_NOFOLLOW: Final = 0x20000
    O_NONBLOCK: Final = 0x800
    O_PATH: Final = 0x200000
    O_RDONLY: Final = 0
    O_RDWR: Final = 2
    O_SYNC: Final = 0x101000
    O_TMPFILE: Final = 0x410000
    O_TRUNC: Final = 0x200
    O_WRONLY: Final = 1
    PAGE_SIZE: Final = 0x1000
    PER_LINUX: Final = 0
    PER_LINUX32: Final = 8
    PIDFD_NONBLOCK: Final = 0x800
    PIDFD_SELF: Final = -10000
    PIDFD_SELF_THREAD: Final = -10000
    PIDFD_SELF_THREAD_GROUP: Final = -10001
    PIDFD_SIGNAL_PROCESS_GROUP: Final = 4
    PIDFD_SIGNAL_THREAD: Final = 1
    PIDFD_SIGNAL_THREAD_GROUP: Final = 2
    PIDFD_THREAD: Final = 0x80
    PIPEFS_MAGIC: Final = 0x50495045
    PKEY_DISABLE_ACCESS: Final = 1
    PKEY_DISABLE_EXECUTE: Final = 4
    PKEY_DISABLE_WRITE: Final = 2
    POLLERR: Final = 8
    POLLHUP: Final = 0x10
    POLLIN: Final = 1
    POLLNVAL: Final = 0x20
    POLLOUT: Final = 4
    POLLPRI: Final = 2
    POLLRDBAND: Final = 0x80
    POLLRDHUP: Final = 0x2000
    POLLRDNORM: Final = 0x40
    POLLWRBAND: Final = 0x200
    POLLWRNORM: Final = 0x100
    POSIX_FADV_DONTNEED: Final = 4
    POSIX_FADV_NOREUSE: Final = 5
    POSIX_FADV_NORMAL: Final = 0
    POSIX_FADV_RANDOM: Final = 1
    POSIX_FADV_SEQUENTIAL: Final = 2
    POSIX_FADV_WILLNEED: Final = 3
    PRIO_PGRP: Final = 1
    PRIO_PROCESS: Final = 0
    PRIO_USER: Final = 2
    PROC_SUPER_MAGIC: Final = 0x9fa0
    PROT_EXEC: Final = 4
    PROT_GROWSDOWN: Final = 0x1000000
    PROT_GROWSUP: Final = 0x2000000
    PROT_NONE: Final = 0
    PROT_READ: Final = 1
    PROT_WRITE: Final = 2
    PR_CAPBSET_DROP: Final = 0x18
    PR_CAPBSET_READ: Final = 0x17
    PR_CAP_AMBIENT: Final = 0x2f
    PR_CAP_AMBIENT_CLEAR_ALL: Final = 4
    PR_CAP_AMBIENT_IS_SET: Final = 1
    PR_CAP_AMBIENT_LOWER: Final = 3
    PR_CAP_AMBIENT_RAISE: Final = 2
    PR_FUTEX_HASH: Final = 0x4e
    PR_GET_CHILD_SUBREAPER: Final = 0x25
    PR_GET_DUMPABLE: Final = 3
    PR_GET_IO_FLUSHER: Final = 0x3a
    PR_GET_KEEPCAPS: Final = 7
    PR_GET_MDWE: Final = 0x42
    PR_GET_MEMORY_MERGE: Final = 0x44
    PR_GET_NAME: Final = 0x10
    PR_GET_NO_NEW_PRIVS: Final = 0x27
    PR_GET_PDEATHSIG: Final = 2
    PR_GET_SECCOMP: Final = 0x15
    PR_GET_SECUREBITS: Final = 0x1b
    PR_GET_SPECULATION_CTRL: Final = 0x34
    PR_GET_THP_DISABLE: Final = 0x2a
    PR_GET_TID_ADDRESS: Final = 0x28
    PR_GET_TIMERSLACK: Final = 0x1e
    PR_GET_TIMING: Final = 0xd
    PR_GET_TSC: Final = 0x19
    PR_GET_VSYSCALL: Final = 0x56535954
    PR_MCE_KILL: Final = 0x21
    PR_MCE_KILL_GET: Final = 0x22
    PR_MDWE_NO_INHERIT: Final = 2
    PR_MDWE_REFUSE_EXEC_GAIN: Final = 1
    PR_SET_CHILD_SUBREAPER: Final = 0x24
    PR_SET_DUMPABLE: Final = 4
    PR_SET_IO_FLUSHER: Final = 0x39
    PR_SET_KEEPCAPS: Final = 8
    PR_SET_MDWE: Final = 0x41
    PR_SET_MEMORY_MERGE: Final = 0x43
    PR_SET_MM: Final = 0x23
    PR_SET_NAME: Final = 0xf
    PR_SET_NO_NEW_PRIVS: Final = 0x26
    PR_SET_PDEATHSIG: Final = 1
    PR_SET_SECUREBITS: Final = 0x1c
    PR_SET_SPECULATION_CTRL: Final = 0x35
    PR_SET_THP_DISABLE: Final = 0x29
    PR_SET_TIMERSLACK: Final = 0x1d
    PR_SET_TIMING: Final = 0xe
    PR_SET_TSC: Final = 0x1a
    PR_SET_VMA: Final = 0x53564d41
    PR_SET_VMA_ANON_NAME: Final = 0
    PR_SET_VSYSCALL: Final = 0x56535953
    PR_TASK_PERF_EVENTS_DISABLE: Final = 0x1f
    PR_TASK_PERF_EVENTS_ENABLE: Final = 0x20
    PR_TIMER_CREATE_RESTORE_IDS: Final = 0x4d
    PR_TSC_ENABLE: Final = 1
    PR_TSC_SIGSEGV: Final = 2
    PTRACE_ARCH_PRCTL: Final = 0x1e
    PTRACE_ATTACH: Final = 0x10
    PTRACE_CONT: Final = 7
    PTRACE_DETACH: Final = 0x11
    PTRACE_FAULTINFO: Final = 0x34
    PTRACE_GETEVENTMSG: Final = 0x4201
    PTRACE_GETFPREGS: Final = 0xe
    PTRACE_GETREGS: Final = 0xc
    PTRACE_GETREGSET: Final = 0x4204
    PTRACE_GETSIGINFO: Final = 0x4202
    PTRACE_GETSIGMASK: Final = 0x420a
    PTRACE_GET_RSEQ_CONFIGURATION: Final = 0x420f
    PTRACE_GET_SYSCALL_INFO: Final = 0x420e
    PTRACE_INTERRUPT: Final = 0x4207
    PTRACE_KILL: Final = 8
    PTRACE_LISTEN: Final = 0x4208
    PTRACE_OLDSETOPTIONS: Final = 0x15
    PTRACE_O_EXITKILL: Final = 0x100000
    PTRACE_O_SUSPEND_SECCOMP: Final = 0x200000
    PTRACE_O_TRACECLONE: Final = 8
    PTRACE_O_TRACEEXEC: Final = 0x10
    PTRACE_O_TRACEEXIT: Final = 0x40
    PTRACE_O_TRACEFORK: Final = 2
    PTRACE_O_TRACESECCOMP: Final = 0x80
    PTRACE_O_TRACESYSGOOD: Final = 1
    PTRACE_O_TRACEVFORK: Final = 4
    PTRACE_O_TRACEVFORKDONE: Final = 0x20
    PTRACE_PEEKDATA: Final = 2
    PTRACE_PEEKSIGINFO: Final = 0x4209
    PTRACE_PEEKTEXT: Final = 1
    PTRACE_PEEKUSER: Final = 3
    PTRACE_POKEDATA: Final = 5
    PTRACE_POKETEXT: Final = 4
    PTRACE_POKEUSER: Final = 6
    PTRACE_SEIZE: Final = 0x4206
    PTRACE_SETFPREGS: Final = 0xf
    PTRACE_SETOPTIONS: Final = 0x4200
    PTRACE_SETREGS: Final = 0xd
    PTRACE_SETREGSET: Final = 0x4205
    PTRACE_SETSIGINFO: Final = 0x4203
    PTRACE_SETSIGMASK: Final = 0x420b
    PTRACE_SET_SYSCALL_INFO: Final = 0x4212
    PTRACE_SINGLESTEP: Final = 9
    PTRACE_SWITCH_MM: Final = 0x37
    PTRACE_SYSCALL: Final = 0x18
    PTRACE_SYSEMU: Final = 0x1f
    PTRACE_SYSEMU_SINGLESTEP: Final = 0x20
    PTRACE_TRACEME: Final = 0
    P_ALL: Final = 0
    P_PGID: Final = 2
    P_PID: Final = 1
    P_PIDFD: Final = 3
    READ_IMPLIES_EXEC: Final = 0x400000
    RENAME_EXCHANGE: Final = 2
    RENAME_NOREPLACE: Final = 1
    RENAME_WHITEOUT: Final = 4
    RESOLVE_BENEATH: Final = 8
    RESOLVE_CACHED: Final = 0x20
    RESOLVE_IN_ROOT: Final = 0x10
    RESOLVE_NO_MAGICLINKS: Final = 2
    RESOLVE_NO_SYMLINKS: Final = 4
    RESOLVE_NO_XDEV: Final = 1
    RLIMIT_AS: Final = 9
    RLIMIT_CORE: Final = 4
    RLIMIT_CPU: Final = 0
    RLIMIT_DATA: Final = 2
    RLIMIT_FSIZE: Final = 1
    RLIMIT_LOCKS: Final = 0xa
    RLIMIT_MEMLOCK: Final = 8
    RLIMIT_MSGQUEUE: Final = 0xc
    RLIMIT_NICE: Final = 0xd
    RLIMIT_NOFILE: Final = 7
    RLIMIT_NPROC: Final = 6
    RLIMIT_RSS: Final = 5
    RLIMIT_RTPRIO: Final = 0xe
    RLIMIT_RTTIME: Final = 0xf
    RLIMIT_SIGPENDING: Final = 0xb
    RLIMIT_STACK: Final = 3
    RLIM_INFINITY: Final = 0xffffffffffffffff
    RUSAGE_CHILDREN: Final = -1
    RUSAGE_SELF: Final = 0
    RUSAGE_THREAD: Final = 1
    RWF_APPEND: Final = 0x10
    RWF_ATOMIC: Final = 0x40
    RWF_DONTCACHE: Final = 0x80
    RWF_DSYNC: Final = 2
    RWF_HIPRI: Final = 1
    RWF_NOAPPEND: Final = 0x20
    RWF_NOSIGNAL: Final = 0x100
    RWF_NOWAIT: Final = 8
    RWF_SYNC: Final = 4
    R_OK: Final = 4
    SA_NOCLDSTOP: Final = 1
    SA_NOCLDWAIT: Final = 2
    SA_NODEFER: Final = 0x40000000
    SA_ONSTACK: Final = 0x8000000
    SA_RESETHAND: Final = 0x80000000
    SA_RESTART: Final = 0x10000000
    SA_RESTORER: Final = 0x4000000
    SA_SIGINFO: Final = 4
    SCHED_BATCH: Final = 3
    SCHED_FIFO: Final = 1
    SCHED_FLAG_DL_OVERRUN: Final = 4
    SCHED_FLAG_KEEP_PARAMS: Final = 0x10
    SCHED_FLAG_KEEP_POLICY: Final = 8
    SCHED_FLAG_RECLAIM: Final = 2
    SCHED_FLAG_RESET_ON_FORK: Final = 1
    SCHED_FLAG_UTIL_CLAMP_MAX: Final = 0x40
    SCHED_FLAG_UTIL_CLAMP_MIN: Final = 0x20
    SCHED_IDLE: Final = 5
    SCHED_OTHER: Final = 0
    SCHED_RR: Final = 2
    SCM_CREDENTIALS: Final = 2
    SCM_RIGHTS: Final = 1
    SECCOMP_FILTER_FLAG_LOG: Final = 2
    SECCOMP_FILTER_FLAG_NEW_LISTENER: Final = 8
    SECCOMP_FILTER_FLAG_SPEC_ALLOW: Final = 4
    SECCOMP_FILTER_FLAG_TSYNC: Final = 1
    SECCOMP_FILTER_FLAG_TSYNC_ESRCH: Final = 0x10
    SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: Final = 0x20
    SECCOMP_GET_ACTION_AVAIL: Final = 2
    SECCOMP_GET_NOTIF_SIZES: Final = 3
    SECCOMP_SET_MODE_FILTER: Final = 1
    SECCOMP_SET_MODE_STRICT: Final = 0
    SEEK_CUR: Final = 1
    SEEK_DATA: Final = 3
    SEEK_END: Final = 2
    SEEK_HOLE: Final = 4
    SEEK_SET: Final = 0
    SEGV_ACCERR: Final = 2
    SEGV_MAPERR: Final = 1
    SEGV_PKUERR: Final = 4
    SEM_INFO: Final = 0x13
    SEM_STAT: Final = 0x12
    SEM_STAT_ANY: Final = 0x14
    SEM_UNDO: Final = 0x1000
    SETALL: Final = 0x11
    SETVAL: Final = 0x10
    SFD_CLOEXEC: Final = 0x80000
    SFD_NONBLOCK: Final = 0x800
    SHM_EXEC: Final = 0x8000
    SHM_HUGETLB: Final = 0x800
    SHM_HUGE_2MB: Final = 0x54000000
    SHM_LOCK: Final = 0xb
    SHM_NORESERVE: Final = 0x1000
    SHM_RDONLY: Final = 0x1000
    SHM_REMAP: Final = 0x4000
    SHM_RND: Final = 0x2000
    SHM_UNLOCK: Final = 0xc
    SHORT_INODE: Final = 0x1000000
    SHUT_RD: Final = 0
    SHUT_RDWR: Final = 2
    SHUT_WR: Final = 1
    SIGABRT: Final = 6
    SIGALRM: Final = 0xe
    SIGBUS: Final = 7
    SIGCHLD: Final = 0x11
    SIGCONT: Final = 0x12
    SIGFPE: Final = 8
    SIGHUP: Final = 1
    SIGILL: Final = 4
    SIGINT: Final = 2
    SIGIO: Final = 0x1d
    SIGKILL: Final = 9
    SIGPIPE: Final = 0xd
    SIGPROF: Final = 0x1b
    SIGPWR: Final = 0x1e
    SIGQUIT: Final = 3
    SIGSEGV: Final = 0xb
    SIGSTKFLT: Final = 0x10
    SIGSTOP: Final = 0x13
    SIGSYS: Final = 0x1f
    SIGTERM: Final = 0xf
    SIGTRAP: Final = 5
    SIGTSTP: Final = 0x14
    SIGTTIN: Final = 0x15
    SIGTTOU: Final = 0x16
    SIGURG: Final = 0x17
    SIGUSR1: Final = 0xa
    SIGUSR2: Final = 0xc
    SIGVTALRM: Final = 0x1a
    SIGWINCH: Final = 0x1c
    SIGXCPU: Final = 0x18
    SIGXFSZ: Final = 0x19
    SIG_BLOCK: Final = 0
    SIG_DFL: Final = 0
    SIG_IGN: Final = 1
    SIG_SETMASK: Final = 2
    SIG_UNBLOCK: Final = 1
    SIOCATMARK: Final = 0x8905
    SIOCGIFADDR: Final = 0x8915
    SIOCGIFCONF: Final = 0x8912
    SIOCGIFFLAGS: Final = 0x8913
    SIOCGIFHWADDR: Final = 0x8927
    SIOCGIFINDEX: Final = 0x8933
    SIOCGIFMTU: Final = 0x8921
    SIOCGIFNAME: Final = 0x8910
    SIOCGIFNETMASK: Final = 0x891b
    SI_KERNEL: Final = 0x80
    SI_QUEUE: Final = -1
    SI_TIMER: Final = -2
    SI_TKILL: Final = -6
    SI_USER: Final = 0
    SOCK_CLOEXEC: Final = 0x80000
    SOCK_DGRAM: Final = 2
    SOCK_NONBLOCK: Final = 0x800
    SOCK_RAW: Final = 3
    SOCK_SEQPACKET: Final = 5
    SOCK_STREAM: Final = 1
    SOL_IP: Final = 0
    SOL_IPV6: Final = 0x29
    SOL_SOCKET: Final = 1
    SOL_TCP: Final = 6
    SOL_UDP: Final = 0x11
    SO_ACCEPTCONN: Final = 0x1e
    SO_ATTACH_FILTER: Final = 0x1a
    SO_BINDTODEVICE: Final = 0x19
    SO_BROADCAST: Final = 6
    SO_BSDCOMPAT: Final = 0xe
    SO_BUSY_POLL: Final = 0x2e
    SO_COOKIE: Final = 0x39
    SO_DEBUG: Final = 1
    SO_DETACH_FILTER: Final = 0x1b
    SO_DOMAIN: Final = 0x27
    SO_DONTROUTE: Final = 5
    SO_ERROR: Final = 4
    SO_KEEPALIVE: Final = 9
    SO_LINGER: Final = 0xd
    SO_MARK: Final = 0x24
    SO_NO_CHECK: Final = 0xb
    SO_OOBINLINE: Final = 0xa
    SO_PASSCRED: Final = 0x10
    SO_PASSSEC: Final = 0x22
    SO_PEERCRED: Final = 0x11
    SO_PEERNAME: Final = 0x1c
    SO_PEERSEC: Final = 0x1f
    SO_PRIORITY: Final = 0xc
    SO_PROTOCOL: Final = 0x26
    SO_RCVBUF: Final = 8
    SO_RCVBUFFORCE: Final = 0x21
    SO_RCVLOWAT: Final = 0x12
    SO_RCVTIMEO_NEW: Final = 0x42
    SO_RCVTIMEO_OLD: Final = 0x14
    SO_REUSEADDR: Final = 2
    SO_REUSEPORT: Final = 0xf
    SO_SECURITY_AUTHENTICATION: Final = 0x16
    SO_SECURITY_ENCRYPTION_NETWORK: Final = 0x18
    SO_SECURITY_ENCRYPTION_TRANSPORT: Final = 0x17
    SO_SNDBUF: Final = 7
    SO_SNDBUFFORCE: Final = 0x20
    SO_SNDLOWAT: Final = 0x13
    SO_SNDTIMEO_NEW: Final = 0x43
    SO_SNDTIMEO_OLD: Final = 0x15
    SO_TIMESTAMPING_OLD: Final = 0x25
    SO_TIMESTAMPNS_OLD: Final = 0x23
    SO_TIMESTAMP_OLD: Final = 0x1d
    SO_TYPE: Final = 3
    SPLICE_F_GIFT: Final = 8
    SPLICE_F_MORE: Final = 4
    SPLICE_F_MOVE: Final = 1
    SPLICE_F_NONBLOCK: Final = 2
    SS_DISABLE: Final = 2
    SS_ONSTACK: Final = 1
    STATX_ALL: Final = 0xfff
    STATX_ATIME: Final = 0x20
    STATX_ATTR_APPEND: Final = 0x20
    STATX_ATTR_AUTOMOUNT: Final = 0x1000
    STATX_ATTR_COMPRESSED: Final = 4
    STATX_ATTR_IMMUTABLE: Final = 0x10
    STATX_ATTR_MOUNT_ROOT: Final = 0x2000
    STATX_ATTR_NODUMP: Final = 0x40
    STATX_BASIC_STATS: Final = 0x7ff
    STATX_BLOCKS: Final = 0x400
    STATX_BTIME: Final = 0x800
    STATX_CTIME: Final = 0x80
    STATX_DIOALIGN: Final = 0x2000
    STATX_GID: Final = 0x10
    STATX_INO: Final = 0x100
    STATX_MNT_ID: Final = 0x1000
    STATX_MODE: Final = 2
    STATX_MTIME: Final = 0x40
    STATX_NLINK: Final = 4
    STATX_SIZE: Final = 0x200
    STATX_TYPE: Final = 1
    STATX_UID: Final = 8
    STICKY_TIMEOUTS: Final = 0x4000000
    ST_NODEV: Final = 4
    ST_NOEXEC: Final = 8
    ST_NOSUID: Final = 2
    ST_RDONLY: Final = 1
    ST_RELATIME: Final = 0x1000
    ST_VALID: Final = 0x20
    SUID_DUMP_DISABLE: Final = 0
    SUID_DUMP_ROOT: Final = 2
    SUID_DUMP_USER: Final = 1
    SWAP_FLAG_DISCARD: Final = 0x10000
    SWAP_FLAG_PREFER: Final = 0x8000
    SWAP_FLAG_PRIO_MASK: Final = 0x7fff
    SYNC_FILE_RANGE_WAIT_AFTER: Final = 4
    SYNC_FILE_RANGE_WAIT_BEFORE: Final = 1
    SYNC_FILE_RANGE_WRITE: Final = 2
    SYSLOG_ACTION_CLEAR: Final = 5
    SYSLOG_ACTION_CLOSE: Final = 0
    SYSLOG_ACTION_CONSOLE_LEVEL: Final = 8
    SYSLOG_ACTION_CONSOLE_OFF: Final = 6
    SYSLOG_ACTION_CONSOLE_ON: Final = 7
    SYSLOG_ACTION_OPEN: Final = 1
    SYSLOG_ACTION_READ: Final = 2
    SYSLOG_ACTION_READ_ALL: Final = 3
    SYSLOG_ACTION_READ_CLEAR: Final = 4
    SYSLOG_ACTION_SIZE_BUFFER: Final = 0xa
    SYSLOG_ACTION_SIZE_UNREAD: Final = 9
    S_IFBLK: Final = 0x6000
    S_IFCHR: Final = 0x2000
    S_IFDIR: Final = 0x4000
    S_IFIFO: Final = 0x1000
    S_IFLNK: Final = 0xa000
    S_IFREG: Final = 0x8000
    S_IFSOCK: Final = 0xc000
    TCGETS: Final = 0x5401
    TCP_CONGESTION: Final = 0xd
    TCP_CORK: Final = 3
    TCP_DEFER_ACCEPT: Final = 9
    TCP_FASTOPEN: Final = 0x17
    TCP_INFO: Final = 0xb
    TCP_KEEPCNT: Final = 6
    TCP_KEEPIDLE: Final = 4
    TCP_KEEPINTVL: Final = 5
    TCP_LINGER2: Final = 8
    TCP_MAXSEG: Final = 2
    TCP_NODELAY: Final = 1
    TCP_NOTSENT_LOWAT: Final = 0x19
    TCP_QUICKACK: Final = 0xc
    TCP_SYNCNT: Final = 7
    TCP_USER_TIMEOUT: Final = 0x12
    TCP_WINDOW_CLAMP: Final = 0xa
    TCSETS: Final = 0x5402
    TCSETSF: Final = 0x5404
    TCSETSW: Final = 0x5403
    TFD_CLOEXEC: Final = 0x80000
    TFD_NONBLOCK: Final = 0x800
    TFD_TIMER_ABSTIME: Final = 1
    TFD_TIMER_CANCEL_ON_SET: Final = 2
    TIMER_ABSTIME: Final = 1
    TIOCGPGRP: Final = 0x540f
    TIOCGWINSZ: Final = 0x5413
    TIOCOUTQ: Final = 0x5411
    TIOCSPGRP: Final = 0x5410
    TIOCSWINSZ: Final = 0x5414
    TMPFS_MAGIC: Final = 0x1021994
    TRAP_BRKPT: Final = 1
    TRAP_TRACE: Final = 2
    UMOUNT_NOFOLLOW: Final = 8
    UNAME26: Final = 0x20000
    UTIME_NOW: Final = 0x3fffffff
    UTIME_OMIT: Final = 0x3ffffffe
    WCONTINUED: Final = 8
    WEXITED: Final = 4
    WHOLE_SECONDS: Final = 0x2000000
    WNOHANG: Final = 1
    WNOWAIT: Final = 0x1000000
    WSTOPPED: Final = 2
    WUNTRACED: Final = 2
    W_OK: Final = 2
    XATTR_CREATE: Final = 1
    XATTR_REPLACE: Final = 2
    X_OK: Final = 1
    __WALL: Final = 0x40000000
    __WCLONE: Final = 0x80000000
    __WNOTHREAD: Final = 0x20000000

    def accept(self, fd: int, addr: int, length_addr: int) -> int:
        """Return the descriptor of the first connection that waits; its address is stored.

        Errors: EBADF, ENOTSOCK, EINVAL (it does not listen), EOPNOTSUPP, EAGAIN, EMFILE, EFAULT.
        Source: accept(2).
        """

    def accept4(self, fd: int, addr: int, length_addr: int, flags: int) -> int:
        """As accept, with SOCK_NONBLOCK and SOCK_CLOEXEC. Errors: as accept, EINVAL (flags).

        Source: accept(2).
        """

    def access(self, path: StrPath, mode: int = 0) -> int:
        """Tell whether the task may do mode (R_OK 4, W_OK 2, X_OK 1) to a path.

        Errors: EACCES, ENOENT, EINVAL, EROFS. Source: access(2).
        """

    def adjtimex(self, addr: int) -> int:
        """Store struct timex and return the clock's state, TIME_ERROR: nothing sets it right.

        Errors: EFAULT, EPERM (a change). Source: adjtimex(2).
        """

    def alarm(self, seconds: int) -> int:
        """Send SIGALRM after seconds (0: never mind); return the seconds an older alarm had left.

        To a Python program it comes in a call that waits. Source: alarm(2).
        """

    def arch_prctl(self, code: int, addr: int) -> int:
        """Set or read the base of fs or gs. Errors: EPERM (outside user space), EINVAL, EFAULT.

        Source: arch_prctl(2).
        """

    def bind(self, fd: int, addr: int, nbytes: int) -> int:
        """Take an address: a path, an abstract name, or an IP address of this machine and a port.

        Errors: EBADF, ENOTSOCK, EINVAL, EFAULT, EADDRINUSE, EADDRNOTAVAIL, EACCES, EAFNOSUPPORT, those
        of mknod. Source: bind(2), unix(7), ip(7).
        """

    def brk(self, addr: int = 0) -> int:
        """Move the end of the heap to addr and return where it is now (unchanged on failure).

        Source: brk(2), the kernel's own convention.
        """

    def cachestat(self, fd: int, cstat_range: int, cstat: int, flags: int) -> int:
        """Store how many pages of a byte range (struct cachestat_range) are cached and dirty.

        Errors: EBADF, EFAULT, EOPNOTSUPP (large pages), EPERM (who may not write to it), EINVAL.
        Source: cachestat of Linux 6.18, mm/filemap.c.
        """

    def capget(self, header: int, data: int) -> int:
        """Store effective, permitted and inheritable sets of a task. Errors: EINVAL, ESRCH, EFAULT.

        Source: capget(2).
        """

    def capset(self, header: int, data: int) -> int:
        """Set the caller's own sets, within what it has. Errors: EINVAL, EPERM, EFAULT.

        Source: capset(2).
        """

    def chdir(self, path: StrPath) -> int:
        """Change the working directory. Errors: ENOENT, ENOTDIR, EACCES. Source: chdir(2)."""

    def chmod(self, path: StrPath, mode: int) -> int:
        """Set a file's permission bits. Errors: EPERM, ENOENT, EROFS. Source: chmod(2)."""

    def chown(self, path: StrPath, uid: int, gid: int) -> int:
        """Set owner and group; -1 leaves one. Errors: EPERM, ENOENT, EROFS. Source: chown(2)."""

    def chroot(self, path: StrPath) -> int:
        """Change the root directory. Errors: EPERM, ENOENT, ENOTDIR, EACCES. Source: chroot(2)."""

    def clock_adjtime(self, clock: int, addr: int) -> int:
        """As adjtimex, of CLOCK_REALTIME. Errors: EOPNOTSUPP, EINVAL. Source: adjtimex(2)."""

    def clock_getres(self, clock: int) -> int:
        """Return the nanoseconds that a clock moves by. Errors: EINVAL. Source: clock_getres(2)."""

    def clock_gettime(self, clock: int) -> int:
        """Return a clock's nanoseconds. Errors: EINVAL. Source: clock_gettime(2)."""

    def clock_nanosleep(self, clock: int, flags: int, request: int, remain: int) -> int:
        """Sleep on a clock, until a time of it with TIMER_ABSTIME.

        A clock of processor time counts what a process, or another thread, does meanwhile.
        Errors: EINVAL, EFAULT, EINTR, EOPNOTSUPP (coarse, raw, alarms, devices).
        Source: clock_nanosleep(2).
        """

    def clock_settime(self, clock: int, addr: int) -> int:
        """Refuse to set a clock. Errors: EINVAL, EFAULT, EPERM. Source: clock_settime(2)."""

    def clone(self, flags: int, stack: int = 0, parent_tid: int = 0, child_tid: int = 0, tls: int = 0) -> int:
        """Return the number of a new task: a thread, or a child that shares what the flags say.

        A Python program has no threads; its child has a copy of all that vfork shares.
        Errors: EINVAL (flags that do not go together), EPERM (a base outside user space), EAGAIN,
        ENOMEM, EFAULT. Source: clone(2).
        """

    def clone3(self, addr: int, nbytes: int) -> int:
        """Return the number of a new task, as clone, from a struct clone_args.

        Errors: as clone, E2BIG, EEXIST (set_tid: it is in use), EPERM (set_tid without
        CAP_CHECKPOINT_RESTORE). Source: clone3(2).
        """

    def close(self, fd: int) -> int:
        """Close a descriptor; mappings of the file stay. Errors: EBADF. Source: close(2)."""

    def close_range(self, first: int, last: int, flags: int = 0) -> int:
        """Close the descriptors first..last, or mark them (CLOSE_RANGE_CLOEXEC 4).

        Errors: EINVAL. Source: close_range(2).
        """

    def connect(self, fd: int, addr: int, nbytes: int) -> int:
        """Connect to an address. A datagram socket is parted by AF_UNSPEC.

        Errors: EBADF, ENOTSOCK, EINVAL, EFAULT, EISCONN, ECONNREFUSED, EINPROGRESS, EALREADY, EAGAIN,
        EPROTOTYPE, ENETUNREACH, those of a path. Source: connect(2).
        """

    def copy_file_range(self, in_fd: int, in_offset: int, out_fd: int, out_offset: int, count: int, flags: int) -> int:
        """Copy bytes between regular files; offsets are addresses, 0 for a file's own position.

        Errors: EBADF, EINVAL, EISDIR, EXDEV (of two file systems), EOVERFLOW, EFAULT.
        Source: copy_file_range(2).
        """

    def creat(self, path: StrPath, mode: int = 438) -> int:
        """Create or empty a file and open it for writing. Errors: as open. Source: creat(2)."""

    def dup(self, fd: int) -> int:
        """Return another descriptor of the same open file. Errors: EBADF, EMFILE. Source: dup(2)."""

    def dup2(self, old: int, new: int) -> int:
        """Make new a descriptor of old's open file. Errors: EBADF. Source: dup2(2)."""

    def dup3(self, old: int, new: int, flags: int = 0) -> int:
        """As dup2, with O_CLOEXEC. Errors: EBADF, EINVAL (old == new). Source: dup3(2)."""

    def epoll_create(self, size: int) -> int:
        """As epoll_create1 without flags. Errors: EINVAL (size is not above 0), EMFILE."""

    def epoll_create1(self, flags: int = 0) -> int:
        """Return a descriptor of an empty set. flags: EPOLL_CLOEXEC. Errors: EINVAL, EMFILE.

        Source: epoll_create(2).
        """

    def epoll_ctl(self, epfd: int, operation: int, fd: int, addr: int) -> int:
        """Add, change or remove an open file of a set; struct epoll_event at addr says how.

        Errors: EBADF, EEXIST, ENOENT, EPERM (a file that is always ready), EINVAL, EFAULT, ELOOP.
        Source: epoll_ctl(2).
        """

    def epoll_pwait(self, epfd: int, addr: int, most: int, timeout_ms: int, mask_addr: int, nbytes: int) -> int:
        """As epoll_wait, with a signal mask. Errors: as epoll_wait. Source: epoll_wait(2)."""

    def epoll_pwait2(self, epfd: int, addr: int, most: int, time_addr: int, mask_addr: int, nbytes: int) -> int:
        """As epoll_pwait, with struct timespec. Errors: as epoll_wait. Source: epoll_wait(2)."""

    def epoll_wait(self, epfd: int, addr: int, most: int, timeout_ms: int) -> int:
        """Wait for files of a set; store up to most struct epoll_event at addr, return how many.

        Errors: EBADF, EINVAL, EFAULT, EINTR. Source: epoll_wait(2).
        """

    def eventfd(self, count: int) -> int:
        """As eventfd2 without flags. Errors: as eventfd2. Source: eventfd(2)."""

    def eventfd2(self, count: int, flags: int = 0) -> int:
        """Return a descriptor of a counter. flags: EFD_SEMAPHORE 1, EFD_NONBLOCK, EFD_CLOEXEC.

        Errors: EINVAL, EMFILE. Source: eventfd(2).
        """

    def execve(self, path: StrPath, argv: list[str], envp: list[str] = []) -> int:
        """Run a program in machine code in this task, whose Python program ends here.

        Of main's sys it does not return: the exit status is the new program's. A child that was forked
        is in its hands afterwards, and wait4 lets it run. Descriptors 0, 1 and 2 that are closed are
        the host's. envp: each NAME=VALUE.
        Errors: ENOENT, EACCES, ENOEXEC, E2BIG, ELOOP, ENOMEM. Source: execve(2).
        """

    def execveat(self, dirfd: int, path: StrPath, argv: list[str], envp: list[str] = [], flags: int = 0) -> int:
        """As execve: a program below a directory, or (AT_EMPTY_PATH) an open file.

        AT_EXECVE_CHECK only asks whether it may be executed. Errors: as execve, EBADF, EINVAL. Source:
        execveat(2).
        """

    def exit_group(self, status: int = 0) -> int:
        """End the process: each of its threads. Source: exit_group(2)."""

    def faccessat(self, dirfd: int, path: StrPath, mode: int = 0) -> int:
        """As access, below dirfd. Errors: as access, EBADF, ENOTDIR. Source: faccessat(2)."""

    def faccessat2(self, dirfd: int, path: StrPath, mode: int = 0, flags: int = 0) -> int:
        """As faccessat, with AT_EACCESS, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH.

        Errors: as faccessat, EINVAL. Source: faccessat2(2).
        """

    def fadvise64(self, fd: int, offset: int, nbytes: int, advice: int) -> int:
        """Take advice on how a file will be read: WILLNEED brings it, DONTNEED lets clean pages go.

        Errors: EBADF, ESPIPE, EINVAL. Source: posix_fadvise(2); generic_fadvise() of Linux 6.x.
        """

    def fallocate(self, fd: int, mode: int, offset: int, length: int) -> int:
        """Allocate, punch or zero [offset, offset+length) bytes of a file.

        Errors: EBADF, EINVAL, EOPNOTSUPP, ENODEV, EFBIG, ENOSPC, EPERM (sealed).
        Source: fallocate(2).
        """

    def fchdir(self, fd: int) -> int:
        """Change the working directory to an open one. Errors: EBADF, ENOTDIR. Source: fchdir(2)."""

    def fchmod(self, fd: int, mode: int) -> int:
        """Set an open file's permission bits. Errors: EBADF, EPERM. Source: fchmod(2)."""

    def fchmodat(self, dirfd: int, path: StrPath, mode: int) -> int:
        """Set the bits of a path below dirfd. Errors: as chmod. Source: fchmodat(2)."""

    def fchmodat2(self, dirfd: int, path: StrPath, mode: int, flags: int = 0) -> int:
        """As fchmodat, with flags. Errors: as chmod, EOPNOTSUPP (a link). Source: fchmodat2(2)."""

    def fchown(self, fd: int, uid: int, gid: int) -> int:
        """As chown, of an open file. Errors: EBADF, EPERM. Source: fchown(2)."""

    def fchownat(self, dirfd: int, path: StrPath, uid: int, gid: int, flags: int = 0) -> int:
        """As chown, below dirfd. Errors: as chown, EINVAL. Source: fchownat(2)."""

    def fcntl(self, fd: int, command: int, arg: int = 0) -> int:
        """Read or change a descriptor. Errors: EBADF, EINVAL, EPERM, EBUSY (seals), EACCES, EAGAIN.

        Source: fcntl(2).
        """

    def fdatasync(self, fd: int) -> int:
        """Write an open file's dirty pages, as fsync. Errors: as fsync. Source: fdatasync(2)."""

    def fgetxattr(self, fd: int, name: StrPath, addr: int, size: int) -> int:
        """As getxattr, of an open file. Errors: as getxattr, EBADF. Source: fgetxattr(2)."""

    def file_getattr(self, dirfd: int, path: int, addr: int, nbytes: int, at: int = 0) -> int:
        """Store struct file_attr (FS_XFLAG_* flags) of a path; path, addr: addresses.

        at: AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW. Errors: EINVAL, E2BIG, EOPNOTSUPP (its file system has
        none), EBADF, EFAULT, as stat. Source: file_getattr of Linux 6.18, fs/file_attr.c.
        """

    def file_setattr(self, dirfd: int, path: int, addr: int, nbytes: int, at: int = 0) -> int:
        """Set the flags that a struct file_attr says (FS_XFLAG_IMMUTABLE, APPEND, NODUMP, NOATIME).

        at: as of file_getattr. Errors: as file_getattr, EPERM, EROFS, EOPNOTSUPP (other flags, sizes,
        projects). Source: file_setattr of Linux 6.18, fs/file_attr.c.
        """

    def flistxattr(self, fd: int, addr: int = 0, size: int = 0) -> int:
        """As listxattr, of an open file. Errors: as listxattr, EBADF. Source: flistxattr(2)."""

    def flock(self, fd: int, operation: int) -> int:
        """Lock an open file: LOCK_SH 1, LOCK_EX 2, LOCK_UN 8; LOCK_NB 4 does not wait.

        Errors: EBADF, EINVAL, EWOULDBLOCK. Source: flock(2).
        """

    def fremovexattr(self, fd: int, name: StrPath) -> int:
        """As removexattr, of an open file. Errors: as removexattr. Source: fremovexattr(2)."""

    def fsconfig(self, fd: int, what: int, key: StrPath = '', value: StrPath | None = None) -> int:
        """Give a file system a parameter, make it, or change it.

        what: FSCONFIG_SET_FLAG 0 (key), SET_STRING 1 (key, value), CMD_CREATE 6, RECONFIGURE 7,
        CREATE_EXCL 8; no parameter takes a SET_BINARY 2, PATH 3, PATH_EMPTY 4 or FD 5. Errors: EINVAL
        (read() of fd says why), EBADF, EBUSY (not now), EPERM. Source: fsconfig(2).
        """

    def fsetxattr(self, fd: int, name: StrPath, addr: int, size: int, flags: int) -> int:
        """As setxattr, of an open file. Errors: as setxattr, EBADF. Source: fsetxattr(2)."""

    def fsmount(self, fd: int, flags: int = 0, attributes: int = 0) -> int:
        """Return a descriptor of a mount, nowhere yet, of a file system that is made.

        flags: FSMOUNT_CLOEXEC 1. attributes: MOUNT_ATTR_*. Errors: EPERM, EINVAL, EBADF, EBUSY,
        EMFILE. Source: fsmount(2).
        """

    def fsopen(self, fstype: StrPath, flags: int = 0) -> int:
        """Return a descriptor of a file system that is to be made. flags: FSOPEN_CLOEXEC 1.

        fstype: as of mount. Errors: EPERM (CAP_SYS_ADMIN), EINVAL, ENODEV, EMFILE. Source: fsopen(2).
        """

    def fspick(self, dirfd: int, path: StrPath, flags: int = 0) -> int:
        """Return a descriptor for changes of the file system that is mounted on a path.

        flags: FSPICK_CLOEXEC 1, SYMLINK_NOFOLLOW 2, NO_AUTOMOUNT 4, EMPTY_PATH 8. Errors: EPERM,
        EINVAL (nothing is mounted there), EMFILE, as open. Source: fspick(2).
        """

    def fstat(self, fd: int) -> Stat:
        """Return what a descriptor names. Errors: EBADF. Source: fstat(2)."""

    def fstatfs(self, fd: int) -> bytes:
        """As statfs, of an open file. Errors: EBADF, EFAULT. Source: statfs(2)."""

    def fsync(self, fd: int) -> int:
        """Write an open file's dirty pages to its backing store.

        Errors: EBADF, EINVAL (a pipe, a socket, a file of /proc). Source: fsync(2).
        """

    def ftruncate(self, fd: int, size: int) -> int:
        """Set an open file's size in bytes; what becomes of its pages: as of truncate.

        Errors: EINVAL (negative, or not open for writing), EBADF, EPERM (sealed). Source: ftruncate(2).
        """

    def futex(self, addr: int, operation: int, value: int, timeout: int, addr2: int, value3: int) -> int:
        """Wait on the word at addr, wake those that do, or take and give up a lock that it is.

        Errors: EAGAIN (the word is not value), ETIMEDOUT, EINTR, EINVAL, EFAULT, ENOSYS; of locks with
        an owner (FUTEX_LOCK_PI ...) EDEADLK, EPERM, ESRCH. Source: futex(2).
        """

    def futex_requeue(self, waiters: int, flags: int, nr_wake: int, nr_requeue: int) -> int:
        """Wake some who wait for the first of two words, let others wait for the second; count both.

        waiters: the address of two struct futex_waitv; the first word must have its value.
        Errors: EAGAIN, EINVAL, EFAULT. Source: Documentation/userspace-api/futex2.rst of Linux 6.18.
        """

    def futex_wait(self, addr: int, value: int, mask: int, flags: int, timeout: int, clock: int) -> int:
        """Wait until the word at addr, which is value, is woken with a bit of mask.

        timeout: the address of an absolute struct timespec on CLOCK_REALTIME or CLOCK_MONOTONIC, or 0.
        Errors: EAGAIN (the word is not value), EINVAL, EFAULT, ETIMEDOUT, EINTR.
        Source: Documentation/userspace-api/futex2.rst of Linux 6.18.
        """

    def futex_waitv(self, waiters: int, nr_waiters: int, flags: int, timeout: int, clock: int) -> int:
        """Wait until one of many words is woken, and return its place.

        waiters: the address of up to 128 struct futex_waitv. timeout: as futex_wait.
        Errors: EAGAIN (a word has another value), EINVAL, EFAULT, ETIMEDOUT, EINTR.
        Source: futex_waitv(2) of Linux 6.18.
        """

    def futex_wake(self, addr: int, mask: int, count: int, flags: int) -> int:
        """Wake up to count of those who wait for the word at addr with a bit of mask; return how many.

        Errors: EINVAL, EFAULT. Source: Documentation/userspace-api/futex2.rst of Linux 6.18.
        """

    def futimesat(self, dirfd: int, path: int, times: int = 0) -> int:
        """As utimes, below dirfd. Errors: as utimensat. Source: futimesat(2)."""

    def get_mempolicy(self, mode: int = 0, nodemask: int = 0, maxnode: int = 0, addr: int = 0, flags: int = 0) -> int:
        """Store the caller's policy, or that of an address: mode (4 bytes), mask (maxnode - 1 bits).

        mode, nodemask: addresses, 0 for none. flags: MPOL_F_NODE, ADDR, MEMS_ALLOWED.
        Errors: EINVAL, EFAULT. Source: get_mempolicy(2).
        """

    def get_robust_list(self, pid: int, addr: int, length_addr: int) -> int:
        """Store the address of a task's list and its size. Errors: ESRCH, EPERM, EFAULT.

        Source: get_robust_list(2).
        """

    def getcpu(self, cpu_addr: int = 0, node_addr: int = 0) -> int:
        """Store the processor and the node, both 0 (4 bytes each), where the address is not 0.

        Errors: EFAULT. Source: getcpu(2).
        """

    def getcwd(self) -> str:
        """Return the working directory. Errors: ENOENT (removed). Source: getcwd(2)."""

    def getdents(self, fd: int, count: int) -> bytes:
        """Return struct linux_dirent entries. Errors: as getdents64. Source: getdents(2)."""

    def getdents64(self, fd: int, count: int) -> bytes:
        """Return directory entries (struct linux_dirent64) from the file's position, moving it.

        Errors: EBADF, ENOTDIR, ENOENT (removed), EINVAL (count too small for one).
        Source: getdents64(2).
        """

    def getegid(self) -> int:
        """Return the effective group id. Source: getegid(2)."""

    def geteuid(self) -> int:
        """Return the effective user id. Source: geteuid(2)."""

    def getgid(self) -> int:
        """Return the real group id. Source: getgid(2)."""

    def getgroups(self) -> list[int]:
        """Return the supplementary groups in order. Source: getgroups(2)."""

    def getitimer(self, which: int) -> bytes:
        """Store struct itimerval. Errors: EINVAL, EFAULT. Source: getitimer(2)."""

    def getpeername(self, fd: int, addr: int, length_addr: int) -> int:
        """Store the other end's address. Errors: as getsockname, ENOTCONN. Source: getpeername(2)."""

    def getpgid(self, pid: int) -> int:
        """Return the group of a process. Errors: ESRCH. Source: getpgid(2)."""

    def getpgrp(self) -> int:
        """Return the caller's group. Source: getpgrp(2)."""

    def getpid(self) -> int:
        """Return the process's number, which all its threads share. Source: getpid(2)."""

    def getppid(self) -> int:
        """Return the parent's pid, 0 without one. Source: getppid(2)."""

    def getpriority(self, which: int = 0, who: int = 0) -> int:
        """Return the lowest nice value of a process, group or user. Errors: EINVAL, ESRCH.

        Source: getpriority(2).
        """

    def getrandom(self, count: int, flags: int = 0) -> bytes:
        """Return count bytes of the machine's stream, at most 1 MiB.

        Errors: EINVAL. Source: getrandom(2).
        """

    def getresgid(self) -> Ids:
        """Return the real, effective and saved group id. Source: getresgid(2)."""

    def getresuid(self) -> Ids:
        """Return the real, effective and saved user id. Source: getresuid(2)."""

    def getrlimit(self, resource: int) -> tuple[int, int]:
        """Return (soft, hard) of RLIMIT_* resource. Errors: EINVAL. Source: getrlimit(2)."""

    def getrusage(self, who: int = 0) -> Rusage:
        """Return what RUSAGE_SELF (or _THREAD, _CHILDREN) has used. Errors: EINVAL.

        Source: getrusage(2).
        """

    def getsid(self, pid: int) -> int:
        """Return the session of a process. Errors: ESRCH. Source: getsid(2)."""

    def getsockname(self, fd: int, addr: int, length_addr: int) -> int:
        """Store the socket's own address. Errors: EBADF, ENOTSOCK, EINVAL, EFAULT.

        Source: getsockname(2).
        """

    def getsockopt(self, fd: int, level: int, option: int, addr: int, length_addr: int) -> int:
        """Store an option and its length. Errors: EBADF, ENOTSOCK, ENOPROTOOPT, EOPNOTSUPP, EFAULT.

        Source: getsockopt(2), socket(7), ip(7), ipv6(7), tcp(7).
        """

    def gettid(self) -> int:
        """Return the thread's own number. Source: gettid(2)."""

    def gettimeofday(self) -> bytes:
        """Return struct timeval of CLOCK_REALTIME. Source: gettimeofday(2)."""

    def getuid(self) -> int:
        """Return the real user id. Source: getuid(2)."""

    def getxattr(self, path: StrPath, name: StrPath) -> bytes:
        """Return an attribute. Errors: ENODATA, EACCES, EOPNOTSUPP, ERANGE. Source: getxattr(2)."""

    def getxattrat(self, dirfd: int, path: int, at: int, name: StrPath, args: int, size: int) -> int:
        """As getxattr, below dirfd, of a struct xattr_args at args; return the attribute's size.

        path, at: as of setxattrat. Errors: as getxattr, EINVAL, E2BIG, EFAULT, EBADF. Source:
        getxattrat(2).
        """

    def inotify_add_watch(self, fd: int, path: StrPath, mask: int) -> int:
        """Watch a file or a directory for the events in mask (IN_*); return the watch's number.

        Errors: EINVAL, EBADF, EACCES, EEXIST (IN_MASK_CREATE), ENOSPC (fs.inotify.max_user_watches),
        ENOTDIR (IN_ONLYDIR) and those of a path. Source: inotify_add_watch(2).
        """

    def inotify_init(self) -> int:
        """As inotify_init1 without flags. Errors: as inotify_init1. Source: inotify_init(2)."""

    def inotify_init1(self, flags: int = 0) -> int:
        """Return a descriptor to read events from. flags: IN_NONBLOCK, IN_CLOEXEC.

        Errors: EINVAL, EMFILE (descriptors, fs.inotify.max_user_instances). Source: inotify_init(2).
        """

    def inotify_rm_watch(self, fd: int, wd: int) -> int:
        """End a watch. Errors: EBADF, EINVAL (no such watch). Source: inotify_rm_watch(2)."""

    def io_uring_enter(self, fd: int, to_submit: int, min_complete: int, flags: int, addr: int, nbytes: int) -> int:
        """Begin up to to_submit entries and wait for min_complete ends; return how many were begun.

        Errors: EBADF, EOPNOTSUPP (no io_uring), EBADFD (not enabled yet), EINVAL, EFAULT, ETIME, EINTR.
        Source: io_uring_enter(2).
        """

    def io_uring_register(self, fd: int, operation: int, addr: int, count: int) -> int:
        """Give a ring buffers, files or an eventfd to use, enable it, or ask what it can do.

        Errors: EBADF, EOPNOTSUPP (no io_uring), EINVAL, EBUSY (there are some), ENXIO (there are none),
        EFAULT, EMFILE, EBADFD. Source: io_uring_register(2).
        """

    def io_uring_setup(self, entries: int, addr: int) -> int:
        """Return the descriptor of a new io_uring; struct io_uring_params at addr is filled in.

        Errors: EPERM (kernel.io_uring_disabled), EFAULT, EINVAL, EMFILE, ENOMEM; ENOSYS in a Python
        program. Source: io_uring_setup(2).
        """

    def ioctl(self, fd: int, request: int, arg: int = 0) -> int:
        """Ask a device. Errors: EBADF, ENOTTY, EFAULT, EINVAL. Source: ioctl(2)."""

    def ioprio_get(self, which: int, who: int) -> int:
        """Return the best I/O priority of a process, group or user. Errors: EINVAL, ESRCH.

        Source: ioprio_set(2).
        """

    def ioprio_set(self, which: int, who: int, priority: int) -> int:
        """Set the I/O priority: class << 13 | level. Errors: EINVAL, ESRCH, EPERM.

        Source: ioprio_set(2).
        """

    def kcmp(self, one: int, other: int, kind: int, first: int = 0, second: int = 0) -> int:
        """Tell whether two processes share an object: 0 equal, 1 less, 2 greater.

        kind: KCMP_FILE 0 (first, second: descriptors), VM 1, FILES 2, FS 3, SIGHAND 4, IO 5, SYSVSEM 6,
        EPOLL_TFD 7 (first: a descriptor; second: where a struct kcmp_epoll_slot stands).
        Errors: ESRCH, EPERM, EBADF, EFAULT, EINVAL, ENOENT (no such file in the set). Source: kcmp(2).
        """

    def kill(self, pid: int, signo: int) -> int:
        """Send a signal to a process, a group (pid < -1, 0: the caller's) or all (-1).

        Signal 0 only asks whether it could be sent. Errors: EINVAL, ESRCH, EPERM. Source: kill(2).
        """

    def lchown(self, path: StrPath, uid: int, gid: int) -> int:
        """As chown, of the link itself. Errors: as chown. Source: lchown(2)."""

    def lgetxattr(self, path: StrPath, name: StrPath, addr: int, size: int) -> int:
        """As getxattr, of a link itself. Errors: as getxattr. Source: lgetxattr(2)."""

    def link(self, old: StrPath, new: StrPath) -> int:
        """Give a file one more name. Errors: EEXIST, EXDEV, EPERM, ENOENT. Source: link(2)."""

    def linkat(self, old_dirfd: int, old: StrPath, new_dirfd: int, new: StrPath, flags: int = 0) -> int:
        """As link, with AT_SYMLINK_FOLLOW and AT_EMPTY_PATH. Errors: as link. Source: linkat(2)."""

    def listdir(self, path: StrPath) -> list[str]:
        """Return a directory's names in order, without . and .. Errors: ENOENT, ENOTDIR, EACCES."""

    def listen(self, fd: int, backlog: int) -> int:
        """Let others connect; one more than backlog may wait. Errors: EBADF, ENOTSOCK, EINVAL,
        EOPNOTSUPP, EADDRINUSE.

        Source: listen(2).
        """

    def listmount(self, request: int, addr: int, count: int, flags: int = 0) -> int:
        """Store the numbers of up to count mounts below one, 8 bytes each; return how many.

        request: the address of a struct mnt_id_req: a mount's number, or all bits: the caller's root;
        and behind which number the list goes on. flags: LISTMOUNT_REVERSE 1.
        Errors: as statmount, EOVERFLOW (count is above a million). Source: listmount(2).
        """

    def listxattr(self, path: StrPath, addr: int = 0, size: int = 0) -> int:
        """Store the names, each with its NUL; return their size.

        Errors: ERANGE, E2BIG (more than 65536 bytes), EFAULT and those of stat. Source: listxattr(2).
        """

    def listxattrat(self, dirfd: int, path: int, at: int, addr: int = 0, size: int = 0) -> int:
        """As listxattr, below dirfd. path, at: as of setxattrat.

        Errors: as listxattr, EINVAL, EBADF. Source: listxattrat(2).
        """

    def llistxattr(self, path: StrPath, addr: int = 0, size: int = 0) -> int:
        """As listxattr, of a link itself. Errors: as listxattr. Source: llistxattr(2)."""

    def lremovexattr(self, path: StrPath, name: StrPath) -> int:
        """As removexattr, of a link itself. Errors: as removexattr. Source: lremovexattr(2)."""

    def lseek(self, fd: int, offset: int, whence: int = 0) -> int:
        """Move the file's position and return it (bytes).

        Errors: EBADF, ESPIPE, EINVAL, ENXIO (SEEK_DATA, SEEK_HOLE beyond the end). Source: lseek(2).
        """

    def lsetxattr(self, path: StrPath, name: StrPath, addr: int, size: int, flags: int) -> int:
        """As setxattr, of a link itself. Errors: as setxattr. Source: lsetxattr(2)."""

    def lstat(self, path: StrPath) -> Stat:
        """Return what a path names: the link itself. Errors: as stat. Source: lstat(2)."""

    def madvise(self, addr: int, length: int, advice: int) -> int:
        """Advise the kernel about [addr, addr+length).

        Errors: EINVAL, ENOMEM (a hole), EACCES (REMOVE), EFAULT (POPULATE_*). Source: madvise(2).
        """

    def mbind(self, addr: int, length: int, mode: int, nodemask: int, maxnode: int, flags: int = 0) -> int:
        """Choose the nodes that the pages of a range come from; move those that lie elsewhere.

        flags: MPOL_MF_STRICT, MOVE, MOVE_ALL.
        Errors: EINVAL, EFAULT (holes too), EPERM, EIO (STRICT), ENOMEM. Source: mbind(2).
        """

    def membarrier(self, command: int, flags: int = 0, cpu: int = 0) -> int:
        """Order memory between processors; with one of them nothing is to be done.

        Errors: EINVAL; EPERM (an expedited command without its registration). Source: membarrier(2).
        """

    def memfd_create(self, name: StrPath, flags: int = 0) -> int:
        """Return a descriptor of a new file without a name, in memory.

        Errors: EINVAL (flags, name over 249 bytes), EMFILE, ENOMEM, ENODEV (a size of large pages),
        EACCES (vm.memfd_noexec is 2, and it could be executed). Source: memfd_create(2).
        """

    def memfd_secret(self, flags: int = 0) -> int:
        """Return a descriptor of memory that only those who map it see.

        flags: FD_CLOEXEC's O_CLOEXEC. Errors: EINVAL, EMFILE, ENOMEM. Source: memfd_secret(2).
        """

    def migrate_pages(self, pid: int, maxnode: int, old_nodes: int, new_nodes: int) -> int:
        """Move a process's pages from nodes to others; return how many could not be moved.

        pid: 0 is the caller. old_nodes, new_nodes: addresses of masks of maxnode - 1 bits.
        Errors: EINVAL, EFAULT, ESRCH, EPERM. Source: migrate_pages(2).
        """

    def mincore(self, addr: int, length: int) -> bytes:
        """Return one byte a page of [addr, addr+length): 1 where memory holds it.

        Errors: EINVAL (misaligned), ENOMEM (a hole or beyond user space). Source: mincore(2).
        """

    def mkdir(self, path: StrPath, mode: int = 511) -> int:
        """Make a directory. Errors: EEXIST, ENOENT, EACCES, EROFS. Source: mkdir(2)."""

    def mkdirat(self, dirfd: int, path: StrPath, mode: int = 511) -> int:
        """Make a directory below dirfd. Errors: as mkdir. Source: mkdirat(2)."""

    def mknod(self, path: StrPath, mode: int, dev: int = 0) -> int:
        """Make a file, fifo or device. Errors: EEXIST, EPERM, EINVAL. Source: mknod(2)."""

    def mknodat(self, dirfd: int, path: StrPath, mode: int, dev: int = 0) -> int:
        """As mknod, below dirfd. Errors: as mknod. Source: mknodat(2)."""

    def mlock(self, addr: int, length: int) -> int:
        """Bring [addr, addr+length) into memory and keep it there.

        Errors: ENOMEM (a hole, RLIMIT_MEMLOCK), EPERM, EINVAL. Source: mlock(2).
        """

    def mlock2(self, addr: int, length: int, flags: int) -> int:
        """Lock as mlock; with MLOCK_ONFAULT pages as they come. Errors: as mlock, EINVAL.

        Source: mlock(2).
        """

    def mlockall(self, flags: int) -> int:
        """Lock all of the address space, now (MCL_CURRENT) or from now on (MCL_FUTURE).

        Errors: EINVAL, ENOMEM, EPERM. Source: mlock(2).
        """

    def mmap(self, addr: int, length: int, prot: int, flags: int, fd: int = -1, offset: int = 0) -> int:
        """Map length bytes and return the first address (bytes, page aligned).

        length: bytes, > 0, rounded up to pages. offset: bytes, page aligned.
        Errors: EINVAL, ENOMEM, EACCES, EEXIST (FIXED_NOREPLACE), EPERM (gate closed), EBADF, ENODEV,
        EOVERFLOW, EAGAIN, EOPNOTSUPP. Source: mmap(2); MAP_NONLINEAR: docs/nonlinear.md.
        """

    def modify_ldt(self, func: int, addr: int, nbytes: int) -> int:
        """Read the task's table of segments (0), the default one (2), or clear an entry (1, 0x11).

        As in Linux the result is an int: an error is its 32 bits and no negative number of 64.
        Errors: EINVAL, EFAULT, ENOMEM, ENOSYS. Source: modify_ldt(2).
        """

    def mount(self, source: StrPath, target: StrPath, fstype: StrPath | None, flags: int = 0, data: StrPath = '') -> int:
        """Mount a new file system over a place, or (MS_BIND) another place, or change or move a mount.

        fstype: tmpfs, ramfs, hugetlbfs, proc, devpts. flags: MS_REMOUNT with or without MS_BIND;
        MS_BIND with or without MS_REC; MS_SHARED, PRIVATE, SLAVE, UNBINDABLE; MS_MOVE; else a new one.
        Errors: EPERM (CAP_SYS_ADMIN), ENODEV (unknown type), ENOTDIR, EINVAL, ENOENT, EBUSY (to
        read-only: files are open for writing), ELOOP, EROFS. Source: mount(2), path_mount() of Linux.
        """

    def mount_setattr(self, dirfd: int, path: StrPath, flags: int, wanted: int, cleared: int = 0, kind: int = 0) -> int:
        """Set and clear flags (MOUNT_ATTR_*) of a mount, or of all in a tree, and their propagation.

        flags: AT_EMPTY_PATH, AT_RECURSIVE, AT_SYMLINK_NOFOLLOW. kind: MS_SHARED, PRIVATE, SLAVE,
        UNBINDABLE, 0: as it is. Errors: EINVAL (also: ids are to be mapped, which no file system here
        allows), EPERM (also: a flag is locked), EBUSY (files are open for writing). What fails changes
        nothing. Source: mount_setattr(2).
        """

    def move_mount(self, from_fd: int, from_path: StrPath, to_fd: int, to_path: StrPath, flags: int = 0) -> int:
        """Let a tree of mounts, that of a descriptor or one that is mounted, stand at a path.

        flags: MOVE_MOUNT_F_SYMLINKS 1, F_EMPTY_PATH 4, T_SYMLINKS 0x10, T_EMPTY_PATH 0x40. Errors:
        EPERM, EINVAL, ELOOP, as open. Source: move_mount(2).
        """

    def move_pages(self, pid: int, count: int, pages: int, nodes: int, status: int, flags: int = 0) -> int:
        """Move single pages of a process to nodes, or tell where they lie; return 0.

        pid: 0 is the caller. pages: address of count addresses (8 bytes); nodes: of count nodes (4
        bytes), 0 to ask only; status: of count results (4 bytes): a node or -errno.
        A positive result: so many pages were not tried, for lack of memory.
        Errors: EINVAL, EPERM, ESRCH, EFAULT, ENODEV. Source: move_pages(2).
        """

    def mprotect(self, addr: int, length: int, prot: int) -> int:
        """Set the protection of [addr, addr+length).

        Errors: EINVAL, ENOMEM (a hole; what came before it is changed), EACCES. Source: mprotect(2).
        """

    def mq_getsetattr(self, fd: int, new: int, old: int) -> int:
        """Store struct mq_attr at old; take O_NONBLOCK from the one at new; each where not 0.

        Errors: EBADF, EINVAL (another flag), EFAULT. Source: mq_getattr(3).
        """

    def mq_notify(self, fd: int, addr: int) -> int:
        """Ask to be told, once, of a message that comes into the empty queue; addr 0: no more.

        struct sigevent at addr: SIGEV_SIGNAL, SIGEV_NONE. Errors: EBADF, EBUSY (another asked), EINVAL,
        EFAULT. Source: mq_notify(3).
        """

    def mq_open(self, name: StrPath, flags: int, mode: int = 0, attr: int = 0) -> int:
        """Return a descriptor of a queue, closed at execve. name: without the library's slash.

        flags: O_RDONLY, O_WRONLY, O_RDWR, O_CREAT, O_EXCL, O_NONBLOCK. attr: struct mq_attr of a new
        one, 0: fs.mqueue's defaults. Errors: EACCES, EEXIST, EINVAL, EMFILE (RLIMIT_MSGQUEUE too),
        ENAMETOOLONG, ENOENT, ENOSPC. Source: mq_open(3).
        """

    def mq_timedreceive(self, fd: int, addr: int, nbytes: int, priority_addr: int = 0, timeout: int = 0) -> int:
        """Store the first message at addr and return its bytes; its priority where that is not 0.

        Errors: EAGAIN, EBADF, EFAULT, EINTR, EINVAL, EMSGSIZE, ETIMEDOUT. Source: mq_receive(3).
        """

    def mq_timedsend(self, fd: int, addr: int, nbytes: int, priority: int = 0, timeout: int = 0) -> int:
        """Send nbytes at addr; wait for room until the date in struct timespec at timeout (0: ever).

        Errors: EAGAIN, EBADF, EFAULT, EINTR, EINVAL, EMSGSIZE, ETIMEDOUT. Source: mq_send(3).
        """

    def mq_unlink(self, name: StrPath) -> int:
        """Take a queue's name away; it goes with its last descriptor. Errors: ENOENT, EPERM, EACCES.

        Source: mq_unlink(3).
        """

    def mremap(self, addr: int, old_length: int, new_length: int, flags: int, new_addr: int = 0) -> int:
        """Grow, shrink or move a mapping and return its address (bytes).

        Errors: EINVAL, EFAULT (not one mapping), ENOMEM, EAGAIN (locked), EPERM. Source: mremap(2).
        """

    def mseal(self, addr: int, length: int, flags: int) -> int:
        """Let no one unmap, move, replace or protect [addr, addr+length) anew, for ever.

        Errors: EINVAL, ENOMEM (a hole; nothing is changed). What is then refused is EPERM.
        Source: mseal(2); Documentation/userspace-api/mseal.rst of Linux 6.18.
        """

    def msgctl(self, msqid: int, command: int, addr: int = 0) -> int:
        """Look at a queue or change it: IPC_STAT, IPC_SET (struct msqid64_ds at addr), IPC_RMID.

        IPC_INFO and MSG_INFO store struct msginfo and return the highest index; MSG_STAT and
        MSG_STAT_ANY take an index and return an id. Errors: EINVAL, EACCES, EPERM, EFAULT. Source:
        msgctl(2).
        """

    def msgget(self, key: int, flags: int = 0) -> int:
        """Return the id of a message queue; key: IPC_PRIVATE, or what others ask for.

        Errors: ENOENT, EEXIST, EACCES, ENOSPC (kernel.msgmni). Source: msgget(2).
        """

    def msgrcv(self, msqid: int, addr: int, nbytes: int, kind: int = 0, flags: int = 0) -> int:
        """Store a message (its type, a long, and up to nbytes) at addr; return the text's bytes.

        kind: 0: the first; above: the first of this type (MSG_EXCEPT: of another); below: the first of
        the lowest type up to -kind. MSG_COPY: the kind-th, which stays. Errors: EINVAL, E2BIG (without
        MSG_NOERROR), ENOMSG (IPC_NOWAIT), EACCES, EFAULT, EIDRM, EINTR. Source: msgop(2).
        """

    def msgsnd(self, msqid: int, addr: int, nbytes: int, flags: int = 0) -> int:
        """Send nbytes that stand behind their type (a long) at addr; wait for room.

        Errors: EINVAL (type below 1, too long), EAGAIN (IPC_NOWAIT), EACCES, EFAULT, EIDRM, EINTR.
        Source: msgop(2).
        """

    def msync(self, addr: int, length: int, flags: int) -> int:
        """Write the dirty pages of [addr, addr+length) to their backing store (MS_SYNC).

        Errors: EINVAL, ENOMEM (a hole; the rest is written), EBUSY (MS_INVALIDATE on locked memory),
        EIO. Source: msync(2).
        """

    def munlock(self, addr: int, length: int) -> int:
        """Unlock [addr, addr+length). Errors: ENOMEM (a hole), EINVAL. Source: mlock(2)."""

    def munlockall(self) -> int:
        """Unlock everything, and what is to come. Source: mlock(2)."""

    def munmap(self, addr: int, length: int) -> int:
        """Unmap the pages of [addr, addr+length).

        Errors: EINVAL (misaligned, empty, beyond user space), ENOMEM (a split that may not be).
        Source: munmap(2).
        """

    def nanosleep(self, nanoseconds: int) -> int:
        """Let virtual time pass. Errors: EINVAL (negative), EAGAIN (it would never end).

        Source: nanosleep(2).
        """

    def newfstatat(self, dirfd: int, path: StrPath, flags: int = 0) -> bytes:
        """Store struct stat of a path below dirfd. Errors: as stat, EINVAL. Source: fstatat(2)."""

    def open(self, path: StrPath, flags: int = 0, mode: int = 438) -> int:
        """Open a path and return the lowest free descriptor.

        Errors: ENOENT, EACCES, EEXIST, EISDIR, ENOTDIR, ELOOP, EMFILE, EROFS, EINVAL.
        Source: open(2).
        """

    def open_tree(self, dirfd: int, path: StrPath, flags: int = 0) -> int:
        """Return a descriptor of a place, or of a copy of the mounts there, mounted nowhere.

        flags: OPEN_TREE_CLONE 1 (the copy), OPEN_TREE_CLOEXEC, AT_EMPTY_PATH, AT_RECURSIVE,
        AT_SYMLINK_NOFOLLOW. Errors: EPERM (the copy wants CAP_SYS_ADMIN), EINVAL, EMFILE, as open.
        Source: open_tree(2).
        """

    def open_tree_attr(self, dirfd: int, path: StrPath, flags: int = 0, addr: int = 0, nbytes: int = 0) -> int:
        """As open_tree, and change the mounts by a struct mount_attr, where addr is not 0.

        Errors: as open_tree, as mount_setattr. Source: open_tree_attr(2) of Linux 6.18.
        """

    def openat(self, dirfd: int, path: StrPath, flags: int = 0, mode: int = 438) -> int:
        """Open a path relative to a directory's descriptor. Errors: as open. Source: openat(2)."""

    def openat2(self, dirfd: int, path: StrPath, how: int, nbytes: int) -> int:
        """Open a path as a struct open_how says. Errors: as open, E2BIG, EAGAIN, EXDEV, ELOOP.

        Source: openat2(2).
        """

    def pause(self) -> int:
        """Sleep until a handler has run; then EINTR. Source: pause(2)."""

    def personality(self, persona: int = 4294967295) -> int:
        """Set the execution domain and return the old one; 0xffffffff only asks.

        Obeyed: PER_LINUX32 (uname), READ_IMPLIES_EXEC, and by the next program ADDR_COMPAT_LAYOUT and
        MMAP_PAGE_ZERO. Source: personality(2).
        """

    def pidfd_getfd(self, pidfd: int, fd: int, flags: int = 0) -> int:
        """Return a descriptor of an open file that another process has as fd, closed at execve.

        Errors: EINVAL, EBADF, ESRCH, EPERM (it may not be traced), EMFILE. Source: pidfd_getfd(2).
        """

    def pidfd_open(self, pid: int, flags: int = 0) -> int:
        """Return a descriptor of a process. flags: PIDFD_NONBLOCK (waitid), PIDFD_THREAD (a thread).

        Errors: EINVAL, ESRCH, ENOENT (a thread that leads no process), EMFILE. Source: pidfd_open(2).
        """

    def pidfd_send_signal(self, pidfd: int, signo: int, info: int = 0, flags: int = 0) -> int:
        """Send a signal, or struct siginfo at info, to a process or (PROCESS_GROUP) its group.

        pidfd: of pidfd_open, or /proc/PID opened as a directory. flags: PIDFD_SIGNAL_*, one of them.
        Errors: EINVAL, EBADF, ESRCH, EPERM, EFAULT. Source: pidfd_send_signal(2).
        """

    def pipe(self) -> tuple[int, int]:
        """Return the two ends of a new pipe. Errors: EMFILE. Source: pipe(2)."""

    def pipe2(self, flags: int = 0) -> tuple[int, int]:
        """Return the reading and the writing descriptor of a new pipe.

        flags: O_CLOEXEC, O_NONBLOCK, O_DIRECT (each write is a packet).
        Errors: EMFILE, EINVAL, ENOPKG (O_NOTIFICATION_PIPE). Source: pipe2(2).
        """

    def pivot_root(self, new_root: StrPath, put_old: StrPath) -> int:
        """Let a mount be the root of the namespace, and the old root be mounted in it.

        Tasks that were at the old root are at the new one. Errors: EPERM, ENOTDIR, EINVAL, EBUSY.
        Source: pivot_root(2).
        """

    def pkey_alloc(self, flags: int, access_rights: int) -> int:
        """Return a protection key that no one has (1 to 15); the caller's PKRU gets access_rights.

        access_rights: PKEY_DISABLE_ACCESS | PKEY_DISABLE_WRITE. Errors: EINVAL (flags, unknown rights),
        ENOSPC (all are taken); where the processor has none (boot with cpu="pku"), EINVAL the first
        time and ENOSPC later. Source: pkey_alloc(2).
        """

    def pkey_free(self, pkey: int) -> int:
        """Give a protection key back; pages keep it, and PKRU what it says of it.

        Errors: EINVAL (not given by pkey_alloc). Source: pkey_free(2).
        """

    def pkey_mprotect(self, addr: int, length: int, prot: int, pkey: int) -> int:
        """As mprotect, and give the range a protection key; -1 is mprotect itself.

        Errors: EINVAL (a key that pkey_alloc did not give), and mprotect's. Source: pkey_mprotect(2).
        """

    def poll(self, wanted: list[tuple[int, int]], timeout_ms: int = -1) -> list[int]:
        """Return the revents of each (fd, events), once one is not 0 or timeout_ms have passed.

        Errors: EAGAIN (no timeout and nothing ready). Source: poll(2).
        """

    def ppoll(self, addr: int, count: int, time_addr: int, mask_addr: int, nbytes: int) -> int:
        """As poll, with struct timespec (the time left is stored) and a signal mask.

        Errors: as poll. Source: ppoll(2).
        """

    def prctl(self, option: int, arg2: int = 0, arg3: int = 0, arg4: int = 0, arg5: int = 0) -> int:
        """Read or set an attribute of the task. Errors: EINVAL, EFAULT, EPERM. Source: prctl(2)."""

    def pread64(self, fd: int, count: int, pos: int) -> bytes:
        """Return up to count bytes at pos; the file's position stays.

        Errors: EBADF, EINVAL (a negative pos), ESPIPE, EFAULT (as read). Source: pread(2).
        """

    def preadv(self, fd: int, addr: int, count: int, pos: int) -> int:
        """Read into iovecs at pos. Errors: as readv, pread64. Source: preadv(2)."""

    def preadv2(self, fd: int, addr: int, count: int, pos: int, high: int, flags: int) -> int:
        """Read into iovecs at pos, or at the file's position for -1.

        flags: RWF_*. Errors: as preadv, EAGAIN (RWF_NOWAIT), EOPNOTSUPP (flags that the file has not),
        EINVAL. Source: preadv2(2).
        """

    def prlimit64(self, pid: int, resource: int, limits: tuple[int, int] | None = None) -> tuple[int, int]:
        """Set a limit of a task if limits is given; return the old (soft, hard).

        pid 0: the caller. Errors: ESRCH, EPERM, EINVAL. Source: prlimit(2).
        """

    def process_madvise(self, pidfd: int, vector: int, nr_vector: int, advice: int, flags: int = 0) -> int:
        """Advise ranges (struct iovec at vector) of a process's memory; return how many bytes.

        What was advised before an error counts; another's memory takes COLD, PAGEOUT, WILLNEED only.
        Errors: madvise's; EINVAL, EBADF, ESRCH, EFAULT, EPERM (CAP_SYS_NICE, or it may not be traced).
        Source: process_madvise(2).
        """

    def process_mrelease(self, pidfd: int, flags: int = 0) -> int:
        """Free the memory of a process that is dying: here it has gone before anyone can ask.

        Errors: EINVAL (flags; it is not dying), EBADF, ESRCH. Source: process_mrelease(2).
        """

    def process_vm_readv(self, pid: int, addr: int, length: int) -> bytes:
        """Return up to length bytes at addr of another task: what can be read, from the beginning.

        Errors: ESRCH, EPERM, EFAULT. Source: process_vm_readv(2).
        """

    def process_vm_writev(self, pid: int, addr: int, data: Data) -> int:
        """Store data at addr of another task and return how much could be.

        Errors: ESRCH, EPERM, EFAULT. Source: process_vm_writev(2).
        """

    def pselect6(self, count: int, reads: int, writes: int, others: int, time_addr: int, mask_addr: int) -> int:
        """As select, with struct timespec and a pair at mask_addr: address and size of a signal mask.

        Errors: as select. Source: pselect(2).
        """

    def ptrace(self, request: int, pid: int, addr: Any = 0, data: Any = 0) -> int | bytes:
        """Trace another task; what Linux stores at `data` is returned as bytes.

        data: bytes for SETREGS, SETFPREGS, SETREGSET, SETSIGINFO, SETSIGMASK, SET_SYSCALL_INFO and
        SET_SYSCALL_USER_DISPATCH_CONFIG, for GETREGSET how many are wanted; else a number. addr: bytes
        for PEEKSIGINFO. Errors: ESRCH (not a stopped task that the caller traces), EPERM, EIO (a bad
        address, signal or request), EINVAL.
        Source: ptrace(2); skas mode's patch for FAULTINFO and SWITCH_MM.
        """

    def pwrite64(self, fd: int, data: Data, pos: int) -> int:
        """Write data at pos, or at the end with O_APPEND; the file's position stays.

        Errors: as pread64. Source: pwrite(2).
        """

    def pwritev(self, fd: int, addr: int, count: int, pos: int) -> int:
        """Write iovecs at pos. Errors: as writev, pwrite64. Source: pwritev(2)."""

    def pwritev2(self, fd: int, addr: int, count: int, pos: int, high: int, flags: int) -> int:
        """Write iovecs at pos, or at the file's position for -1.

        flags: RWF_*. Errors: as pwritev, EAGAIN (RWF_NOWAIT), EOPNOTSUPP (flags that the file has not),
        EINVAL. Source: pwritev2(2).
        """

    def read(self, fd: int, count: int) -> bytes:
        """Return up to count bytes at the file's position, and move it.

        Errors: EBADF, EISDIR, EAGAIN (a pipe with nothing in it), EFAULT (more than a program's memory
        can be, as a negative count is). Source: read(2).
        """

    def readahead(self, fd: int, offset: int, nbytes: int) -> int:
        """Bring a file's pages into the cache. Errors: EBADF, EINVAL. Source: readahead(2)."""

    def readlink(self, path: StrPath) -> str:
        """Return a symbolic link's target. Errors: EINVAL (no link), ENOENT. Source: readlink(2)."""

    def readlinkat(self, dirfd: int, path: StrPath) -> str:
        """Return a symbolic link's target. Errors: EINVAL (no link), ENOENT. Source: readlink(2)."""

    def readv(self, fd: int, addr: int, count: int) -> int:
        """Read into count buffers that the iovecs at addr name; return how many bytes.

        Errors: as read, EINVAL, EFAULT. Source: readv(2).
        """

    def recv(self, fd: int, nbytes: int, flags: int = 0) -> bytes:
        """Return what was sent from the other end, at most nbytes; b"" at its end.

        Errors: EBADF, ENOTSOCK, EAGAIN, EOPNOTSUPP (MSG_OOB). Source: recv(2).
        """

    def recvfrom(self, fd: int, addr: int, count: int, flags: int, of: int = 0, of_bytes: int = 0) -> int:
        """Receive up to count bytes to addr; the sender's address is stored.

        Errors: as recv, EFAULT. Source: recv(2).
        """

    def recvmmsg(self, fd: int, addr: int, count: int, flags: int, time_addr: int = 0) -> int:
        """Receive up to count messages (struct mmsghdr); return how many came.

        The time (struct timespec) is looked at after each message. Errors: as recvmsg, EINVAL.
        Source: recvmmsg(2).
        """

    def recvmsg(self, fd: int, addr: int, flags: int) -> int:
        """Receive into the buffers of a struct msghdr, whose flags and lengths are stored.

        Files that came get descriptors. Errors: as recv, EFAULT. Source: recv(2), unix(7).
        """

    def remap_file_pages(self, addr: int, size: int, prot: int, pgoff: int, flags: int, fd: int = -1) -> int:
        """Show the file's pages from pgoff on in [addr, addr+size) of one VMA.

        addr, size: bytes, rounded down to pages. pgoff: pages. fd: for a special VMA only.
        While vm.nonlinear is 0 it is for who holds CAP_IPC_LOCK: a mapping that is not special is split
        for it, as on Linux since 4.0. Errors: EPERM (not so) before any other; EINVAL, EBADF, EACCES,
        ENOMEM (vm.nonlinear_max_pages). Source: remap_file_pages(2) of 2.6; docs/nonlinear.md.
        """

    def removexattr(self, path: StrPath, name: StrPath) -> int:
        """Remove an attribute. Errors: ENODATA, EPERM, EOPNOTSUPP. Source: removexattr(2)."""

    def removexattrat(self, dirfd: int, path: int, at: int, name: StrPath) -> int:
        """As removexattr, below dirfd. path, at: as of setxattrat.

        Errors: as removexattr, EINVAL, EBADF. Source: removexattrat(2).
        """

    def rename(self, old: StrPath, new: StrPath) -> int:
        """Move a name, replacing what stood there.

        Errors: ENOENT, EXDEV, EISDIR, ENOTDIR, ENOTEMPTY, EINVAL, EACCES. Source: rename(2).
        """

    def renameat(self, old_dirfd: int, old: StrPath, new_dirfd: int, new: StrPath) -> int:
        """Move a name, each seen from a directory's descriptor. Errors: as rename.

        Source: renameat(2).
        """

    def renameat2(self, old_dirfd: int, old: StrPath, new_dirfd: int, new: StrPath, flags: int = 0) -> int:
        """As renameat, with RENAME_NOREPLACE 1, RENAME_EXCHANGE 2, RENAME_WHITEOUT 4 (on tmpfs).

        Errors: as rename, EEXIST, EINVAL (flags that exclude each other). Source: renameat2(2).
        """

    def restart_syscall(self) -> int:
        """Go on with the sleep that a stop has interrupted: the kernel lets a task call it.

        Errors: EINTR: there was none; those of the call. Source: restart_syscall(2).
        """

    def rmdir(self, path: StrPath) -> int:
        """Remove an empty directory. Errors: ENOTEMPTY, ENOTDIR, EBUSY, EACCES. Source: rmdir(2)."""

    def rseq(self, addr: int, nbytes: int, flags: int, signature: int) -> int:
        """Name the struct rseq of the task (nbytes, 32 at least), or forget it (flags 1).

        Errors: EINVAL, EBUSY (the same again), EPERM (another signature), EFAULT. Source: rseq(2).
        """

    def rt_sigaction(self, signo: int, action: Action | None = None, flags: int = 0, mask: int = 0) -> Action:
        """Set what a signal does (SIG_DFL, SIG_IGN, a callable, a Sigaction); return what it did.

        While a callable runs the signal is blocked, unless flags has SA_NODEFER, and so is what mask
        says (bit n-1 is signal n); with SA_RESETHAND it runs once.
        Errors: EINVAL (no such signal; SIGKILL and SIGSTOP cannot be handled). Source: sigaction(2).
        """

    def rt_sigpending(self, addr: int, nbytes: int) -> int:
        """Store the set of signals that are blocked and wait. Errors: EINVAL, EFAULT.

        Source: sigpending(2).
        """

    def rt_sigprocmask(self, how: int, mask: int) -> int:
        """Change the blocked set (bit n-1 is signal n) and return the old one.

        Errors: EINVAL. Source: sigprocmask(2).
        """

    def rt_sigqueueinfo(self, pid: int, signo: int, info: int) -> int:
        """Send a signal with a value. Errors: EINVAL, ESRCH, EPERM, EFAULT.

        Source: rt_sigqueueinfo(2).
        """

    def rt_sigreturn(self) -> int:
        """Go back to where a signal interrupted; a bad frame is SIGSEGV. Source: sigreturn(2)."""

    def rt_sigsuspend(self, addr: int, nbytes: int) -> int:
        """Sleep with another blocked set until a handler has run; then EINTR.

        Errors: EINVAL, EFAULT, EINTR. Source: sigsuspend(2).
        """

    def rt_sigtimedwait(self, addr: int, info: int, timeout: int, nbytes: int) -> int:
        """Take a signal of a set that waits, or sleep for one; return its number.

        Errors: EAGAIN (the time is up), EINTR, EINVAL, EFAULT. Source: sigtimedwait(2).
        """

    def rt_tgsigqueueinfo(self, tgid: int, tid: int, signo: int, info: int) -> int:
        """Send a signal with a value to a thread of a process. Errors: as rt_sigqueueinfo.

        Source: rt_tgsigqueueinfo(2).
        """

    def sched_get_priority_max(self, policy: int) -> int:
        """Return the highest priority of a policy. Errors: EINVAL.

        Source: sched_get_priority_max(2).
        """

    def sched_get_priority_min(self, policy: int) -> int:
        """Return the lowest priority of a policy. Errors: EINVAL. Source: sched_get_priority_max(2)."""

    def sched_getaffinity(self, pid: int, nbytes: int, addr: int) -> int:
        """Store the mask of processors and return its size in bytes. Errors: EINVAL, ESRCH, EFAULT.

        Source: sched_getaffinity(2).
        """

    def sched_getattr(self, pid: int, addr: int, size: int, flags: int) -> int:
        """Store struct sched_attr, at most size bytes of it. Errors: EINVAL, ESRCH, EFAULT.

        Source: sched_setattr(2).
        """

    def sched_getparam(self, pid: int, addr: int) -> int:
        """Store the priority. Errors: EINVAL, ESRCH, EFAULT. Source: sched_setparam(2)."""

    def sched_getscheduler(self, pid: int) -> int:
        """Return the policy, with SCHED_RESET_ON_FORK. Errors: EINVAL, ESRCH.

        Source: sched_setscheduler(2).
        """

    def sched_rr_get_interval(self, pid: int) -> bytes:
        """Store a round-robin task's slice (struct timespec), 0 for others. Errors: EINVAL, ESRCH.

        Source: sched_rr_get_interval(2).
        """

    def sched_setaffinity(self, pid: int, nbytes: int, addr: int) -> int:
        """Choose processors by a bit mask; there is one. Errors: EFAULT, ESRCH, EPERM, EINVAL.

        Source: sched_setaffinity(2).
        """

    def sched_setattr(self, pid: int, addr: int, flags: int) -> int:
        """Set policy, nice value, slice, priority and times of deadlines from struct sched_attr.

        Errors: EINVAL, E2BIG, ESRCH, EPERM, EFAULT, EBUSY (deadlines that there is no time for),
        EOPNOTSUPP (clamps). Source: sched_setattr(2).
        """

    def sched_setparam(self, pid: int, addr: int) -> int:
        """Set the priority (int at addr). Errors: EINVAL, ESRCH, EPERM, EFAULT.

        Source: sched_setparam(2).
        """

    def sched_setscheduler(self, pid: int, policy: int, addr: int) -> int:
        """Set policy and priority (int at addr). Errors: EINVAL, ESRCH, EPERM, EFAULT.

        Source: sched_setscheduler(2).
        """

    def sched_yield(self) -> int:
        """Let the others run first; nothing happens in a Python program. Source: sched_yield(2)."""

    def seccomp(self, operation: int, flags: int, addr: int) -> int:
        """Restrict the system calls of a task: SECCOMP_SET_MODE_STRICT 0, _FILTER 1.

        Or tell which actions there are (2). Errors: EINVAL, EFAULT, EACCES, ENOMEM, EOPNOTSUPP; ENOSYS
        in a Python program. Source: seccomp(2).
        """

    def select(self, count: int, reads: int, writes: int, others: int, time_addr: int) -> int:
        """Wait for the descriptors below count in three sets of bits; keep the ready ones.

        The time left (struct timeval) is stored. Errors: EBADF, EINVAL, EFAULT, EINTR.
        Source: select(2).
        """

    def semctl(self, semid: int, number: int, command: int, value: int = 0) -> int:
        """Look at a set or change it. value: a number (SETVAL) or an address, as the command has it.

        IPC_STAT, IPC_SET (struct semid64_ds), IPC_RMID, GETALL, SETALL (16 bits each), GETVAL, SETVAL,
        GETPID, GETNCNT, GETZCNT; IPC_INFO and SEM_INFO return the highest index, SEM_STAT and
        SEM_STAT_ANY take an index and return an id. Errors: EINVAL, EACCES, EPERM, ERANGE, EFAULT.
        Source: semctl(2).
        """

    def semget(self, key: int, number: int, flags: int = 0) -> int:
        """Return the id of a set of semaphores; key: IPC_PRIVATE, or what others ask for.

        Errors: ENOENT, EEXIST, EINVAL, EACCES, ENOSPC (kernel.sem). Source: semget(2).
        """

    def semop(self, semid: int, addr: int, count: int) -> int:
        """Make count operations (struct sembuf at addr) on a set: all at once, or wait.

        Errors: EINVAL, E2BIG, EFBIG, EFAULT, EACCES, EAGAIN, EIDRM, EINTR, ERANGE. Source: semop(2).
        """

    def semtimedop(self, semid: int, addr: int, count: int, timeout: int) -> int:
        """As semop, and wait no longer than struct timespec at timeout says (0: for ever).

        Errors: as semop; EAGAIN (the time is up). Source: semop(2).
        """

    def send(self, fd: int, data: Data, flags: int = 0) -> int:
        """Send data to the other end; return how many bytes went.

        Errors: EBADF, ENOTSOCK, EPIPE (and SIGPIPE), ECONNREFUSED, ENOTCONN, EMSGSIZE, EAGAIN,
        EOPNOTSUPP (MSG_OOB). Source: send(2).
        """

    def sendfile(self, out_fd: int, in_fd: int, offset: int, count: int) -> int:
        """Copy count bytes of a file to another descriptor; return how many.

        offset: address of the position to read at, or 0 for the file's own.
        Errors: EBADF, EINVAL, ESPIPE, EFAULT and those of write. Source: sendfile(2).
        """

    def sendmmsg(self, fd: int, addr: int, count: int, flags: int) -> int:
        """Send count messages (struct mmsghdr); return how many went. Errors: as sendmsg.

        Source: sendmmsg(2).
        """

    def sendmsg(self, fd: int, addr: int, flags: int) -> int:
        """Send the buffers of a struct msghdr, with files or credentials (control data).

        Errors: as sendto, EINVAL, EBADF, EPERM, ESRCH (control data), ETOOMANYREFS, EFAULT.
        Source: send(2), unix(7).
        """

    def sendto(self, fd: int, addr: int, count: int, flags: int, to: int = 0, to_bytes: int = 0) -> int:
        """Send count bytes at addr. Errors: as send, connect, EISCONN, EOPNOTSUPP, EFAULT.

        Source: send(2).
        """

    def set_mempolicy(self, mode: int, nodemask: int = 0, maxnode: int = 0) -> int:
        """Choose the nodes that the caller's pages come from.

        mode: MPOL_* with MPOL_F_* flags; nodemask: address of a mask of maxnode - 1 bits.
        Errors: EINVAL, EFAULT. Source: set_mempolicy(2).
        """

    def set_mempolicy_home_node(self, addr: int, length: int, home_node: int, flags: int = 0) -> int:
        """Choose where the search begins for pages of a range that is bound or prefers several nodes.

        Errors: EINVAL, ENOENT (no policy there), EOPNOTSUPP (another one), ENOMEM.
        Source: set_mempolicy_home_node(2).
        """

    def set_robust_list(self, addr: int, length: int) -> int:
        """Name the list of locks that others hear of when the task ends. Errors: EINVAL.

        Source: set_robust_list(2).
        """

    def set_tid_address(self, addr: int) -> int:
        """Note where a zero goes when the thread ends; return its id. Source: set_tid_address(2)."""

    def setdomainname(self, name: Data) -> int:
        """Set the domain's name. Errors: as sethostname. Source: setdomainname(2)."""

    def setfsgid(self, gid: int) -> int:
        """Set the group that files see and return the old one. Source: setfsgid(2)."""

    def setfsuid(self, uid: int) -> int:
        """Set the id that files see and return the old one; without the right it stays.

        Source: setfsuid(2).
        """

    def setgid(self, gid: int) -> int:
        """Set the effective group, and with CAP_SETGID all. Errors: EINVAL, EPERM.

        Source: setgid(2).
        """

    def setgroups(self, groups: list[int]) -> int:
        """Set the supplementary groups. Errors: EPERM (CAP_SETGID), EINVAL. Source: setgroups(2)."""

    def sethostname(self, name: Data) -> int:
        """Set the node name. Errors: EPERM (CAP_SYS_ADMIN), EINVAL (over 64 bytes, or none).

        Source: sethostname(2).
        """

    def setitimer(self, which: int, new: int, old: int) -> int:
        """Set an interval timer from struct itimerval at new (0: off); store the old one.

        A Python program takes no processor time: only ITIMER_REAL expires, in a call that waits.
        Errors: EINVAL, EFAULT. Source: setitimer(2).
        """

    def setns(self, fd: int, kinds: int) -> int:
        """Enter the namespace of a descriptor (kinds: 0, or its CLONE_NEW*), or a process's.

        The latter with a descriptor of the process, and kinds: one or more of them. Errors: EBADF,
        EINVAL, EPERM, ESRCH. Source: setns(2).
        """

    def setpgid(self, pid: int, pgid: int) -> int:
        """Put a process (0: the caller, or a child) into a group of its session.

        Errors: EINVAL, ESRCH, EACCES (the child has executed), EPERM. Source: setpgid(2).
        """

    def setpriority(self, which: int, who: int, nice: int) -> int:
        """Set the nice value (-20..19) of a process, group or user.

        Errors: EINVAL, ESRCH, EPERM (another user's), EACCES (lower than RLIMIT_NICE allows).
        Source: setpriority(2).
        """

    def setregid(self, gid: int, egid: int) -> int:
        """Set the real and the effective group; -1 keeps one. Errors: EPERM. Source: setregid(2)."""

    def setresgid(self, gid: int, egid: int, sgid: int) -> int:
        """Set the three group ids; -1 keeps one. Errors: EPERM. Source: setresgid(2)."""

    def setresuid(self, uid: int, euid: int, suid: int) -> int:
        """Set the three user ids; -1 keeps one. Errors: EPERM. Source: setresuid(2)."""

    def setreuid(self, uid: int, euid: int) -> int:
        """Set the real and the effective user id; -1 keeps one. Errors: EPERM. Source: setreuid(2)."""

    def setrlimit(self, resource: int, limits: tuple[int, int]) -> int:
        """Set (soft, hard); raising hard wants CAP_SYS_RESOURCE.

        Errors: EINVAL, EPERM (also: more descriptors than fs.nr_open). Source: setrlimit(2).
        """

    def setsid(self) -> int:
        """Begin a session and a group of one's own, without a terminal.

        Errors: EPERM (the caller leads a group). Source: setsid(2).
        """

    def setsockopt(self, fd: int, level: int, option: int, addr: int, nbytes: int) -> int:
        """Set an option. Errors: EBADF, ENOTSOCK, EINVAL, ENOPROTOOPT, EOPNOTSUPP, EPERM, EFAULT.

        Source: setsockopt(2), socket(7), ip(7), ipv6(7), tcp(7).
        """

    def settimeofday(self, addr: int, zone: int) -> int:
        """Refuse to set the date. Errors: EINVAL, EFAULT, EPERM. Source: gettimeofday(2)."""

    def setuid(self, uid: int) -> int:
        """Set the effective id, and with CAP_SETUID all; leaving 0 for good drops capabilities.

        Errors: EINVAL, EPERM. Source: setuid(2).
        """

    def setxattr(self, path: StrPath, name: StrPath, value: Data, flags: int = 0) -> int:
        """Set an attribute (XATTR_CREATE 1, XATTR_REPLACE 2).

        Errors: EEXIST, ENODATA, EPERM, EACCES, EOPNOTSUPP, ERANGE, E2BIG. Source: setxattr(2).
        """

    def setxattrat(self, dirfd: int, path: int, at: int, name: StrPath, args: int, size: int) -> int:
        """As setxattr, below dirfd, of a struct xattr_args (value, size, flags) at args.

        path: an address. at: AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW. Errors: as setxattr, EINVAL, E2BIG,
        EFAULT, EBADF. Source: setxattrat(2).
        """

    def shmat(self, shmid: int, addr: int = 0, flags: int = 0) -> int:
        """Attach a segment and return its address (bytes).

        Errors: EINVAL (no such id, misaligned, something is there), EACCES, ENOMEM. Source: shmat(2).
        """

    def shmctl(self, shmid: int, command: int) -> ShmidDs | int:
        """IPC_STAT: return a ShmidDs; IPC_RMID: remove the segment, which lives while attached.

        SHM_LOCK, SHM_UNLOCK: keep its pages in memory, or no more. Errors: EINVAL, EPERM, EACCES,
        ENOMEM. Source: shmctl(2).
        """

    def shmdt(self, addr: int) -> int:
        """Detach the segment attached at addr, also what munmap has left of it.

        Errors: EINVAL. Source: shmdt(2); ksys_shmdt() of Linux 6.18.
        """

    def shmget(self, key: int, size: int, flags: int = 0) -> int:
        """Return the id of a segment of size bytes.

        Errors: ENOENT, EEXIST, EINVAL, EACCES, ENOMEM; EPERM (SHM_HUGETLB without CAP_IPC_LOCK, outside
        vm.hugetlb_shm_group). Source: shmget(2).
        """

    def shutdown(self, fd: int, how: int) -> int:
        """End reading (0), writing (1) or both (2). Errors: EBADF, ENOTSOCK, EINVAL, ENOTCONN.

        Source: shutdown(2).
        """

    def sigaltstack(self, new: int, old: int) -> int:
        """Set the stack of handlers with SA_ONSTACK and store the old one, where not 0.

        A Python program's handlers are functions, which run on no stack of its own.
        Errors: EPERM (it is in use), ENOMEM (too small), EINVAL, EFAULT. Source: sigaltstack(2).
        """

    def signalfd(self, fd: int, addr: int, nbytes: int) -> int:
        """As signalfd4 without flags. Errors: as signalfd4. Source: signalfd(2)."""

    def signalfd4(self, fd: int, addr: int, nbytes: int, flags: int = 0) -> int:
        """Return a descriptor to read the signals of the set at addr from; fd: one to change, or -1.

        Each read gives struct signalfd_siginfo of signals that are blocked and wait. flags:
        SFD_NONBLOCK, SFD_CLOEXEC. Errors: EINVAL, EFAULT, EBADF, EMFILE. Source: signalfd(2).
        """

    def socket(self, family: int, kind: int, protocol: int = 0) -> int:
        """Return the descriptor of a socket. kind: SOCK_* and flags.

        Errors: EINVAL, EAFNOSUPPORT, EPROTONOSUPPORT, ESOCKTNOSUPPORT, EPERM, EACCES,
        EMFILE.
        Source: socket(2).
        """

    def socketpair(self, family: int, kind: int, protocol: int = 0) -> tuple[int, int]:
        """Return descriptors of two connected sockets of AF_UNIX.

        Errors: as socket, EOPNOTSUPP (another family). Source: socketpair(2).
        """

    def splice(self, in_fd: int, in_offset: int, out_fd: int, out_offset: int, count: int, flags: int) -> int:
        """Move up to count bytes from or to a pipe; offsets are addresses, 0 for a file's own position.

        Errors: EBADF, EINVAL, ESPIPE, EFAULT, EAGAIN, EPIPE (and SIGPIPE), those of write.
        Source: splice(2).
        """

    def stat(self, path: StrPath) -> Stat:
        """Return what a path leads to. Errors: ENOENT, ENOTDIR, EACCES, ELOOP. Source: stat(2)."""

    def statfs(self, path: StrPath) -> bytes:
        """Store struct statfs of the file system that holds a path. Errors: as stat.

        Source: statfs(2).
        """

    def statmount(self, request: int, addr: int, nbytes: int, flags: int = 0) -> int:
        """Store struct statmount, what a mount is like, in nbytes at addr, texts behind it.

        request: the address of a struct mnt_id_req: the mount's number (STATX_MNT_ID_UNIQUE) and what
        of it is wanted (STATMOUNT_*). Errors: EINVAL, E2BIG, ENOENT (no such mount), EPERM (it lies
        outside the caller's root), EOVERFLOW (no room for the texts), EFAULT. Source: statmount(2).
        """

    def statx(self, dirfd: int, path: StrPath, flags: int = 0, mask: int = 0) -> bytes:
        """Store struct statx of a path below dirfd. Errors: as stat, EINVAL. Source: statx(2)."""

    def swapoff(self, path: StrPath) -> int:
        """Bring everything back from a swap area and stop using it.

        Errors: EPERM (CAP_SYS_ADMIN), ENOENT, EINVAL (not in use), ENOMEM (no room for it), EIO.
        Source: swapoff(2).
        """

    def swapon(self, path: StrPath, flags: int) -> int:
        """Swap to a device or to a host file that mkswap prepared.

        flags: SWAP_FLAG_PREFER | priority; the DISCARD bits have nothing to do.
        Errors: EINVAL (flags; no swap area), EPERM (CAP_SYS_ADMIN; too many), EBUSY, ENOENT, ENOMEM.
        Source: swapon(2).
        """

    def symlink(self, target: StrPath, path: StrPath) -> int:
        """Make a symbolic link. Errors: EEXIST, ENOENT, EACCES. Source: symlink(2)."""

    def symlinkat(self, target: StrPath, dirfd: int, path: StrPath) -> int:
        """As symlink, below dirfd. Errors: as symlink. Source: symlinkat(2)."""

    def sync(self) -> int:
        """Write every dirty page back. Source: sync(2)."""

    def sync_file_range(self, fd: int, offset: int, nbytes: int, flags: int) -> int:
        """Write dirty pages of [offset, offset+nbytes) bytes; nbytes 0: to the end.

        Errors: EBADF, EINVAL, ESPIPE, EIO. Source: sync_file_range(2).
        """

    def syncfs(self, fd: int) -> int:
        """Write the dirty pages of an open file's file system.

        Errors: EBADF, EIO (since Linux 5.8). Source: syncfs(2).
        """

    def sysinfo(self) -> Sysinfo:
        """Return memory, swap and uptime from the core's counters. Source: sysinfo(2)."""

    def syslog(self, action: int, addr: int = 0, count: int = 0) -> int:
        """Read or clear the kernel's log, as dmesg does. Return bytes, or a size.

        Errors: EPERM (CAP_SYSLOG), EINVAL, EFAULT, EAGAIN (nothing to read). Source: syslog(2).
        """

    def tee(self, in_fd: int, out_fd: int, count: int, flags: int) -> int:
        """Copy up to count bytes from one pipe to another; they stay in the first.

        Errors: EBADF, EINVAL, EAGAIN, EPIPE (and SIGPIPE). Source: tee(2).
        """

    def tgkill(self, tgid: int, tid: int, signo: int) -> int:
        """Send a signal to a thread of a process. Errors: EINVAL, ESRCH, EPERM. Source: tgkill(2)."""

    def time(self, addr: int = 0) -> int:
        """Return the seconds since 1970, and store them (8 bytes) at addr unless that is 0.

        Errors: EFAULT. Source: time(2).
        """

    def timer_create(self, clock: int, event: int, store: int) -> int:
        """Make a timer of a clock that does what the struct sigevent at event says; store its number.

        event 0: SIGALRM. Errors: EINVAL, EOPNOTSUPP, EAGAIN (RLIMIT_SIGPENDING), EFAULT.
        Source: timer_create(2).
        """

    def timer_delete(self, number: int) -> int:
        """Delete a timer; its signal, if one waits, is void. Errors: EINVAL.

        Source: timer_delete(2).
        """

    def timer_getoverrun(self, number: int) -> int:
        """Return how often the timer expired unseen before its last signal. Errors: EINVAL.

        Source: timer_getoverrun(2).
        """

    def timer_gettime(self, number: int, addr: int) -> int:
        """Store struct itimerspec: the interval, and what is left. Errors: EINVAL, EFAULT.

        Source: timer_gettime(2).
        """

    def timer_settime(self, number: int, flags: int, new: int, old: int = 0) -> int:
        """Set a timer from struct itimerspec at new (0: off); store the old one.

        flags: TIMER_ABSTIME. Errors: EINVAL, EFAULT, ESRCH (whose time it counts is gone); ENOSYS in
        a Python program, for a signal that nothing would send. Source: timer_settime(2).
        """

    def timerfd_create(self, clock: int, flags: int = 0) -> int:
        """Return a descriptor of a timer that is off. flags: TFD_NONBLOCK, TFD_CLOEXEC.

        Errors: EINVAL, EMFILE, EPERM (an alarm clock without CAP_WAKE_ALARM).
        Source: timerfd_create(2).
        """

    def timerfd_gettime(self, fd: int) -> bytes:
        """Store struct itimerspec: interval and time left. Errors: EBADF, EINVAL, EFAULT.

        Source: timerfd_gettime(2).
        """

    def timerfd_settime(self, fd: int, flags: int, new: int, old: int) -> int:
        """Set a timer from struct itimerspec at new; store the old one, where not 0.

        flags: TFD_TIMER_ABSTIME. Errors: EINVAL, EFAULT, EBADF. Source: timerfd_settime(2).
        """

    def times(self, addr: int) -> int:
        """Store struct tms (no system time) and return uptime, both in ticks of 10 ms.

        Source: times(2).
        """

    def tkill(self, tid: int, signo: int) -> int:
        """Send a signal to a thread. Errors: EINVAL, ESRCH, EPERM. Source: tkill(2)."""

    def truncate(self, path: StrPath, size: int) -> int:
        """Set a file's size in bytes; pages beyond it go, also where they are mapped.

        A special VMA alone keeps showing those that it has (docs/nonlinear.md).
        Errors: EACCES, EISDIR, EINVAL, ENOENT, EFBIG, EPERM (sealed). Source: truncate(2).
        """

    def umask(self, mask: int) -> int:
        """Set the file mode creation mask and return the old one. Source: umask(2)."""

    def umount2(self, target: StrPath, flags: int = 0) -> int:
        """Take away what is mounted on a path. flags: MNT_FORCE, DETACH, EXPIRE, UMOUNT_NOFOLLOW.

        Errors: EBUSY, EINVAL, EPERM, ENOENT, EAGAIN (MNT_EXPIRE: not used since now). Source:
        umount(2).
        """

    def uname(self) -> Utsname:
        """Return the names of the system. Source: uname(2)."""

    def unlink(self, path: StrPath) -> int:
        """Remove a name; the file lives while it is open or mapped.

        Errors: ENOENT, EISDIR, EACCES, EPERM, EROFS. Source: unlink(2).
        """

    def unlinkat(self, dirfd: int, path: StrPath, flags: int = 0) -> int:
        """Remove a name, or a directory with AT_REMOVEDIR. Errors: as unlink. Source: unlinkat(2)."""

    def unshare(self, flags: int) -> int:
        """Stop sharing directories, descriptors, undone semaphore operations, namespaces with others.

        flags: CLONE_FS, FILES, SYSVSEM, NEW*; THREAD, SIGHAND and VM for a task that shares them with
        nobody. Errors: EINVAL, EPERM, ENOSPC (namespaces). Source: unshare(2).
        """

    def uprobe(self) -> int:
        """Refuse whoever calls it, as uretprobe, without a signal.

        Errors: ENXIO. Source: sys_uprobe() of Linux 6.18.
        """

    def uretprobe(self) -> int:
        """Refuse whoever calls it: only a trampoline of the kernel's may, and nothing is probed.

        Errors: EPERM, with a SIGILL that cannot be held back. Source: sys_uretprobe() of Linux 6.18.
        """

    def userfaultfd(self, flags: int = 0) -> int:
        """Return a descriptor of a new context for the caller's address space.

        flags: O_CLOEXEC, O_NONBLOCK, UFFD_USER_MODE_ONLY 1.
        Errors: EPERM (the kernel's own accesses too, without CAP_SYS_PTRACE while
        vm.unprivileged_userfaultfd is 0), EINVAL, EMFILE. Source: userfaultfd(2).
        """

    def utime(self, path: StrPath, times: int = 0) -> int:
        """Set times from struct utimbuf: two numbers of seconds. Errors: as utimensat.

        Source: utime(2).
        """

    def utimensat(self, dirfd: int, path: StrPath | None, times: tuple[Time, Time] = ((0, 1073741823), (0, 1073741823)), flags: int = 0) -> int:
        """Set a file's times: ((seconds, ns), (seconds, ns)); path None: of dirfd itself.

        Errors: EINVAL, EACCES, EPERM, ENOENT, EFAULT (no path and no descriptor). Source: utimensat(2).
        """

    def utimes(self, path: StrPath, times: int = 0) -> int:
        """Set times from two struct timeval. Errors: as utimensat. Source: utimes(2)."""

    def vfork(self) -> int:
        """Return the pid of a child that borrows the address space until it ends or executes.

        A Python program's child gets a copy, as with fork. Errors: ENOMEM. Source: vfork(2).
        """

    def vmsplice(self, fd: int, iov: int, count: int, flags: int) -> int:
        """Copy iovecs' bytes to a pipe, or a pipe's bytes to iovecs. Errors: EBADF, as splice.

        Source: vmsplice(2).
        """

    def wait4(self, pid: int = -1, options: int = 0) -> tuple[int, int]:
        """Return (pid, status) of a child, or (0, 0) with WNOHANG if none has news.

        A Python program's wait lets its children in machine code run; a live child that is a Python
        program too cannot be waited for: nothing would run it. Errors: ECHILD, EINVAL, ESRCH (a pid
        of -2^31); EDEADLK where a Python program would sleep for ever. Source: wait4(2).
        """

    def waitid(self, kind: int, number: int, info: int, options: int, usage: int) -> int:
        """Wait for a child's end, stop or continuation, and store siginfo_t at info.

        Errors: ECHILD, EINVAL, EFAULT. Source: waitid(2).
        """

    def write(self, fd: int, data: Data) -> int:
        """Write data at the file's position, or at the end with O_APPEND; return how much.

        Errors: EBADF, EPERM (sealed), EFBIG, ENOSPC, EPIPE, EINVAL. Source: write(2).
        """

    def writev(self, fd: int, addr: int, count: int) -> int:
        """Write the buffers that count iovecs at addr name, as one; return how many bytes.

        Errors: as write, EINVAL, EFAULT. Source: writev(2).
        """
