"""Which decoders show each system call, and what stands after its ` = `: strace's table.

A call that is not here shows its registers in hexadecimal. A few calls show some of their arguments
only, or show them by what the others say: VARIANTS knows them.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from pkern.syscalls.flags import (
    ACCESS,
    ADVICE,
    AMBIENT,
    ARCH_PRCTL,
    AT_FLAGS,
    ATTRIBUTE,
    BARRIERS,
    CLOCKS,
    CLONE,
    CLOSE_RANGE,
    DESCRIPTOR_FLAGS,
    EPOLL_CREATE,
    EPOLL_CTL,
    EVENT_COUNTER,
    FALLOCATE,
    FAMILIES,
    FCNTL,
    FILE_ADVICE,
    ID_KINDS,
    INOTIFY,
    INOTIFY_FLAGS,
    IOCTL,
    IPC_COMMANDS,
    KCMP,
    LOCK,
    LOCK_PAGES,
    LOG_ACTIONS,
    MESSAGE,
    MOUNT,
    MPOL_ASK,
    MPOL_MOVE,
    MREMAP,
    MSG_COMMANDS,
    MSG_FLAGS,
    MSYNC,
    OPEN,
    PIDFD_FLAGS,
    PIDFD_SIGNAL,
    PKEY_RIGHTS,
    POLICIES,
    PRCTL,
    PRCTL_DUMPABLE,
    PRIORITY,
    PRIORITY_OWNERS,
    PROT,
    READ_WRITE,
    RENAME,
    RESOURCES,
    SECCOMP_FLAGS,
    SECCOMP_OPERATIONS,
    SEM_COMMANDS,
    SHM_ATTACH,
    SHUTDOWN,
    SIGNAL_FILE,
    SIGNAL_HOW,
    SOCKET_FLAGS,
    SPLICE,
    STATX,
    SYNC_RANGE,
    TIME_STAMPS,
    TIMER_FILE,
    TIMER_FLAGS,
    TIMER_SET,
    TIMERS,
    UNMOUNT,
    USAGE,
    WAIT,
    WHENCE,
)
from pkern.syscalls.strace import events as events
from pkern.syscalls.strace import sockets as sockets
from pkern.syscalls.strace import structs as structs
from pkern.syscalls.strace.decode import (
    Decoder,
    View,
    address,
    addresses,
    after,
    bytes_in,
    bytes_out,
    choice,
    clone_flags,
    descriptors_out,
    directory,
    entries_out,
    environment,
    flags,
    futex_op,
    hexadecimal,
    integer,
    itimer,
    itimer_out,
    later_pointer,
    map_flags,
    memfd_flags,
    memory,
    message_in,
    message_out,
    number,
    octal,
    open_flags,
    open_text,
    path,
    pointer,
    random_out,
    rlimit,
    rlimit_out,
    saved_mask,
    sigaction,
    sigaction_out,
    signal,
    signed,
    sigset,
    sigset_out,
    stat_out,
    strings,
    text_out,
    timespec,
    timespec_out,
    timeval_out,
    unsigned,
    utsname_out,
    vectors_in,
    vectors_out,
    wait_status,
)
from pkern.syscalls.strace.ptrace import HEAD, ptrace_decoders

PR_GET_DUMPABLE, PR_CAP_AMBIENT, AMBIENT_CLEAR_ALL = 3, 47, 4


def at_place(place: int, decoder: Decoder) -> Decoder:
    """Return a decoder of the register of a place, wherever it is shown."""
    return lambda view, i: decoder(view, place)


def sixth(decoder: Decoder) -> Decoder:
    """Return a decoder of the last register, which stands fifth: the offset's high half is none."""
    return at_place(5, decoder)


# ---- results ----

SYNONYMS = {errno.EOPNOTSUPP: "EOPNOTSUPP", errno.EDEADLK: "EDEADLK"}
HEX_RESULTS = frozenset({"mmap", "mremap", "brk", "shmat"})


