"""Names of Linux's constants, as strace shows them: tables and nothing else."""

from __future__ import annotations

from kernel.core import lib

PROT = {"PROT_READ": 1, "PROT_WRITE": 2, "PROT_EXEC": 4}
MAP = {
    name: int(getattr(lib, name))
    for name in (
        "MAP_FIXED",
        "MAP_ANONYMOUS",
        "MAP_32BIT",
        "MAP_NORESERVE",
        "MAP_POPULATE",
        "MAP_NONBLOCK",
        "MAP_GROWSDOWN",
        "MAP_DENYWRITE",
        "MAP_EXECUTABLE",
        "MAP_LOCKED",
        "MAP_STACK",
        "MAP_HUGETLB",
        "MAP_SYNC",
        "MAP_FIXED_NOREPLACE",
        "MAP_NONLINEAR",
    )
}
MAP_TYPES = {0: "MAP_FILE", 1: "MAP_SHARED", 2: "MAP_PRIVATE", 3: "MAP_SHARED_VALIDATE"}
MREMAP = {"MREMAP_MAYMOVE": 1, "MREMAP_FIXED": 2, "MREMAP_DONTUNMAP": 4}
MSYNC = {"MS_ASYNC": 1, "MS_INVALIDATE": 2, "MS_SYNC": 4}
ADVICE = {int(getattr(lib, name)): name for name in dir(lib) if name.startswith("MADV_")}
OPEN = {
    "O_CREAT": 0o100,
    "O_EXCL": 0o200,
    "O_NOCTTY": 0o400,
    "O_TRUNC": 0o1000,
    "O_APPEND": 0o2000,
    "O_NONBLOCK": 0o4000,
    "O_SYNC": 0o4010000,
    "O_DSYNC": 0o10000,
    "O_DIRECT": 0o40000,
    "O_LARGEFILE": 0o100000,
    "O_NOFOLLOW": 0o400000,
    "O_NOATIME": 0o1000000,
    "O_CLOEXEC": 0o2000000,
    "O_PATH": 0o10000000,
    "O_TMPFILE": 0o20200000,
    "O_DIRECTORY": 0o200000,
}
ACCESS = {"R_OK": 4, "W_OK": 2, "X_OK": 1}
AT_FLAGS = {
    "AT_SYMLINK_NOFOLLOW": 0x100,
    "AT_REMOVEDIR": 0x200,
    "AT_SYMLINK_FOLLOW": 0x400,
    "AT_NO_AUTOMOUNT": 0x800,
    "AT_EMPTY_PATH": 0x1000,
}
WHENCE = {0: "SEEK_SET", 1: "SEEK_CUR", 2: "SEEK_END", 3: "SEEK_DATA", 4: "SEEK_HOLE"}
FCNTL = {
    0: "F_DUPFD",
    1: "F_GETFD",
    2: "F_SETFD",
    3: "F_GETFL",
    4: "F_SETFL",
    5: "F_GETLK",
    6: "F_SETLK",
    7: "F_SETLKW",
    1030: "F_DUPFD_CLOEXEC",
    1031: "F_SETPIPE_SZ",
    1032: "F_GETPIPE_SZ",
    1033: "F_ADD_SEALS",
    1034: "F_GET_SEALS",
}
IOCTL = {
    0x5401: "TCGETS",
    0x5402: "TCSETS",
    0x5403: "TCSETSW",
    0x5404: "TCSETSF",
    0x540F: "TIOCGPGRP",
    0x5410: "TIOCSPGRP",
    0x5413: "TIOCGWINSZ",
    0x5414: "TIOCSWINSZ",
    0x541B: "FIONREAD",
    0x5421: "FIONBIO",
    0x5450: "FIONCLEX",
    0x5451: "FIOCLEX",
}
SIGNAL_HOW = {0: "SIG_BLOCK", 1: "SIG_UNBLOCK", 2: "SIG_SETMASK"}
SA = {
    "SA_RESTORER": 0x4000000,
    "SA_NOCLDSTOP": 1,
    "SA_NOCLDWAIT": 2,
    "SA_SIGINFO": 4,
    "SA_ONSTACK": 0x8000000,
    "SA_RESTART": 0x10000000,
    "SA_NODEFER": 0x40000000,
    "SA_RESETHAND": 0x80000000,
}
CLONE = {
    "CLONE_VM": 0x100,
    "CLONE_FS": 0x200,
    "CLONE_FILES": 0x400,
    "CLONE_SIGHAND": 0x800,
    "CLONE_VFORK": 0x4000,
    "CLONE_THREAD": 0x10000,
    "CLONE_SETTLS": 0x80000,
    "CLONE_PARENT_SETTID": 0x100000,
    "CLONE_CHILD_CLEARTID": 0x200000,
    "CLONE_CHILD_SETTID": 0x1000000,
}
WAIT = {
    "WNOHANG": 1,
    "WSTOPPED": 2,
    "WEXITED": 4,
    "WCONTINUED": 8,
    "WNOWAIT": 0x1000000,
    "__WNOTHREAD": 0x20000000,
    "__WALL": 0x40000000,
    "__WCLONE": 0x80000000,
}
FUTEX = {
    0: "FUTEX_WAIT",
    1: "FUTEX_WAKE",
    3: "FUTEX_REQUEUE",
    4: "FUTEX_CMP_REQUEUE",
    5: "FUTEX_WAKE_OP",
    9: "FUTEX_WAIT_BITSET",
    10: "FUTEX_WAKE_BITSET",
}
RESOURCES = {
    number: f"RLIMIT_{name}"
    for number, name in enumerate(
        (
            "CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE", "MEMLOCK", "AS",
            "LOCKS", "SIGPENDING", "MSGQUEUE", "NICE", "RTPRIO", "RTTIME",
        )
    )
}  # fmt: skip
CLOCKS = {
    0: "CLOCK_REALTIME",
    1: "CLOCK_MONOTONIC",
    2: "CLOCK_PROCESS_CPUTIME_ID",
    3: "CLOCK_THREAD_CPUTIME_ID",
    4: "CLOCK_MONOTONIC_RAW",
    5: "CLOCK_REALTIME_COARSE",
    6: "CLOCK_MONOTONIC_COARSE",
    7: "CLOCK_BOOTTIME",
}
TIMERS = {0: "ITIMER_REAL", 1: "ITIMER_VIRTUAL", 2: "ITIMER_PROF"}
ARCH_PRCTL = {
    0x1001: "ARCH_SET_GS",
    0x1002: "ARCH_SET_FS",
    0x1003: "ARCH_GET_FS",
    0x1004: "ARCH_GET_GS",
}
PRCTL = {
    1: "PR_SET_PDEATHSIG",
    2: "PR_GET_PDEATHSIG",
    3: "PR_GET_DUMPABLE",
    4: "PR_SET_DUMPABLE",
    15: "PR_SET_NAME",
    16: "PR_GET_NAME",
    38: "PR_SET_NO_NEW_PRIVS",
    39: "PR_GET_NO_NEW_PRIVS",
}
SIGNAL_CODES = {
    0: "SI_USER",
    0x80: "SI_KERNEL",
    -1: "SI_QUEUE",
    -2: "SI_TIMER",
    -6: "SI_TKILL",
}
FAULT_CODES = {
    11: {1: "SEGV_MAPERR", 2: "SEGV_ACCERR"},
    7: {1: "BUS_ADRALN", 2: "BUS_ADRERR"},
    8: {1: "FPE_INTDIV", 7: "FPE_FLTINV"},
    4: {2: "ILL_ILLOPN"},
    5: {1: "TRAP_BRKPT", 2: "TRAP_TRACE"},
    17: {
        1: "CLD_EXITED",
        2: "CLD_KILLED",
        3: "CLD_DUMPED",
        5: "CLD_STOPPED",
        6: "CLD_CONTINUED",
    },
}
FILE_KINDS = {
    0o100000: "S_IFREG",
    0o040000: "S_IFDIR",
    0o020000: "S_IFCHR",
    0o060000: "S_IFBLK",
    0o010000: "S_IFIFO",
    0o120000: "S_IFLNK",
    0o140000: "S_IFSOCK",
}
DESCRIPTOR_FLAGS = {"FD_CLOEXEC": 1}
RENAME = {"RENAME_NOREPLACE": 1, "RENAME_EXCHANGE": 2, "RENAME_WHITEOUT": 4}
ATTRIBUTE = {"XATTR_CREATE": 1, "XATTR_REPLACE": 2}
LOCK = {"LOCK_SH": 1, "LOCK_EX": 2, "LOCK_NB": 4, "LOCK_UN": 8}
MFD = {
    "MFD_CLOEXEC": 1,
    "MFD_ALLOW_SEALING": 2,
    "MFD_HUGETLB": 4,
    "MFD_NOEXEC_SEAL": 8,
    "MFD_EXEC": 16,
}
FALLOCATE = {
    "FALLOC_FL_KEEP_SIZE": 1,
    "FALLOC_FL_PUNCH_HOLE": 2,
    "FALLOC_FL_COLLAPSE_RANGE": 8,
    "FALLOC_FL_ZERO_RANGE": 16,
}
FILE_ADVICE = {
    number: f"POSIX_FADV_{name}"
    for number, name in enumerate(
        ("NORMAL", "RANDOM", "SEQUENTIAL", "WILLNEED", "DONTNEED", "NOREUSE")
    )
}
READ_WRITE = {"RWF_HIPRI": 1, "RWF_DSYNC": 2, "RWF_SYNC": 4, "RWF_NOWAIT": 8, "RWF_APPEND": 16}
CLOSE_RANGE = {"CLOSE_RANGE_UNSHARE": 2, "CLOSE_RANGE_CLOEXEC": 4}
SYNC_RANGE = {
    "SYNC_FILE_RANGE_WAIT_BEFORE": 1,
    "SYNC_FILE_RANGE_WRITE": 2,
    "SYNC_FILE_RANGE_WAIT_AFTER": 4,
}
MOUNT = {
    "MS_RDONLY": 1,
    "MS_NOSUID": 2,
    "MS_NODEV": 4,
    "MS_NOEXEC": 8,
    "MS_SYNCHRONOUS": 16,
    "MS_REMOUNT": 32,
    "MS_NOATIME": 0x400,
    "MS_BIND": 0x1000,
    "MS_REC": 0x4000,
    "MS_SILENT": 0x8000,
    "MS_RELATIME": 0x200000,
    "MS_STRICTATIME": 0x1000000,
}
UNMOUNT = {"MNT_FORCE": 1, "MNT_DETACH": 2, "MNT_EXPIRE": 4, "UMOUNT_NOFOLLOW": 8}
STATFS_MAGIC = {
    0x01021994: "TMPFS_MAGIC",
    0x9FA0: "PROC_SUPER_MAGIC",
    0x50495045: "PIPEFS_MAGIC",
    0x958458F6: "HUGETLBFS_MAGIC",
}
STATFS = {
    "ST_VALID": 0x20,
    "ST_RDONLY": 1,
    "ST_NOSUID": 2,
    "ST_NODEV": 4,
    "ST_NOEXEC": 8,
    "ST_RELATIME": 0x1000,
}
POLL = {
    "POLLIN": 1,
    "POLLPRI": 2,
    "POLLOUT": 4,
    "POLLRDNORM": 0x40,
    "POLLWRNORM": 0x100,
    "POLLRDBAND": 0x80,
    "POLLWRBAND": 0x200,
    "POLLERR": 8,
    "POLLHUP": 16,
    "POLLNVAL": 32,
    "POLLRDHUP": 0x2000,
}
PRCTL_DUMPABLE = {0: "SUID_DUMP_DISABLE", 1: "SUID_DUMP_USER", 2: "SUID_DUMP_ROOT"}
PRIORITY = {0: "PRIO_PROCESS", 1: "PRIO_PGRP", 2: "PRIO_USER"}
POLICIES = {0: "SCHED_OTHER", 1: "SCHED_FIFO", 2: "SCHED_RR", 3: "SCHED_BATCH", 5: "SCHED_IDLE"}
ID_KINDS = {0: "P_ALL", 1: "P_PID", 2: "P_PGID", 3: "P_PIDFD"}
USAGE = {0: "RUSAGE_SELF", -1: "RUSAGE_CHILDREN", 1: "RUSAGE_THREAD"}
LOCK_PAGES = {"MCL_CURRENT": 1, "MCL_FUTURE": 2, "MCL_ONFAULT": 4}
SIGNAL_STACK = {"SS_ONSTACK": 1, "SS_DISABLE": 2}
IPC_CREATE = {
    "IPC_CREAT": 0o1000,
    "IPC_EXCL": 0o2000,
    "SHM_HUGETLB": 0o4000,
    "SHM_NORESERVE": 0o10000,
}
IPC_COMMANDS = {
    0: "IPC_RMID",
    1: "IPC_SET",
    2: "IPC_STAT",
    3: "IPC_INFO",
    11: "SHM_LOCK",
    12: "SHM_UNLOCK",
}
SHM_ATTACH = {"SHM_RDONLY": 0o10000, "SHM_RND": 0o20000, "SHM_REMAP": 0o40000, "SHM_EXEC": 0o100000}
SOCKET_TYPES = {1: "SOCK_STREAM", 2: "SOCK_DGRAM", 3: "SOCK_RAW", 5: "SOCK_SEQPACKET"}
SOCKET_FLAGS = {"SOCK_CLOEXEC": 0o2000000, "SOCK_NONBLOCK": 0o4000}
FAMILIES = {0: "AF_UNSPEC", 1: "AF_UNIX", 2: "AF_INET", 10: "AF_INET6", 16: "AF_NETLINK"}
SHUTDOWN = {0: "SHUT_RD", 1: "SHUT_WR", 2: "SHUT_RDWR"}
MESSAGE = {
    "MSG_OOB": 1,
    "MSG_PEEK": 2,
    "MSG_TRUNC": 0x20,
    "MSG_DONTWAIT": 0x40,
    "MSG_WAITALL": 0x100,
    "MSG_NOSIGNAL": 0x4000,
    "MSG_CMSG_CLOEXEC": 0x40000000,
}
EVENT_COUNTER = {"EFD_SEMAPHORE": 1, "EFD_CLOEXEC": 0o2000000, "EFD_NONBLOCK": 0o4000}
LOG_ACTIONS = {
    number: f"SYSLOG_ACTION_{name}"
    for number, name in enumerate(
        (
            "CLOSE", "OPEN", "READ", "READ_ALL", "READ_CLEAR", "CLEAR", "CONSOLE_OFF",
            "CONSOLE_ON", "CONSOLE_LEVEL", "SIZE_UNREAD", "SIZE_BUFFER",
        )
    )
}  # fmt: skip


def names() -> dict[str, int]:
    """Return every name of these tables, whichever way they are written, with its number."""
    found: dict[str, int] = {}
    for title, table in globals().items():
        if not title.isupper() or not isinstance(table, dict):
            continue
        for key, value in table.items():
            if isinstance(value, dict):
                found |= {name: number for number, name in value.items()}
            elif isinstance(key, str):
                found[key] = value
            else:
                found[value] = key
    return found
