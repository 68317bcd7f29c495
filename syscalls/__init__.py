"""The Linux ABI: decode, check rights and gates, call one kernel method.

Declares which room holds each call; the room is imported at the first use of one of its calls
(table.py). Who looks at every entry of TABLE imports them all.
"""

from pkern.kernel import late
from pkern.kernel.events import sources
from pkern.syscalls.table import TABLE, Syscall, declare

__all__ = ["TABLE", "Syscall"]

ROOMS = {
    "entropy": "getrandom",
    "files.epoll": "epoll_create epoll_wait epoll_ctl epoll_pwait epoll_create1 epoll_pwait2",
    "files.eventfd": "eventfd eventfd2",
    "files.fcntl": "ioctl dup dup2 fcntl flock dup3 close_range",
    "files.inotify": "inotify_init inotify_init1 inotify_add_watch inotify_rm_watch",
    "files.fileattr": "file_getattr file_setattr",
    "files.fscontext": "fsopen fsconfig fsmount fspick",
    "files.mount_tree": "open_tree move_mount mount_setattr open_tree_attr",
    "files.statmount": "statmount listmount",
    "files.mounts": "statfs fstatfs mount umount2 pivot_root",
    "files.paths": """
        getdents getcwd chdir fchdir rename mkdir rmdir link unlink symlink umask mknod chroot
        getdents64 mkdirat mknodat unlinkat renameat linkat symlinkat renameat2""",
    "files.links": "readlink readlinkat",
    "files.pidfd": "pidfd_open pidfd_getfd",
    "files.pipes": "pipe pipe2 memfd_create memfd_secret",
    "files.poll": "poll select pselect6 ppoll",
    "files.read_write": """
        read write open close lseek pread64 pwrite64 readv writev creat openat preadv pwritev
        preadv2 pwritev2 openat2""",
    "files.sizes": """
        fsync fdatasync truncate ftruncate sync readahead fadvise64 sync_file_range fallocate syncfs
        cachestat""",
    "files.splice": "sendfile splice tee vmsplice copy_file_range",
    "files.stat": """
        stat fstat lstat access chmod fchmod chown fchown lchown utime utimes fchownat futimesat
        newfstatat fchmodat faccessat utimensat faccessat2 fchmodat2""",
    "files.statx": "statx",
    "files.timerfd": "timerfd_create timerfd_settime timerfd_gettime",
    "files.xattr": """
        setxattr lsetxattr fsetxattr getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr
        removexattr lremovexattr fremovexattr setxattrat getxattrat listxattrat removexattrat""",
    "info": "uname sysinfo syslog sethostname setdomainname",
    "io_uring.calls": "io_uring_setup io_uring_enter",
    "io_uring.registers": "io_uring_register",
    "ipc.mqueue": "mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr",
    "ipc.msg": "msgget msgsnd msgrcv msgctl",
    "ipc.sem": "semget semop semctl semtimedop",
    "memory.heap": "brk",
    "memory.mman": """
        mmap munmap mremap msync mincore madvise mlock munlock mlockall munlockall remap_file_pages
        mlock2""",
    "memory.protection": "mprotect pkey_mprotect pkey_alloc pkey_free mseal",
    "memory.policy": """
        mbind set_mempolicy get_mempolicy migrate_pages move_pages set_mempolicy_home_node""",
    "memory.process_vm": "process_vm_readv process_vm_writev process_madvise",
    "memory.shm": "shmget shmat shmctl shmdt",
    "memory.swap": "swapon swapoff",
    "memory.userfaultfd": "userfaultfd",
    "net.messages": "sendto recvfrom sendmsg recvmsg sendmmsg recvmmsg",
    "net.options": "setsockopt getsockopt",
    "net.sockets": """
        socket connect accept shutdown bind listen getsockname getpeername socketpair accept4""",
    "tasks.futex": "futex",
    "tasks.futex2": "futex_waitv futex_wake futex_wait futex_requeue",
    "tasks.ids": """
        getuid getgid setuid setgid geteuid getegid setreuid setregid getgroups setgroups setresuid
        getresuid setresgid getresgid setfsuid setfsgid capget capset""",
    "tasks.jobs": """
        sched_yield pause restart_syscall setpgid getpgrp setsid getpgid getsid""",
    "tasks.threads": "arch_prctl set_tid_address set_robust_list get_robust_list rseq",
    "tasks.clone": "clone fork vfork clone3",
    "tasks.namespaces": "unshare setns",
    "tasks.execve": "execve execveat",
    "tasks.death": "exit exit_group",
    "tasks.waiting": "wait4 waitid",
    "tasks.pidfd": "pidfd_send_signal process_mrelease",
    "tasks.prctl": "prctl",
    "tasks.posix_timers": """
        timer_create timer_settime timer_gettime timer_getoverrun timer_delete""",
    "tasks.limits": "getrlimit setrlimit prlimit64",
    "tasks.process": "getpid getppid personality gettid kcmp membarrier",
    "tasks.ptrace": "ptrace",
    "tasks.sched": """
        getpriority setpriority sched_setparam sched_getparam sched_setscheduler sched_getscheduler
        sched_get_priority_max sched_get_priority_min sched_rr_get_interval sched_setaffinity
        sched_getaffinity ioprio_set ioprio_get sched_setattr sched_getattr""",
    "tasks.seccomp": "seccomp",
    "tasks.segments": "modify_ldt",
    "tasks.signalfd": "signalfd signalfd4",
    "tasks.signals": """
        rt_sigaction rt_sigprocmask rt_sigreturn kill rt_sigpending rt_sigtimedwait rt_sigqueueinfo
        rt_sigsuspend sigaltstack tkill tgkill rt_tgsigqueueinfo uretprobe uprobe""",
    "tasks.time": """
        gettimeofday adjtimex settimeofday time clock_settime clock_gettime clock_getres
        clock_adjtime getcpu""",
    "tasks.timers": "nanosleep getitimer alarm setitimer getrusage times clock_nanosleep",
}
declare({room: names.split() for room, names in ROOMS.items()})
sources.append(late.function("pkern.syscalls.tracepoints", "CallPoints"))