def fcntl_result(view: View) -> str:
    command, result = view.args[1], view.result or 0
    if command == 1:
        return "0x1 (flags FD_CLOEXEC)" if result else "0"
    if command == 3:
        return f"{hex(result)} (flags {open_text(result)})"
    return str(result)


def umask_result(view: View) -> str:
    return f"0{view.result or 0:o}"


def prctl_result(view: View) -> str:
    """Return what prctl answers, with its name where it has one."""
    if view.args[0] == PR_GET_DUMPABLE:
        return named(PRCTL_DUMPABLE)(view)
    return str(view.result)


def named(table: dict[int, str]) -> Callable[[View], str]:
    """Return a result with its name."""
    return lambda view: f"{view.result} ({table.get(view.result or 0, '???')})"


def hex_with_name(view: View, name: Callable[[int], str]) -> str:
    """Return a result with what its bits mean."""
    result = view.result or 0
    return f"{hex(result) if result else 0} ({name(result)})"


RESULTS: dict[str, Callable[[View], str]] = {
    "fcntl": fcntl_result,
    "umask": umask_result,
    "prctl": prctl_result,
    "poll": events.poll_result,
    "ppoll": events.ppoll_result,
    "select": events.select_result,
    "pselect6": events.pselect_result,
    "rt_sigtimedwait": structs.signal_result,
    "time": structs.clock_result,
    "sched_getscheduler": named(POLICIES),
    "personality": lambda view: hex_with_name(view, structs.personality_text),
    "ioprio_get": lambda view: f"{view.result} ({structs.io_priority_text(view.result or 0)})",
}


def result_text(name: str, view: View) -> str:
    """Return what stands after ` = `."""
    result = view.result
    if result is None:
        return "?"
    if result < 0:
        code = SYNONYMS.get(-result) or errno.errorcode.get(-result, str(-result))
        return f"-1 {code} ({os.strerror(-result)})"
    if name in RESULTS:
        return RESULTS[name](view)
    return hex(result) if name in HEX_RESULTS else str(result)


# ---- the calls ----

