"""Calls of the i386 table that are calls of the native one, with their arguments placed otherwise.

Owns which those are. A shape's words are the native call's arguments, made of the six registers,
which are a to f and hold 32 bits:

    a     the register        -a    the same, signed
    ab    a 64-bit number, low half first
    ~a    a user's or group's number of 16 bits; all ones: none
    a*    a number of pages, in bytes
    0     nothing

What a call points to has the same layout in both tables, or the native handler asks by which way
the task came (arrays of pointers: execve, iovecs).
"""

from __future__ import annotations

from collections.abc import Callable

from pkern.kernel.values import NamedTuple
from pkern.syscalls.numbers import NAMES

Registers = tuple[int, ...]
PAGE_SHIFT = 12
HALF, WORD, ID_BITS = 32, (1 << 64) - 1, 0xFFFF
NO_ID = (1 << 32) - 1

SAME = """
    exit fork read write open close creat link unlink execve chdir mknod chmod getpid pause
    access sync kill rename mkdir rmdir dup pipe brk acct umount2 ioctl setpgid umask chroot dup2
    getppid getpgrp setsid sethostname symlink readlink uselib swapon reboot munmap fchmod
    getpriority setpriority syslog vhangup swapoff fsync setdomainname uname mprotect getpgid
    fchdir personality flock msync readv writev getsid fdatasync mlock munlock mlockall munlockall
    sched_setparam sched_getparam sched_setscheduler sched_getscheduler sched_yield
    sched_get_priority_max sched_get_priority_min mremap poll rt_sigprocmask getcwd capget capset
    vfork alarm pivot_root mincore madvise getdents64 gettid setxattr lsetxattr fsetxattr getxattr
    lgetxattr fgetxattr listxattr llistxattr flistxattr removexattr lremovexattr fremovexattr tkill
    sched_setaffinity sched_getaffinity exit_group epoll_create epoll_ctl epoll_wait
    remap_file_pages set_tid_address timer_getoverrun timer_delete tgkill mq_unlink ioprio_set
    ioprio_get inotify_init inotify_add_watch inotify_rm_watch openat mkdirat mknodat fchownat
    unlinkat renameat linkat symlinkat readlinkat fchmodat faccessat unshare tee splice getcpu
    vmsplice epoll_pwait timerfd_create eventfd eventfd2 signalfd signalfd4 epoll_create1 dup3 pipe2
    inotify_init1 prlimit64 syncfs process_vm_readv process_vm_writev kcmp sched_setattr
    sched_getattr renameat2 getrandom memfd_create execveat socket socketpair bind connect listen
    accept4 getsockname getpeername sendto recvfrom shutdown userfaultfd membarrier mlock2
    copy_file_range pkey_mprotect pkey_alloc pkey_free statx semget shmget shmat shmdt msgget
    pidfd_send_signal pidfd_open close_range openat2 pidfd_getfd faccessat2 process_madvise
    memfd_secret process_mrelease cachestat fchmodat2 mseal restart_syscall prctl rt_sigpending
    rt_sigsuspend setns clone3 io_uring_setup io_uring_enter io_uring_register epoll_pwait2
    futex_waitv futex_wake futex_wait futex_requeue set_mempolicy_home_node sendmsg recvmsg sendmmsg
    sigaltstack seccomp rseq mount open_tree move_mount fsopen fsconfig fsmount fspick mount_setattr
    setxattrat getxattrat listxattrat removexattrat file_getattr file_setattr
    mq_open mq_notify mq_getsetattr timer_create semctl shmctl msgctl
    get_mempolicy modify_ldt mbind set_mempolicy migrate_pages move_pages"""