CALLS: dict[str, tuple[Decoder, ...]] = {
    "read": (integer, bytes_out, number),
    "write": (integer, bytes_in, number),
    "open": (path, open_flags, octal),
    "openat": (directory, path, open_flags, octal),
    "creat": (path, octal),
    "close": (integer,),
    "stat": (path, stat_out),
    "lstat": (path, stat_out),
    "fstat": (integer, stat_out),
    "newfstatat": (directory, path, stat_out, flags(AT_FLAGS)),
    "lseek": (integer, signed, choice(WHENCE, "SEEK_???")),
    "mmap": (pointer, number, flags(PROT, "PROT_NONE"), map_flags, integer, hexadecimal),
    "mprotect": (pointer, number, flags(PROT, "PROT_NONE")),
    "munmap": (pointer, number),
    "brk": (pointer,),
    "rt_sigaction": (signal, sigaction, sigaction_out, number),
    "rt_sigprocmask": (choice(SIGNAL_HOW, "SIG_???"), sigset, sigset_out, number),
    "rt_sigpending": (sigset_out, number),
    "rt_sigsuspend": (sigset, number),
    "rt_sigreturn": (saved_mask,),
    "ioctl": (integer, choice(IOCTL, "???"), later_pointer),
    "pread64": (integer, bytes_out, number, signed),
    "pwrite64": (integer, bytes_in, number, signed),
    "readv": (integer, vectors_out, number),
    "writev": (integer, vectors_in, number),
    "access": (path, flags(ACCESS, "F_OK")),
    "faccessat": (directory, path, flags(ACCESS, "F_OK")),
    "faccessat2": (directory, path, flags(ACCESS, "F_OK"), flags(AT_FLAGS)),
    "pipe": (descriptors_out,),
    "pipe2": (descriptors_out, flags(OPEN)),
    "sched_yield": (),
    "uretprobe": (),
    "uprobe": (),
    "mremap": (pointer, number, number, flags(MREMAP), pointer),
    "msync": (pointer, number, flags(MSYNC)),
    "mincore": (pointer, number, structs.residency_out),
    "pidfd_open": (integer, flags(PIDFD_FLAGS, "0")),
    "pidfd_send_signal": (integer, signal, structs.siginfo_in, flags(PIDFD_SIGNAL, "0")),
    "pidfd_getfd": (integer, integer, hexadecimal),
    "process_mrelease": (integer, hexadecimal),
    "futex_wait": (pointer, number, hexadecimal, hexadecimal, pointer, choice(CLOCKS, "CLOCK_???")),
    "futex_wake": (pointer, hexadecimal, integer, hexadecimal),
    "futex_requeue": (pointer, hexadecimal, integer, integer),
    "futex_waitv": (pointer, number, hexadecimal, pointer, choice(CLOCKS, "CLOCK_???")),
    "cachestat": (integer, structs.cache_range, structs.cache_counts_out, hexadecimal),
    "pkey_mprotect": (pointer, number, flags(PROT, "PROT_NONE"), integer),
    "mseal": (pointer, number, hexadecimal),
    "inotify_init": (),
    "inotify_init1": (flags(INOTIFY_FLAGS, "0"),),
    "inotify_add_watch": (integer, path, flags(INOTIFY, "0")),
    "inotify_rm_watch": (integer, integer),
    "memfd_secret": (flags(OPEN, "0"),),
    "set_mempolicy": (structs.policy_mode, structs.nodes_in, number),
    "mbind": (
        *(pointer, number, structs.policy_mode, structs.nodes_in, number),
        flags(MPOL_MOVE, "0"),
    ),
    "get_mempolicy": (
        *(structs.policy_mode_out, structs.nodes_out, number, pointer),
        flags(MPOL_ASK, "0"),
    ),
    "set_mempolicy_home_node": (pointer, number, number, hexadecimal),
    "migrate_pages": (integer, number, structs.old_nodes, structs.new_nodes),
    "move_pages": (
        *(integer, number, structs.page_addresses, structs.page_nodes, structs.page_status),
        flags(MPOL_MOVE, "0"),
    ),
    "pkey_alloc": (hexadecimal, flags(PKEY_RIGHTS)),
    "pkey_free": (integer,),
    "madvise": (pointer, number, choice(ADVICE, "MADV_???")),
    "mlock": (pointer, number),
    "munlock": (pointer, number),
    "dup": (integer,),
    "dup2": (integer, integer),
    "dup3": (integer, integer, flags(OPEN)),
    "pause": (),
    "nanosleep": (timespec, later_pointer),
    "clock_nanosleep": (choice(CLOCKS, "CLOCK_???"), integer, timespec, later_pointer),
    "getitimer": (choice(TIMERS, "ITIMER_???"), itimer_out),
    "setitimer": (choice(TIMERS, "ITIMER_???"), itimer, itimer_out),
    "alarm": (number,),
    "getpid": (),
    "clone": (clone_flags, pointer, pointer, pointer, pointer),
    "fork": (),
    "vfork": (),
    "execve": (path, strings, environment),
    "exit": (integer,),
    "exit_group": (integer,),
    "wait4": (integer, wait_status, flags(WAIT), structs.usage_out),
    "kill": (integer, signal),
    "tkill": (integer, signal),
    "tgkill": (integer, integer, signal),
    "uname": (utsname_out,),
    "fcntl": (integer, choice(FCNTL, "F_???"), hexadecimal),
    "fsync": (integer,),
    "truncate": (path, signed),
    "ftruncate": (integer, signed),
    "getdents64": (integer, entries_out, number),
    "getcwd": (text_out, number),
    "chdir": (path,),
    "fchdir": (integer,),
    "rename": (path, path),
    "mkdir": (path, octal),
    "mkdirat": (directory, path, octal),
    "rmdir": (path,),
    "link": (path, path),
    "unlink": (path,),
    "unlinkat": (directory, path, flags(AT_FLAGS)),
    "symlink": (path, path),
    "readlink": (path, bytes_out, number),
    "readlinkat": (directory, path, bytes_out, number),
    "chmod": (path, octal),
    "fchmod": (integer, octal),
    "fchmodat": (directory, path, octal),
    "chown": (path, integer, integer),
    "umask": (octal,),
    "gettimeofday": (timeval_out, later_pointer),
    "getrlimit": (choice(RESOURCES, "RLIMIT_???"), rlimit_out),
    "setrlimit": (choice(RESOURCES, "RLIMIT_???"), rlimit),
    "prlimit64": (integer, choice(RESOURCES, "RLIMIT_???"), rlimit, rlimit_out),
    "setuid": (number,),
    "setgid": (number,),
    "setpgid": (integer, integer),
    "getpgid": (integer,),
    "getsid": (integer,),
    "sigaltstack": (structs.signal_stack, structs.signal_stack_out),
    "prctl": (choice(PRCTL, "PR_???"), hexadecimal, hexadecimal, hexadecimal, hexadecimal),
    "arch_prctl": (choice(ARCH_PRCTL, "ARCH_???"), pointer),
    "futex": (pointer, futex_op, unsigned, timespec),
    "remap_file_pages": (pointer, number, flags(PROT, "PROT_NONE"), number, map_flags),
    "set_tid_address": (pointer,),
    "clock_gettime": (choice(CLOCKS, "CLOCK_???"), timespec_out),
    "set_robust_list": (pointer, number),
    "rseq": (pointer, hexadecimal, number, hexadecimal),
    "getrandom": (random_out, number, flags({"GRND_NONBLOCK": 1, "GRND_RANDOM": 2})),
    "memfd_create": (path, memfd_flags),
    "rt_sigtimedwait": (sigset, structs.siginfo_out, timespec, number),
    "times": (structs.tms_out,),
    "linkat": (directory, path, directory, path, flags(AT_FLAGS)),
    "symlinkat": (path, directory, path),
    "renameat": (directory, path, directory, path),
    "renameat2": (directory, path, directory, path, flags(RENAME)),
    "fchmodat2": (directory, path, octal, flags(AT_FLAGS)),
    "fchownat": (directory, path, integer, integer, flags(AT_FLAGS)),
    "lchown": (path, integer, integer),
    "fchown": (integer, integer, integer),
    "utimensat": (directory, path, structs.file_times, flags(AT_FLAGS)),
    "utimes": (path, structs.file_timevals),
    "futimesat": (directory, path, structs.file_timevals),
    "mknod": (path, structs.node_mode, structs.device),
    "mknodat": (directory, path, structs.node_mode, structs.device),
    "fallocate": (integer, flags(FALLOCATE), signed, signed),
    "fadvise64": (integer, signed, signed, choice(FILE_ADVICE, "POSIX_FADV_???")),
    "readahead": (integer, signed, number),
    "sync_file_range": (integer, signed, signed, flags(SYNC_RANGE)),
    "fdatasync": (integer,),
    "syncfs": (integer,),
    "preadv": (integer, vectors_out, number, signed),
    "pwritev": (integer, vectors_in, number, signed),
    "preadv2": (integer, vectors_out, number, signed, sixth(flags(READ_WRITE))),
    "pwritev2": (integer, vectors_in, number, signed, sixth(flags(READ_WRITE))),
    "process_vm_readv": (integer, vectors_out, number, addresses, number, number),
    "process_vm_writev": (integer, vectors_in, number, addresses, number, number),
    "sendfile": (integer, integer, structs.moved_offset, number),
    "copy_file_range": (
        integer, structs.offset_in, integer, structs.offset_in, number, number
    ),
    "flock": (integer, flags(LOCK)),
    "close_range": (number, number, flags(CLOSE_RANGE)),
    "getdents": (integer, entries_out, number),
    "setxattr": (path, path, bytes_in, number, flags(ATTRIBUTE)),
    "lsetxattr": (path, path, bytes_in, number, flags(ATTRIBUTE)),
    "fsetxattr": (integer, path, bytes_in, number, flags(ATTRIBUTE)),
    "getxattr": (path, path, bytes_out, number),
    "lgetxattr": (path, path, bytes_out, number),
    "fgetxattr": (integer, path, bytes_out, number),
    "listxattr": (path, bytes_out, number),
    "llistxattr": (path, bytes_out, number),
    "flistxattr": (integer, bytes_out, number),
    "removexattr": (path, path),
    "lremovexattr": (path, path),
    "fremovexattr": (integer, path),
    "statfs": (path, structs.statfs_out),
    "fstatfs": (integer, structs.statfs_out),
    "mount": (path, path, path, flags(MOUNT), path),
    "umount2": (path, flags(UNMOUNT)),
    "swapon": (path, hexadecimal),
    "swapoff": (path,),
    "chroot": (path,),
    "execveat": (directory, path, strings, environment, flags(AT_FLAGS)),
    "getresuid": (structs.int_out, structs.int_out, structs.int_out),
    "getresgid": (structs.int_out, structs.int_out, structs.int_out),
    "setresuid": (integer, integer, integer),
    "setresgid": (integer, integer, integer),
    "setreuid": (integer, integer),
    "setregid": (integer, integer),
    "setfsuid": (integer,),
    "setfsgid": (integer,),
    "setgroups": (integer, structs.groups_in),
    "getgroups": (integer, structs.groups_out),
    "capget": (structs.capability_header, structs.capabilities_out),
    "capset": (structs.capability_header, structs.capabilities),
    "getpriority": (choice(PRIORITY, "PRIO_???"), integer),
    "setpriority": (choice(PRIORITY, "PRIO_???"), integer, integer),
    "sched_getscheduler": (integer,),
    "sched_setscheduler": (integer, choice(POLICIES, "SCHED_???"), structs.int_in),
    "sched_getparam": (integer, structs.int_out),
    "sched_setparam": (integer, structs.int_in),
    "sched_get_priority_max": (choice(POLICIES, "SCHED_???"),),
    "sched_get_priority_min": (choice(POLICIES, "SCHED_???"),),
    "sched_rr_get_interval": (integer, timespec_out),
    "sched_getaffinity": (integer, number, structs.processors_out),
    "sched_setaffinity": (integer, number, structs.processors_in),
    "sethostname": (bytes_in, number),
    "setdomainname": (bytes_in, number),
    "sysinfo": (structs.sysinfo_out,),
    "syslog": (choice(LOG_ACTIONS, "SYSLOG_ACTION_???"), bytes_out, number),
    "get_robust_list": (integer, structs.address_out, structs.size_out),
    "getrusage": (choice(USAGE, "RUSAGE_???"), structs.usage_out),
    "getcpu": (structs.int_out, structs.int_out, later_pointer),
    "time": (structs.seconds_out,),
    "clock_getres": (choice(CLOCKS, "CLOCK_???"), timespec_out),
    "clock_settime": (choice(CLOCKS, "CLOCK_???"), timespec),
    "settimeofday": (structs.timeval, pointer),
    "poll": (events.pollfds, number, integer),
    "ppoll": (events.pollfds, number, timespec, sigset, number),
    "select": (integer, *(events.descriptors,) * 3, structs.timeval),
    "pselect6": (integer, *(events.descriptors,) * 3, timespec, events.mask_pair),
    "clone3": (structs.clone_arguments, number),
    "unshare": (flags(CLONE),),
    "waitid": (
        choice(ID_KINDS, "P_???"), integer, structs.siginfo_out, flags(WAIT), structs.usage_out
    ),
    "rt_sigqueueinfo": (integer, signal, structs.siginfo_in),
    "mlock2": (pointer, number, flags({"MLOCK_ONFAULT": 1})),
    "mlockall": (flags(LOCK_PAGES),),
    "shmget": (structs.ipc_key, number, structs.segment_flags),
    "shmat": (integer, pointer, flags(SHM_ATTACH)),
    "shmdt": (pointer,),
    "shmctl": (integer, choice(IPC_COMMANDS, "IPC_???"), later_pointer),
    "semget": (structs.ipc_key, integer, structs.ipc_flags),
    "semop": (integer, structs.semaphore_operations, number),
    "semtimedop": (integer, structs.semaphore_operations, number, timespec),
    "semctl": (integer, integer, choice(SEM_COMMANDS, "SEM_???"), later_pointer),
    "msgget": (structs.ipc_key, structs.ipc_flags),
    "msgsnd": (integer, message_in, number, flags(MSG_FLAGS)),
    "msgrcv": (integer, message_out, number, signed, flags(MSG_FLAGS)),
    "msgctl": (integer, choice(MSG_COMMANDS, "MSG_???"), later_pointer),
    "signalfd": (integer, sigset, number),
    "signalfd4": (integer, sigset, number, flags(SIGNAL_FILE)),
    "mq_open": (path, open_flags, octal, pointer),
    "mq_unlink": (path,),
    "mq_timedsend": (integer, bytes_in, number, number, timespec),
    "mq_timedreceive": (integer, bytes_out, number, later_pointer, timespec),
    "mq_notify": (integer, pointer),
    "mq_getsetattr": (integer, pointer, later_pointer),
    "socket": (choice(FAMILIES, "AF_???"), sockets.socket_type, sockets.protocol),
    "socketpair": (choice(FAMILIES, "AF_???"), sockets.socket_type, number, descriptors_out),
    "connect": (integer, sockets.socket_address, number),
    "bind": (integer, sockets.socket_address, number),
    "listen": (integer, integer),
    "shutdown": (integer, choice(SHUTDOWN, "SHUT_???")),
    "sendto": (integer, bytes_in, number, flags(MESSAGE), sockets.socket_address, number),
    "recvfrom": (
        integer, bytes_out, number, flags(MESSAGE), sockets.stored_address, sockets.changed_length
    ),
    "sendmsg": (integer, sockets.message_in, flags(MESSAGE)),
    "recvmsg": (integer, sockets.message_out, flags(MESSAGE)),
    "sendmmsg": (integer, sockets.messages, number, flags(MESSAGE)),
    "recvmmsg": (integer, sockets.messages, number, flags(MESSAGE), timespec),
    "getsockname": (integer, sockets.stored_address, sockets.changed_length),
    "getpeername": (integer, sockets.stored_address, sockets.changed_length),
    "accept": (integer, sockets.stored_address, sockets.changed_length),
    "accept4": (
        integer, sockets.stored_address, sockets.changed_length, flags(SOCKET_FLAGS)
    ),
    "setsockopt": (
        integer, sockets.option_level, sockets.option_name, sockets.option_in, number
    ),
    "getsockopt": (
        integer, sockets.option_level, sockets.option_name, sockets.option_out,
        sockets.changed_length,
    ),
    "splice": (
        integer, structs.offset_in, integer, structs.offset_in, number, flags(SPLICE)
    ),
    "tee": (integer, integer, number, flags(SPLICE)),
    "vmsplice": (integer, vectors_in, number, flags(SPLICE)),
    "epoll_create": (integer,),
    "epoll_create1": (flags(EPOLL_CREATE),),
    "epoll_ctl": (
        integer, choice(EPOLL_CTL, "EPOLL_CTL_???"), integer, events.changed_event
    ),
    "epoll_wait": (integer, events.events_out, integer, integer),
    "epoll_pwait": (integer, events.events_out, integer, integer, sigset, number),
    "epoll_pwait2": (integer, events.events_out, integer, timespec, sigset, number),
    "timerfd_create": (choice(CLOCKS, "CLOCK_???"), flags(TIMER_FILE)),
    "timer_create": (choice(CLOCKS, "CLOCK_???"), events.sigevent, events.timer_out),
    "timer_settime": (
        integer, flags(TIMER_FLAGS), events.itimerspec, events.itimerspec_out
    ),
    "timer_gettime": (integer, events.itimerspec_out),
    "timer_getoverrun": (integer,),
    "timer_delete": (integer,),
    "seccomp": (
        choice(SECCOMP_OPERATIONS, "SECCOMP_SET_MODE_???"), flags(SECCOMP_FLAGS),
        events.filter_program,
    ),
    "modify_ldt": (integer, pointer, number),
    "timerfd_settime": (
        integer, flags(TIMER_SET), events.itimerspec, events.itimerspec_out
    ),
    "timerfd_gettime": (integer, events.itimerspec_out),
    "sched_setattr": (integer, structs.sched_attr, number),
    "sched_getattr": (integer, structs.sched_attr_out, number, number),
    "ioprio_get": (choice(PRIORITY_OWNERS, "IOPRIO_WHO_???"), integer),
    "ioprio_set": (choice(PRIORITY_OWNERS, "IOPRIO_WHO_???"), integer, structs.io_priority),
    "membarrier": (choice(BARRIERS, "MEMBARRIER_CMD_???"), hexadecimal),
    "kcmp": (integer, integer, choice(KCMP, "KCMP_???"), number, number),
    "personality": (structs.personality,),
    "utime": (path, structs.utimbuf),
    "statx": (directory, path, structs.statx_flags, flags(STATX), structs.statx_out),
    "openat2": (directory, path, structs.open_how, number),
    "rt_tgsigqueueinfo": (integer, integer, signal, structs.siginfo_in),
    "ptrace": HEAD,
    "eventfd": (number,),
    "eventfd2": (number, flags(EVENT_COUNTER)),
}  # fmt: skip
WITHOUT_ARGUMENTS = frozenset(
    {
        "getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getpgrp",
        "setsid", "fork", "vfork", "pause", "restart_syscall", "sched_yield", "sync", "munlockall",
    }
)  # fmt: skip

# ---- calls that show what counts ----

CREATING = 0o100
WITHOUT_VALUE = (1, 3, 1032, 1034)  # fcntl: F_GETFD, F_GETFL, F_GETPIPE_SZ, F_GET_SEALS
MREMAP_PLACED = 6  # MREMAP_FIXED, MREMAP_DONTUNMAP
FCNTL_VALUES = {
    0: integer,
    2: flags(DESCRIPTOR_FLAGS),
    4: open_flags,
    1030: integer,
    1031: integer,
}
IOCTL_VALUES: dict[int, Decoder] = {
    0x540F: structs.int_out,
    0x5410: structs.int_in,
    0x5413: structs.window_out,
    0x5414: structs.window,
    0x541B: structs.int_out,
    0x5421: structs.int_in,
}
PRCTL_VALUES: dict[int, tuple[Decoder, ...]] = {
    1: (signal,),
    2: (structs.int_out,),
    4: (structs.dumpable,),
    8: (number,),
    14: (number,),
    15: (path,),
    16: (text_out,),
    23: (structs.capability,),
    24: (structs.capability,),
    25: (structs.time_stamps_out,),
    26: (choice(TIME_STAMPS, "PR_TSC_???"),),
    28: (hexadecimal,),
    29: (number,),
    36: (number,),
    37: (structs.int_out,),
    38: (number,) * 4,
    39: (number,) * 4,
    40: (structs.address_out,),
    41: (number,) * 4,
    42: (number,) * 4,
    47: (choice(AMBIENT, "PR_CAP_AMBIENT_???"), structs.capability, number, number),
    0x56535953: (number,),
} | dict.fromkeys((3, 7, 13, 21, 27, 30, 0x56535954), ())
Decoders = tuple[Decoder, ...]
# Which argument points to a length that the call may change.
LENGTHS = {
    "recvfrom": 5, "getsockname": 2, "getpeername": 2, "accept": 2, "accept4": 2, "getsockopt": 4,
}  # fmt: skip