SHAPED = """
    waitpid             wait4 a b c 0
    umount              umount2 a 0
    lseek               lseek a -b c
    truncate            truncate a -b
    ftruncate           ftruncate a -b
    truncate64          truncate a bc
    ftruncate64         ftruncate a bc
    pread64             pread64 a b c de
    pwrite64            pwrite64 a b c de
    preadv              preadv a b c de 0
    pwritev             pwritev a b c de 0
    preadv2             preadv2 a b c de 0 f
    pwritev2            pwritev2 a b c de 0 f
    readahead           readahead a bc d
    fadvise64           fadvise64 a bc d e
    fadvise64_64        fadvise64 a bc de f
    sync_file_range     sync_file_range a bc de f
    fallocate           fallocate a b cd ef
    mmap2               mmap a b c d e f*
    sendfile64          sendfile a b c d
    setuid              setuid ~a
    setgid              setgid ~a
    setreuid            setreuid ~a ~b
    setregid            setregid ~a ~b
    setresuid           setresuid ~a ~b ~c
    setresgid           setresgid ~a ~b ~c
    setfsuid            setfsuid ~a
    setfsgid            setfsgid ~a
    chown               chown a ~b ~c
    lchown              lchown a ~b ~c
    fchown              fchown a ~b ~c
    chown32             chown a b c
    lchown32            lchown a b c
    fchown32            fchown a b c
    getuid32            getuid
    getgid32            getgid
    geteuid32           geteuid
    getegid32           getegid
    setuid32            setuid a
    setgid32            setgid a
    setreuid32          setreuid a b
    setregid32          setregid a b
    setresuid32         setresuid a b c
    setresgid32         setresgid a b c
    getresuid32         getresuid a b c
    getresgid32         getresgid a b c
    setfsuid32          setfsuid a
    setfsgid32          setfsgid a
    getgroups32         getgroups a b
    setgroups32         setgroups a b
    clock_gettime64     clock_gettime a b
    clock_settime64     clock_settime a b
    clock_getres_time64 clock_getres a b
    clock_nanosleep_time64 clock_nanosleep a b c d
    timer_gettime64     timer_gettime a b
    timer_settime64     timer_settime a b c d
    timerfd_gettime64   timerfd_gettime a b
    timerfd_settime64   timerfd_settime a b c d
    utimensat_time64    utimensat a b c d
    ppoll_time64        ppoll a b c d e
    mq_timedsend_time64 mq_timedsend a b c d e
    mq_timedreceive_time64 mq_timedreceive a b c d e
    semtimedop_time64   semtimedop a b c d
    recvmmsg_time64     recvmmsg a b c d e
    rt_sigtimedwait_time64 rt_sigtimedwait a b c d
    clock_adjtime64     clock_adjtime a b
    futex_time64        futex a b c d e f
    msgsnd              msgsnd a b -c d
    msgrcv              msgrcv a b -c -d e
    sched_rr_get_interval_time64 sched_rr_get_interval a b"""


class Shape(NamedTuple):
    """A native call's number and what makes each of its arguments."""

    nr: int
    words: tuple[Callable[[Registers], int], ...]

    def registers(self, given: Registers) -> Registers:
        """Return the native call's six registers."""
        made = tuple(word(given) for word in self.words)
        return made + (0,) * (len(given) - len(made))


def _word(text: str) -> Callable[[Registers], int]:
    """Return what makes an argument that a word names."""
    if text == "0":
        return lambda given: 0
    first = "abcdef".index(text.strip("-~*")[0])
    if text[0] == "-":
        return lambda given: (given[first] ^ 1 << HALF - 1) - (1 << HALF - 1) & WORD
    if text[0] == "~":
        return lambda given: NO_ID if given[first] & ID_BITS == ID_BITS else given[first] & ID_BITS
    if text[-1] == "*":
        return lambda given: given[first] << PAGE_SHIFT
    if len(text) == 2:
        return lambda given: given[first] | given[first + 1] << HALF
    return lambda given: given[first]


def _shapes() -> dict[str, Shape]:
    numbers = {name: nr for nr, name in NAMES.items()}
    plain = Shape(0, tuple(_word(letter) for letter in "abcdef"))
    made = {name: plain._replace(nr=numbers[name]) for name in SAME.split()}
    for row in SHAPED.strip().splitlines():
        name, native, *words = row.split()
        made[name] = Shape(numbers[native], tuple(_word(word) for word in words))
    return made


SHAPES = _shapes()