def _open_decoders(view: View, chosen: Decoders) -> Decoders:
    return chosen if view.args[len(chosen) - 2] & CREATING else chosen[:-1]


def _fcntl_decoders(view: View, chosen: Decoders) -> Decoders:
    command = view.args[1]
    if command in WITHOUT_VALUE:
        return chosen[:2]
    return (*chosen[:2], FCNTL_VALUES.get(command, chosen[2]))


def _prctl_decoders(view: View, chosen: Decoders) -> Decoders:
    if view.args[:2] == (PR_CAP_AMBIENT, AMBIENT_CLEAR_ALL):
        return (chosen[0], choice(AMBIENT, ""), number, number, number)
    return (chosen[0], *PRCTL_VALUES.get(view.args[0], chosen[1:]))


def _mremap_decoders(view: View, chosen: Decoders) -> Decoders:
    return chosen if view.args[3] & MREMAP_PLACED else chosen[:4]


def _ioctl_decoders(view: View, chosen: Decoders) -> Decoders:
    return (*chosen[:2], IOCTL_VALUES.get(view.args[1] & 0xFFFF_FFFF, chosen[2]))


def _futex_decoders(view: View, chosen: Decoders) -> Decoders:
    """Return how strace shows futex: the arguments that an operation uses."""
    word, op, value, timeout = chosen[:4]
    count, value3 = at_place(3, unsigned), at_place(5, unsigned)
    bits, addr2 = at_place(5, hexadecimal), at_place(4, pointer)
    lock = (word, op, at_place(3, timeout))
    shown: dict[int, Decoders] = {
        1: (word, op, value),
        3: (word, op, value, count, addr2),
        4: (word, op, value, count, addr2, value3),
        5: (word, op, value, count, addr2, at_place(5, structs.futex_operation)),
        6: lock,
        7: (word, op),
        8: (word, op),
        9: (word, op, value, timeout, bits),
        10: (word, op, value, bits),
        11: (word, op, value, timeout, addr2),
        12: (word, op, value, count, addr2, value3),
        13: lock,
    }
    return shown.get(view.args[1] & 127, chosen)


def _node_decoders(view: View, chosen: Decoders) -> Decoders:
    return chosen if structs.has_device(view.args[len(chosen) - 2]) else chosen[:-1]


def _tid(view: View, i: int) -> str:
    return f"child_tidptr={address(view.args[3])}"


@after
def _parent_tid(view: View, i: int) -> str:
    addr = view.args[2]
    return f"parent_tid={address(addr) if view.failed else structs.number_at(view, addr)}"


def clone_decoders(view: View, chosen: Decoders) -> Decoders:
    """Return how strace shows clone: its order of arguments, and only those that count."""
    shown: list[Decoder] = [
        lambda v, i: f"child_stack={address(v.args[1])}",
        lambda v, i: f"flags={clone_flags(v, 0)}",
    ]
    if view.args[0] & (CLONE["CLONE_PARENT_SETTID"] | CLONE["CLONE_PIDFD"]):
        shown.append(_parent_tid)
    if view.args[0] & CLONE["CLONE_SETTLS"]:
        shown.append(lambda v, i: f"tls={address(v.args[4])}")
    if view.args[0] & (CLONE["CLONE_CHILD_SETTID"] | CLONE["CLONE_CHILD_CLEARTID"]):
        shown.append(_tid)
    return tuple(shown)


VARIANTS: dict[str, Callable[[View, Decoders], Decoders]] = {
    "open": _open_decoders,
    "openat": _open_decoders,
    "fcntl": _fcntl_decoders,
    "prctl": _prctl_decoders,
    "mremap": _mremap_decoders,
    "futex": _futex_decoders,
    "mknod": _node_decoders,
    "mknodat": _node_decoders,
    "clone": clone_decoders,
    "ptrace": ptrace_decoders,
    "ioctl": _ioctl_decoders,
}


def noted_length(name: str, view: View) -> int | None:
    """Return the length that a call may change, where it has one."""
    if name == "recvmsg":
        raw = memory(view, view.args[1] + 8, 4)
    else:
        raw = memory(view, view.args[LENGTHS[name]], 4) if name in LENGTHS else None
    return None if raw is None else int.from_bytes(raw, "little")


def decoders_of(name: str, view: View, count: int) -> Decoders:
    """Return the decoders of a call's arguments. count: how many registers its handler takes."""
    if name in WITHOUT_ARGUMENTS:
        return ()
    chosen = CALLS.get(name, (hexadecimal,) * count)
    variant = VARIANTS.get(name)
    return variant(view, chosen) if variant else chosen
