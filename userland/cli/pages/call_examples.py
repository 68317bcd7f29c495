"""One line of example for every call of `sys`, as docs/python.md shows it.

`make docs` runs each on a machine of its own, furnished by PRELUDE, and writes what it gives; a
test compares the page with what they give now.
"""

PRELUDE = """\
from struct import pack, unpack
import pkern

kernel = pkern.Kernel(ram="16M", swap="4M", sysctl={"vm.nonlinear": 1})
sys = pkern.Sys(kernel.spawn("prog", uid=0, gid=0))
PAGE = sys.PAGE_SIZE
RW = sys.PROT_READ | sys.PROT_WRITE
addr = sys.mmap(0, 4 * PAGE, RW, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS)
fd = sys.open("/tmp/file", sys.O_RDWR | sys.O_CREAT, 0o600)
sys.pwrite64(fd, b"hello, world", 0)
child = sys.fork()
"""

EXAMPLES: dict[str, str] = {
    # ---- memory ----
    "mmap": "hex(sys.mmap(0, 2 * PAGE, sys.PROT_READ, sys.MAP_PRIVATE, fd, 0))",
    "munmap": "sys.munmap(addr, PAGE)",
    "mprotect": "sys.mprotect(addr, PAGE, sys.PROT_READ)",
    "remap_file_pages": (
        "w = sys.mmap(0, PAGE, 1, sys.MAP_SHARED | sys.MAP_NONLINEAR);"
        " sys.remap_file_pages(w, PAGE, 0, 0, 0, fd); sys.load(w, 5)"
    ),
    "mremap": "hex(sys.mremap(addr, 4 * PAGE, 8 * PAGE, sys.MREMAP_MAYMOVE))",
    "brk": "end = sys.brk(); sys.brk(end + PAGE) - end",
    "madvise": "sys.store(addr, b'x'); sys.madvise(addr, PAGE, sys.MADV_DONTNEED); sys.load(addr, 1)",
    "mincore": "sys.touch(addr + PAGE, PAGE); sys.mincore(addr, 2 * PAGE)",
    "mlock": "sys.mlock(addr, PAGE)",
    "mlock2": "sys.mlock2(addr, PAGE, sys.MLOCK_ONFAULT)",
    "munlock": "sys.munlock(addr, PAGE)",
    "mlockall": "sys.mlockall(sys.MCL_CURRENT)",
    "munlockall": "sys.munlockall()",
    "msync": "sys.msync(addr, PAGE, sys.MS_SYNC)",
    "mseal": "sys.mseal(addr, PAGE, 0); sys.munmap(addr, PAGE)",
    "set_mempolicy": ("sys.store(addr, pack('<Q', 1)); sys.set_mempolicy(sys.MPOL_BIND, addr, 65)"),
    "mbind": (
        "sys.store(addr, pack('<Q', 1)); sys.mbind(addr, PAGE, sys.MPOL_INTERLEAVE, addr, 65, 0)"
    ),
    "get_mempolicy": (
        "sys.store(addr, pack('<Q', 1)); sys.mbind(addr, PAGE, sys.MPOL_BIND, addr, 65, 0);"
        " sys.get_mempolicy(addr + 8, addr + 16, 65, addr, sys.MPOL_F_ADDR);"
        " unpack('<i4xQ', sys.load(addr + 8, 16))"
    ),
    "set_mempolicy_home_node": (
        "sys.store(addr, pack('<Q', 1)); sys.mbind(addr, PAGE, sys.MPOL_BIND, addr, 65, 0);"
        " sys.set_mempolicy_home_node(addr, PAGE, 0, 0)"
    ),
    "migrate_pages": "sys.store(addr, pack('<Q', 1)); sys.migrate_pages(0, 65, addr, addr)",
    "move_pages": (
        "sys.store(addr, pack('<2Q', addr, addr + PAGE));"
        " sys.move_pages(0, 2, addr, 0, addr + 64, 0); unpack('<2i', sys.load(addr + 64, 8))"
    ),
    "userfaultfd": (
        "ufd = sys.userfaultfd(sys.O_NONBLOCK);"
        " sys.store(addr, pack('<3Q', 0xaa, 0, 0)); sys.ioctl(ufd, 0xc018aa3f, addr);"
        " sys.store(addr, pack('<4Q', addr + PAGE, PAGE, 1, 0)); sys.ioctl(ufd, 0xc020aa00, addr);"
        " sys.load(addr + PAGE, 1)"
    ),
    "pkey_mprotect": "sys.pkey_mprotect(addr, PAGE, sys.PROT_READ, -1)",
    "pkey_alloc": "sys.pkey_alloc(0, 0)",
    "pkey_free": "sys.pkey_free(1)",
    "process_madvise": (
        "sys.store(addr, pack('<2Q', addr + PAGE, PAGE));"
        " sys.process_madvise(sys.PIDFD_SELF, addr, 1, sys.MADV_COLD)"
    ),
    "process_vm_readv": "child.store(addr, b'hi'); sys.process_vm_readv(child.pid, addr, 2)",
    "process_vm_writev": "sys.process_vm_writev(child.pid, addr, b'hi'); child.load(addr, 2)",
    "shmget": "sys.shmget(sys.IPC_PRIVATE, PAGE, 0o600)",
    "shmat": "hex(sys.shmat(sys.shmget(sys.IPC_PRIVATE, PAGE, 0o600)))",
    "shmdt": "sys.shmdt(sys.shmat(sys.shmget(sys.IPC_PRIVATE, PAGE, 0o600)))",
    "shmctl": ("sys.shmctl(sys.shmget(sys.IPC_PRIVATE, PAGE, 0o600), sys.IPC_STAT).shm_segsz"),
    "semget": "sys.semget(sys.IPC_PRIVATE, 2, 0o600)",
    "semop": (
        "semid = sys.semget(sys.IPC_PRIVATE, 1, 0o600); sys.store(addr, pack('<Hhh', 0, 3, 0));"
        " sys.semop(semid, addr, 1); sys.semctl(semid, 0, sys.GETVAL)"
    ),
    "semtimedop": (
        "sys.store(addr, pack('<Hhhxx2q', 0, -1, 0, 1, 0));"
        " sys.semtimedop(sys.semget(sys.IPC_PRIVATE, 1, 0o600), addr, 1, addr + 8)"
    ),
    "semctl": "sys.semctl(sys.semget(sys.IPC_PRIVATE, 1, 0o600), 0, sys.SETVAL, 3)",
    "msgget": "sys.msgget(sys.IPC_PRIVATE, 0o600)",
    "msgsnd": (
        "sys.store(addr, pack('<Q5s', 1, b'hello'));"
        " sys.msgsnd(sys.msgget(sys.IPC_PRIVATE, 0o600), addr, 5)"
    ),
    "msgrcv": (
        "msqid = sys.msgget(sys.IPC_PRIVATE, 0o600); sys.store(addr, pack('<Q5s', 1, b'hello'));"
        " sys.msgsnd(msqid, addr, 5); sys.msgrcv(msqid, addr, 100); sys.load(addr + 8, 5)"
    ),
    "msgctl": "sys.msgctl(sys.msgget(sys.IPC_PRIVATE, 0o600), sys.IPC_RMID)",
    "signalfd": "sys.store(addr, pack('<Q', 1 << sys.SIGUSR1 - 1)); sys.signalfd(-1, addr, 8)",
    "signalfd4": (
        "sys.store(addr, pack('<Q', 1 << sys.SIGUSR1 - 1));"
        " fd = sys.signalfd4(-1, addr, 8, sys.SFD_NONBLOCK);"
        " sys.rt_sigprocmask(sys.SIG_BLOCK, 1 << sys.SIGUSR1 - 1); sys.kill(sys.pid, sys.SIGUSR1);"
        " sys.read(fd, 128)[:4]"
    ),
    "inotify_init": "sys.inotify_init()",
    "inotify_init1": "sys.inotify_init1(sys.IN_NONBLOCK)",
    "inotify_add_watch": (
        "watch = sys.inotify_init1(); sys.inotify_add_watch(watch, '/tmp', sys.IN_CREATE);"
        " sys.mkdir('/tmp/new', 0o755); unpack('<4i16s', sys.read(watch, 100))"
    ),
    "inotify_rm_watch": (
        "watch = sys.inotify_init1();"
        " sys.inotify_rm_watch(watch, sys.inotify_add_watch(watch, '/tmp', sys.IN_OPEN))"
    ),
    "memfd_secret": "fd = sys.memfd_secret(0); sys.ftruncate(fd, PAGE)",
    "mq_open": "sys.mq_open('q', sys.O_RDWR | sys.O_CREAT | sys.O_NONBLOCK, 0o600)",
    "mq_unlink": "sys.mq_open('q', sys.O_RDWR | sys.O_CREAT | sys.O_NONBLOCK, 0o600); sys.mq_unlink('q')",
    "mq_timedsend": "q = sys.mq_open('q', sys.O_RDWR | sys.O_CREAT | sys.O_NONBLOCK, 0o600); sys.mq_timedsend(q, addr, 5, 7)",
    "mq_timedreceive": (
        "sys.store(addr, b'hello'); q = sys.mq_open('q', sys.O_RDWR | sys.O_CREAT | sys.O_NONBLOCK, 0o600);"
        " sys.mq_timedsend(q, addr, 5, 7); sys.mq_timedreceive(q, addr + 64, 8192)"
    ),
    "mq_notify": "q = sys.mq_open('q', sys.O_RDWR | sys.O_CREAT | sys.O_NONBLOCK, 0o600); sys.mq_notify(q, 0)",
    "mq_getsetattr": (
        "q = sys.mq_open('q', sys.O_RDWR | sys.O_CREAT | sys.O_NONBLOCK, 0o600);"
        " sys.mq_getsetattr(q, 0, addr); unpack('<4q', sys.load(addr, 32))"
    ),
    "swapon": "sys.swapoff('/dev/swap0'); sys.swapon('/dev/swap0', 0)",
    "swapoff": "sys.swapoff('/dev/swap0')",
    # ---- files ----
    "read": "sys.read(fd, 5)",
    "write": "sys.write(fd, b'HELLO')",
    "open": "sys.open('/tmp/new', sys.O_WRONLY | sys.O_CREAT, 0o644)",
    "openat": "sys.openat(sys.AT_FDCWD, '/tmp/file', sys.O_RDONLY)",
    "openat2": "sys.store(addr, pack('<3Q', sys.O_RDONLY, 0, 0)); sys.openat2(-100, '/tmp', addr, 24)",
    "creat": "sys.creat('/tmp/new', 0o644)",
    "close": "sys.close(fd)",
    "close_range": "sys.close_range(0, 99)",
    "pread64": "sys.pread64(fd, 5, 7)",
    "pwrite64": "sys.pwrite64(fd, b'H', 0)",
    "readv": "sys.store(addr, pack('<2Q', addr + 64, 5)); sys.readv(fd, addr, 1)",
    "writev": "sys.store(addr, pack('<2Q', addr + 64, 5)); sys.writev(fd, addr, 1)",
    "preadv": "sys.store(addr, pack('<2Q', addr + 64, 5)); sys.preadv(fd, addr, 1, 7)",
    "pwritev": "sys.store(addr, pack('<2Q', addr + 64, 5)); sys.pwritev(fd, addr, 1, 7)",
    "preadv2": "sys.store(addr, pack('<2Q', addr + 64, 5)); sys.preadv2(fd, addr, 1, -1, 0, 0)",
    "pwritev2": "sys.store(addr, pack('<2Q', addr + 64, 5)); sys.pwritev2(fd, addr, 1, -1, 0, 0)",
    "lseek": "sys.lseek(fd, -5, sys.SEEK_END)",
    "stat": "sys.stat('/tmp/file').st_size",
    "fstat": "oct(sys.fstat(fd).st_mode)",
    "lstat": "sys.lstat('/tmp').st_nlink",
    "newfstatat": "len(sys.newfstatat(sys.AT_FDCWD, '/tmp/file'))",
    "statx": "unpack('<Q', sys.statx(fd, '', sys.AT_EMPTY_PATH, sys.STATX_SIZE)[40:48])",
    "access": "sys.access('/tmp/file', sys.R_OK | sys.W_OK)",
    "faccessat": "sys.faccessat(sys.AT_FDCWD, '/tmp/file', sys.R_OK)",
    "faccessat2": "sys.faccessat2(fd, '', sys.R_OK, sys.AT_EMPTY_PATH)",
    "chmod": "sys.chmod('/tmp/file', 0o640)",
    "fchmod": "sys.fchmod(fd, 0o640)",
    "fchmodat": "sys.fchmodat(sys.AT_FDCWD, '/tmp/file', 0o640)",
    "fchmodat2": "sys.fchmodat2(sys.AT_FDCWD, '/tmp/file', 0o640, sys.AT_SYMLINK_NOFOLLOW)",
    "chown": "sys.chown('/tmp/file', 1000, 1000)",
    "fchown": "sys.fchown(fd, 1000, 1000)",
    "lchown": "sys.lchown('/tmp/file', 1000, 1000)",
    "fchownat": "sys.fchownat(sys.AT_FDCWD, '/tmp/file', 1000, -1)",
    "umask": "oct(sys.umask(0o077))",
    "truncate": "sys.truncate('/tmp/file', 5)",
    "ftruncate": "sys.ftruncate(fd, PAGE); sys.fstat(fd).st_size",
    "fallocate": "sys.fallocate(fd, 0, 0, PAGE); sys.fstat(fd).st_size",
    "fsync": "sys.fsync(fd)",
    "fdatasync": "sys.fdatasync(fd)",
    "sync": "sys.sync()",
    "syncfs": "sys.syncfs(fd)",
    "sync_file_range": "sys.sync_file_range(fd, 0, 0, sys.SYNC_FILE_RANGE_WRITE)",
    "readahead": "sys.readahead(fd, 0, PAGE)",
    "fadvise64": "sys.fadvise64(fd, 0, 0, sys.POSIX_FADV_WILLNEED)",
    "cachestat": (
        "sys.store(addr, pack('<2Q', 0, PAGE)); sys.cachestat(fd, addr, addr + 64, 0);"
        " unpack('<Q', sys.load(addr + 64, 8))"
    ),
    "rename": "sys.rename('/tmp/file', '/tmp/other')",
    "renameat": "sys.renameat(sys.AT_FDCWD, '/tmp/file', sys.AT_FDCWD, '/tmp/other')",
    "renameat2": ("sys.renameat2(-100, '/tmp/file', -100, '/tmp/other', sys.RENAME_NOREPLACE)"),
    "mkdir": "sys.mkdir('/tmp/folder')",
    "mkdirat": "sys.mkdirat(sys.AT_FDCWD, '/tmp/folder', 0o700)",
    "rmdir": "sys.mkdir('/tmp/folder'); sys.rmdir('/tmp/folder')",
    "link": "sys.link('/tmp/file', '/tmp/second'); sys.fstat(fd).st_nlink",
    "linkat": "sys.linkat(sys.AT_FDCWD, '/tmp/file', sys.AT_FDCWD, '/tmp/second')",
    "unlink": "sys.unlink('/tmp/file')",
    "unlinkat": "sys.unlinkat(sys.AT_FDCWD, '/tmp/file')",
    "symlink": "sys.symlink('file', '/tmp/to'); sys.readlink('/tmp/to')",
    "symlinkat": "sys.symlinkat('file', sys.AT_FDCWD, '/tmp/to')",
    "readlink": "sys.readlink('/proc/self')",
    "readlinkat": "sys.readlinkat(sys.AT_FDCWD, '/proc/self')",
    "mknod": "sys.mknod('/tmp/fifo', sys.S_IFIFO | 0o600)",
    "mknodat": "sys.mknodat(sys.AT_FDCWD, '/tmp/fifo', sys.S_IFIFO | 0o600)",
    "getdents": "len(sys.getdents(sys.open('/tmp'), 1024))",
    "getdents64": "len(sys.getdents64(sys.open('/tmp'), 1024))",
    "listdir": "sys.listdir('/tmp')",
    "getcwd": "sys.getcwd()",
    "chdir": "sys.chdir('/tmp'); sys.getcwd()",
    "fchdir": "sys.fchdir(sys.open('/tmp')); sys.getcwd()",
    "chroot": "sys.chroot('/tmp'); sys.listdir('/')",
    "utime": "sys.store(addr, pack('<2q', 1, 2)); sys.utime('/tmp/file', addr)",
    "utimes": "sys.store(addr, pack('<4q', 1, 0, 2, 0)); sys.utimes('/tmp/file', addr)",
    "futimesat": (
        "sys.store(addr, b'/tmp/file'); sys.store(addr + 64, pack('<4q', 1, 0, 2, 0));"
        " sys.futimesat(-100, addr, addr + 64)"
    ),
    "utimensat": "sys.utimensat(sys.AT_FDCWD, '/tmp/file', ((1, 0), (2, 0)))",
    "statfs": "unpack('<2q', sys.statfs('/tmp')[:16])",
    "fstatfs": "len(sys.fstatfs(fd))",
    "mount": "sys.mkdir('/tmp/m'); sys.mount('none', '/tmp/m', 'tmpfs')",
    "pivot_root": (
        "sys.mkdir('/tmp/m'); sys.mount('none', '/tmp/m', 'tmpfs'); sys.mkdir('/tmp/m/old');"
        " sys.pivot_root('/tmp/m', '/tmp/m/old'); sys.listdir('/')"
    ),
    "fsopen": "sys.fsopen('tmpfs')",
    "fsconfig": "fd = sys.fsopen('tmpfs'); sys.fsconfig(fd, 1, 'size', '1M'); sys.fsconfig(fd, 6)",
    "fsmount": "fd = sys.fsopen('tmpfs'); sys.fsconfig(fd, 6); sys.fsmount(fd)",
    "fspick": "sys.fspick(-100, '/proc')",
    "open_tree": "sys.open_tree(-100, '/proc', 1)",
    "open_tree_attr": "sys.open_tree_attr(-100, '/proc', 1)",
    "statmount": "sys.store(addr, pack('<IIQQQ', 32, 0, 2**31 + 20, 0x20, 0)); sys.statmount(addr, addr + PAGE, PAGE)",
    "listmount": "sys.store(addr, pack('<IIQQQ', 32, 0, 2**64 - 1, 0, 0)); sys.listmount(addr, addr + PAGE, 3)",
    "move_mount": "sys.mkdir('/tmp/m'); sys.move_mount(sys.open_tree(-100, '/dev', 1), '', -100, '/tmp/m', 4)",
    "mount_setattr": "sys.mount_setattr(-100, '/proc', 0, 1)",
    "umount2": "sys.mkdir('/tmp/m'); sys.mount('none', '/tmp/m', 'tmpfs'); sys.umount2('/tmp/m')",
    "file_getattr": (
        "sys.store(addr + 64, b'/tmp/file\\0'); sys.file_getattr(-100, addr + 64, addr, 24);"
        " unpack('<Q4I', sys.load(addr, 24))"
    ),
    "file_setattr": (
        "sys.store(addr, pack('<Q4I', 0x80, 0, 0, 0, 0) + b'/tmp/file\\0');"
        " sys.file_setattr(-100, addr + 24, addr, 24)"
    ),
    "setxattrat": (
        "sys.store(addr, b'red'); sys.store(addr + 8, pack('<Q2I', addr, 3, 0));"
        " sys.setxattrat(fd, 0, 0x1000, 'user.colour', addr + 8, 16)"
    ),
    "getxattrat": (
        "sys.setxattr('/tmp/file', 'user.a', b'red'); sys.store(addr, pack('<Q2I', 0, 0, 0));"
        " sys.getxattrat(fd, 0, 0x1000, 'user.a', addr, 16)"
    ),
    "listxattrat": "sys.setxattr('/tmp/file', 'user.a', b'red'); sys.listxattrat(fd, 0, 0x1000)",
    "removexattrat": (
        "sys.setxattr('/tmp/file', 'user.a', b''); sys.removexattrat(fd, 0, 0x1000, 'user.a')"
    ),
    "setxattr": "sys.setxattr('/tmp/file', 'user.colour', b'red')",
    "lsetxattr": "sys.store(addr, b'red'); sys.lsetxattr('/tmp/file', 'user.colour', addr, 3, 0)",
    "fsetxattr": "sys.store(addr, b'red'); sys.fsetxattr(fd, 'user.colour', addr, 3, 0)",
    "getxattr": "sys.setxattr('/tmp/file', 'user.a', b'red'); sys.getxattr('/tmp/file', 'user.a')",
    "lgetxattr": "sys.setxattr('/tmp/file', 'user.a', b'red'); sys.lgetxattr('/tmp/file', 'user.a', 0, 0)",
    "fgetxattr": "sys.setxattr('/tmp/file', 'user.a', b'red'); sys.fgetxattr(fd, 'user.a', addr, 64)",
    "listxattr": "sys.setxattr('/tmp/file', 'user.a', b'red'); sys.listxattr('/tmp/file')",
    "llistxattr": "sys.llistxattr('/tmp/file', addr, 64)",
    "flistxattr": "sys.flistxattr(fd)",
    "removexattr": "sys.setxattr('/tmp/file', 'user.a', b''); sys.removexattr('/tmp/file', 'user.a')",
    "lremovexattr": "sys.setxattr('/tmp/file', 'user.a', b''); sys.lremovexattr('/tmp/file', 'user.a')",
    "fremovexattr": "sys.fremovexattr(fd, 'user.a')",
    "ioctl": "sys.ioctl(fd, sys.TCGETS, addr)",
    "fcntl": "sys.fcntl(fd, sys.F_SETFD, sys.FD_CLOEXEC); sys.fcntl(fd, sys.F_GETFD)",
    "flock": "sys.flock(fd, sys.LOCK_EX | sys.LOCK_NB)",
    "dup": "sys.dup(fd)",
    "dup2": "sys.dup2(fd, 7)",
    "dup3": "sys.dup3(fd, 7, sys.O_CLOEXEC)",
    "pipe": "sys.pipe()",
    "pipe2": "sys.pipe2(sys.O_NONBLOCK)",
    "sendfile": "r, w = sys.pipe(); sys.sendfile(w, fd, 0, 5); sys.read(r, 99)",
    "splice": "r, w = sys.pipe(); sys.splice(fd, 0, w, 0, 5, 0); sys.read(r, 99)",
    "tee": (
        "r, w = sys.pipe(); s, x = sys.pipe(); sys.write(w, b'abc'); sys.tee(r, x, 99, 0);"
        " sys.read(s, 99)"
    ),
    "vmsplice": (
        "r, w = sys.pipe(); sys.store(addr, pack('<2Q', addr + 64, 5)); sys.vmsplice(w, addr, 1, 0)"
    ),
    "copy_file_range": "out = sys.creat('/tmp/copy'); sys.copy_file_range(fd, 0, out, 0, 99, 0)",
    "memfd_create": "sys.memfd_create('name', sys.MFD_ALLOW_SEALING)",
    "getrandom": "sys.getrandom(4)",
    # ---- waiting for descriptors ----
    "poll": "sys.poll([(fd, sys.POLLIN)], 0)",
    "ppoll": "sys.store(addr, pack('<iHH', fd, 1, 0)); sys.ppoll(addr, 1, 0, 0, 8)",
    "select": "sys.store(addr, pack('<Q', 1 << fd)); sys.select(fd + 1, addr, 0, 0, 0)",
    "pselect6": "sys.store(addr, pack('<Q', 1 << fd)); sys.pselect6(fd + 1, addr, 0, 0, 0, 0)",
    "epoll_create": "sys.epoll_create(1)",
    "epoll_create1": "sys.epoll_create1(sys.EPOLL_CLOEXEC)",
    "epoll_ctl": (
        "ep, ev = sys.epoll_create1(), sys.eventfd2(1);"
        " sys.store(addr, pack('<IQ', sys.EPOLLIN, 7)); sys.epoll_ctl(ep, sys.EPOLL_CTL_ADD, ev, addr)"
    ),
    "epoll_wait": (
        "ep, ev = sys.epoll_create1(), sys.eventfd2(1);"
        " sys.store(addr, pack('<IQ', sys.EPOLLIN, 7)); sys.epoll_ctl(ep, sys.EPOLL_CTL_ADD, ev, addr);"
        " sys.epoll_wait(ep, addr, 1, 0)"
    ),
    "epoll_pwait": "sys.epoll_pwait(sys.epoll_create1(), addr, 1, 0, 0, 8)",
    "epoll_pwait2": (
        "sys.store(addr, bytes(16)); sys.epoll_pwait2(sys.epoll_create1(), addr + 64, 1, addr, 0, 8)"
    ),
    "eventfd": "e = sys.eventfd(3); sys.read(e, 8)",
    "eventfd2": "e = sys.eventfd2(3, sys.EFD_SEMAPHORE); sys.read(e, 8)",
    "timerfd_create": "sys.timerfd_create(sys.CLOCK_MONOTONIC, sys.TFD_NONBLOCK)",
    "timerfd_settime": (
        "t = sys.timerfd_create(sys.CLOCK_MONOTONIC); sys.store(addr, pack('<4q', 0, 0, 5, 0));"
        " sys.timerfd_settime(t, 0, addr, 0); sys.nanosleep(6 * 10**9); sys.read(t, 8)"
    ),
    "timerfd_gettime": "sys.timerfd_gettime(sys.timerfd_create(sys.CLOCK_MONOTONIC)) == bytes(32)",
    # ---- sockets ----
    "socket": "sys.socket(sys.AF_UNIX, sys.SOCK_STREAM)",
    "socketpair": "sys.socketpair(sys.AF_UNIX, sys.SOCK_STREAM)",
    "send": "a, b = sys.socketpair(sys.AF_UNIX, sys.SOCK_STREAM); sys.send(a, b'hi')",
    "recv": "a, b = sys.socketpair(sys.AF_UNIX, sys.SOCK_STREAM); sys.send(a, b'hi'); sys.recv(b, 9)",
    "sendto": "a, b = sys.socketpair(1, 1); sys.store(addr, b'hi'); sys.sendto(a, addr, 2, 0)",
    "recvfrom": (
        "a, b = sys.socketpair(1, 1); sys.send(a, b'hi'); sys.recvfrom(b, addr, 9, 0);"
        " sys.load(addr, 2)"
    ),
    "sendmsg": (
        "a, b = sys.socketpair(1, 1); sys.store(addr, pack('<7Q', 0, 0, addr + 64, 1, 0, 0, 0));"
        " sys.store(addr + 64, pack('<2Q', addr + 128, 5)); sys.sendmsg(a, addr, 0)"
    ),
    "recvmsg": (
        "a, b = sys.socketpair(1, 1); sys.send(a, b'hi');"
        " sys.store(addr, pack('<7Q', 0, 0, addr + 64, 1, 0, 0, 0));"
        " sys.store(addr + 64, pack('<2Q', addr + 128, 5)); sys.recvmsg(b, addr, 0)"
    ),
    "sendmmsg": (
        "a, b = sys.socketpair(1, 2); sys.store(addr, pack('<8Q', 0, 0, addr + 64, 1, 0, 0, 0, 0));"
        " sys.store(addr + 64, pack('<2Q', addr + 128, 5)); sys.sendmmsg(a, addr, 1, 0)"
    ),
    "recvmmsg": (
        "a, b = sys.socketpair(1, 2); sys.send(a, b'hi');"
        " sys.store(addr, pack('<8Q', 0, 0, addr + 64, 1, 0, 0, 0, 0));"
        " sys.store(addr + 64, pack('<2Q', addr + 128, 5)); sys.recvmmsg(b, addr, 1, 0)"
    ),
    "shutdown": "a, b = sys.socketpair(1, 1); sys.shutdown(a, 1); sys.recv(b, 9)",
    "connect": (
        "sys.store(addr, pack('<H', 1) + b'/tmp/s'); a = sys.socket(1, 1); sys.bind(a, addr, 8);"
        " sys.listen(a, 5); sys.connect(sys.socket(1, 1), addr, 8)"
    ),
    "bind": "sys.store(addr, pack('<H', 1) + b'/tmp/s'); sys.bind(sys.socket(1, 1), addr, 8); sys.stat('/tmp/s').st_mode",
    "listen": "a = sys.socket(sys.AF_INET, sys.SOCK_STREAM); sys.listen(a, 5)",
    "accept": (
        "sys.store(addr, pack('<H', 2) + bytes(14)); a = sys.socket(2, 1); sys.bind(a, addr, 16);"
        " sys.listen(a, 5); sys.store(addr + 64, pack('<i', 16)); sys.getsockname(a, addr, addr + 64);"
        " b = sys.socket(2, 1); sys.connect(b, addr, 16); sys.accept(a, 0, 0)"
    ),
    "accept4": (
        "sys.store(addr, pack('<H', 1) + b'\\0x'); a = sys.socket(1, 1); sys.bind(a, addr, 4); sys.listen(a, 5);"
        " sys.connect(sys.socket(1, 1), addr, 4); sys.accept4(a, 0, 0, sys.SOCK_CLOEXEC)"
    ),
    "getsockname": "sys.store(addr, pack('<I', 64)); sys.getsockname(sys.socket(1, 1), addr + 64, addr)",
    "getpeername": "sys.store(addr, pack('<I', 64)); sys.getpeername(sys.socket(1, 1), addr + 64, addr)",
    "setsockopt": (
        "sys.store(addr, pack('<i', 1));"
        " sys.setsockopt(sys.socket(1, 1), sys.SOL_SOCKET, sys.SO_KEEPALIVE, addr, 4)"
    ),
    "getsockopt": (
        "sys.store(addr, pack('<I', 4)); sys.getsockopt(sys.socket(1, 1), 1, sys.SO_TYPE, addr + 8, addr);"
        " unpack('<i', sys.load(addr + 8, 4))"
    ),
    # ---- tasks ----
    "fork": "child2 = sys.fork(); child2.getppid() == sys.pid",
    "setns": "sys.unshare(sys.CLONE_NEWUTS); sys.setns(sys.open('/proc/1/ns/uts'), sys.CLONE_NEWUTS)",
    "vfork": "sys.vfork()",
    "clone": "sys.clone(sys.SIGCHLD)",
    "clone3": "sys.store(addr, pack('<8Q', 0, 0, 0, 0, 17, 0, 0, 0)); sys.clone3(addr, 64)",
    "unshare": "sys.unshare(sys.CLONE_FS | sys.CLONE_FILES)",
    "execve": "sys.execve('/tmp/file', ['file'])",
    "execveat": "sys.execveat(fd, '', ['file'], [], sys.AT_EMPTY_PATH)",
    "exit": "child.exit(3); sys.wait4(child.pid)",
    "exit_group": "child.exit_group(3); sys.wait4(child.pid)",
    "wait4": "child.exit(1); sys.wait4(-1, sys.WNOHANG)",
    "waitid": "child.exit(1); sys.waitid(sys.P_PID, child.pid, addr, sys.WEXITED, 0)",
    "getpid": "sys.getpid()",
    "gettid": "sys.gettid()",
    "getppid": "child.getppid()",
    "getpgrp": "sys.getpgrp()",
    "getpgid": "sys.getpgid(child.pid)",
    "setpgid": "sys.setpgid(child.pid, child.pid)",
    "getsid": "sys.getsid(0)",
    "setsid": "child.setsid()",
    "set_tid_address": "sys.set_tid_address(addr)",
    "kcmp": "sys.kcmp(sys.pid, child.pid, sys.KCMP_VM)",
    "sched_yield": "sys.sched_yield()",
    "sched_getscheduler": "sys.sched_getscheduler(0)",
    "sched_setscheduler": (
        "sys.store(addr, pack('<i', 5)); sys.sched_setscheduler(0, sys.SCHED_FIFO, addr)"
    ),
    "sched_getparam": "sys.sched_getparam(0, addr); unpack('<i', sys.load(addr, 4))",
    "sched_setparam": "sys.store(addr, pack('<i', 0)); sys.sched_setparam(0, addr)",
    "sched_getattr": "sys.sched_getattr(0, addr, 56, 0); unpack('<2I', sys.load(addr, 8))",
    "sched_setattr": "sys.store(addr, pack('<2IQi', 48, 0, 0, 5)); sys.sched_setattr(0, addr, 0)",
    "sched_get_priority_max": "sys.sched_get_priority_max(sys.SCHED_FIFO)",
    "sched_get_priority_min": "sys.sched_get_priority_min(sys.SCHED_FIFO)",
    "sched_rr_get_interval": "unpack('<2q', sys.sched_rr_get_interval(0))",
    "sched_getaffinity": "sys.sched_getaffinity(0, 8, addr); sys.load(addr, 8)",
    "sched_setaffinity": "sys.store(addr, pack('<Q', 1)); sys.sched_setaffinity(0, 8, addr)",
    "getcpu": "sys.getcpu(addr, 0); unpack('<I', sys.load(addr, 4))",
    "getpriority": "sys.getpriority(sys.PRIO_PROCESS, 0)",
    "setpriority": "sys.setpriority(sys.PRIO_PROCESS, 0, 5); sys.getpriority(sys.PRIO_PROCESS)",
    "ioprio_get": "sys.ioprio_get(1, 0)",
    "ioprio_set": "sys.ioprio_set(1, 0, 2 << 13 | 4)",
    "prctl": "sys.store(addr, b'worker\\0'); sys.prctl(sys.PR_SET_NAME, addr)",
    "arch_prctl": "sys.arch_prctl(sys.ARCH_GET_FS, addr)",
    "personality": "sys.personality()",
    "membarrier": "sys.membarrier(0)",
    "rseq": "sys.rseq(addr, 32, 0, 0x53053053)",
    "set_robust_list": "sys.set_robust_list(addr, 24)",
    "get_robust_list": "sys.get_robust_list(0, addr, addr + 8); unpack('<Q', sys.load(addr + 8, 8))",
    "futex_wait": "sys.store(addr, bytes(4)); sys.futex_wait(addr, 1, 1, 2, 0, sys.CLOCK_MONOTONIC)",
    "futex_wake": "sys.futex_wake(addr, 1, 1, 2)",
    "futex_requeue": (
        "sys.store(addr, pack('<2Q2I', 0, addr + PAGE, 2, 0) * 2); sys.futex_requeue(addr, 0, 1, 1)"
    ),
    "futex_waitv": (
        "sys.store(addr, pack('<2Q2I', 7, addr + PAGE, 2, 0));"
        " sys.futex_waitv(addr, 1, 0, 0, sys.CLOCK_MONOTONIC)"
    ),
    "futex": "sys.futex(addr, sys.FUTEX_WAKE, 1, 0, 0, 0)",
    "ptrace": "child.store(addr, b'ptrace!!'); child.ptrace(sys.PTRACE_TRACEME, 0)",
    # ---- who one is ----
    "getuid": "sys.getuid()",
    "geteuid": "sys.geteuid()",
    "getgid": "sys.getgid()",
    "getegid": "sys.getegid()",
    "getresuid": "sys.getresuid()",
    "getresgid": "sys.getresgid()",
    "getgroups": "sys.getgroups()",
    "setuid": "child.setuid(1000); child.getresuid()",
    "setgid": "sys.setgid(1000)",
    "setreuid": "child.setreuid(-1, 1000); child.getresuid()",
    "setregid": "sys.setregid(-1, 1000)",
    "setresuid": "child.setresuid(1000, 1000, 0); child.getresuid()",
    "setresgid": "sys.setresgid(5, 5, 5)",
    "setgroups": "sys.setgroups([5, 6]); sys.getgroups()",
    "setfsuid": "sys.setfsuid(1000)",
    "setfsgid": "sys.setfsgid(1000)",
    "capget": (
        "sys.store(addr, pack('<Ii', 0x20080522, 0)); sys.capget(addr, addr + 8);"
        " hex(unpack('<I', sys.load(addr + 8, 4))[0])"
    ),
    "capset": "sys.store(addr, pack('<Ii', 0x20080522, 0)); sys.capset(addr, addr + 8)",
    # ---- signals ----
    "rt_sigaction": (
        "sys.rt_sigaction(sys.SIGUSR1, lambda n, info: print('got', n, 'of', info.si_pid))"
    ),
    "rt_sigprocmask": "sys.rt_sigprocmask(sys.SIG_BLOCK, 1 << (sys.SIGUSR1 - 1))",
    "rt_sigpending": (
        "sys.rt_sigprocmask(sys.SIG_BLOCK, 1 << 9); sys.kill(sys.pid, sys.SIGUSR1);"
        " sys.rt_sigpending(addr, 8); unpack('<Q', sys.load(addr, 8))"
    ),
    "rt_sigtimedwait": (
        "sys.rt_sigprocmask(sys.SIG_BLOCK, 1 << 9); sys.kill(sys.pid, sys.SIGUSR1);"
        " sys.store(addr, pack('<Q', 1 << 9)); sys.rt_sigtimedwait(addr, 0, 0, 8)"
    ),
    "rt_sigsuspend": "sys.store(addr, bytes(8)); sys.rt_sigsuspend(addr, 8)",
    "rt_sigreturn": "child.rt_sigreturn()",
    "rt_sigqueueinfo": (
        "sys.store(addr, pack('<3i', 0, 0, -1)); sys.rt_sigqueueinfo(child.pid, sys.SIGUSR1, addr);"
        " sys.wait4(child.pid)"
    ),
    "rt_tgsigqueueinfo": (
        "sys.store(addr, pack('<3i', 0, 0, -1));"
        " sys.rt_tgsigqueueinfo(child.pid, child.pid, sys.SIGUSR1, addr)"
    ),
    "uretprobe": "child.uretprobe()",
    "uprobe": "sys.uprobe()",
    "sigaltstack": "sys.store(addr, pack('<QiiQ', addr, 0, 0, 4 * PAGE)); sys.sigaltstack(addr, 0)",
    "kill": "sys.kill(child.pid, sys.SIGTERM); sys.wait4(child.pid)",
    "tkill": "sys.tkill(child.pid, sys.SIGKILL)",
    "tgkill": "sys.tgkill(child.pid, child.pid, 0)",
    "pause": "sys.pause()",
    "restart_syscall": "sys.restart_syscall()",
    "pidfd_open": "sys.pidfd_open(child.pid)",
    "pidfd_getfd": "sys.pidfd_getfd(sys.pidfd_open(child.pid), fd)",
    "pidfd_send_signal": "sys.pidfd_send_signal(sys.pidfd_open(child.pid), sys.SIGKILL); sys.wait4()",
    "process_mrelease": "child.exit(); sys.process_mrelease(sys.pidfd_open(child.pid))",
    "alarm": "sys.alarm(10); sys.alarm(0)",
    "seccomp": "sys.seccomp(2, 0, addr)",
    "io_uring_setup": "sys.io_uring_setup(8, addr)",
    "io_uring_enter": "sys.io_uring_enter(99, 1, 0, 0, 0, 0)",
    "io_uring_register": "sys.io_uring_register(99, 8, addr, 0)",
    "modify_ldt": "sys.modify_ldt(0, addr, 64)",
    "timer_create": "sys.timer_create(sys.CLOCK_MONOTONIC, 0, addr); unpack('<i', sys.load(addr, 4))",
    "timer_settime": (
        "sys.store(addr + 64, pack('<Qiii', 0, 0, 1, 0)); sys.timer_create(1, addr + 64, addr);"
        " sys.store(addr, pack('<4q', 0, 0, 5, 0)); sys.timer_settime(0, 0, addr, 0)"
    ),
    "timer_gettime": (
        "sys.store(addr + 64, pack('<Qiii', 0, 0, 1, 0)); sys.timer_create(1, addr + 64, addr);"
        " sys.store(addr, pack('<4q', 0, 0, 5, 0)); sys.timer_settime(0, 0, addr, 0);"
        " sys.timer_gettime(0, addr); unpack('<4q', sys.load(addr, 32))"
    ),
    "timer_getoverrun": "sys.timer_create(1, 0, addr); sys.timer_getoverrun(0)",
    "timer_delete": "sys.timer_create(1, 0, addr); sys.timer_delete(0)",
    "getitimer": "unpack('<4q', sys.getitimer(sys.ITIMER_REAL))",
    "setitimer": "sys.store(addr, pack('<4q', 0, 0, 5, 0)); sys.setitimer(sys.ITIMER_REAL, addr, 0)",
    # ---- time, limits, the machine ----
    "nanosleep": "sys.nanosleep(5 * 10**9); sys.clock_gettime(sys.CLOCK_MONOTONIC) // 10**9",
    "clock_gettime": "sys.clock_gettime(sys.CLOCK_MONOTONIC)",
    "clock_getres": "sys.clock_getres(sys.CLOCK_MONOTONIC)",
    "clock_settime": "sys.store(addr, pack('<2q', 1, 0)); sys.clock_settime(sys.CLOCK_REALTIME, addr)",
    "clock_nanosleep": (
        "sys.store(addr, pack('<2q', 5, 0)); sys.clock_nanosleep(sys.CLOCK_MONOTONIC, 0, addr, 0)"
    ),
    "clock_adjtime": "sys.clock_adjtime(sys.CLOCK_REALTIME, addr)",
    "adjtimex": "sys.adjtimex(addr)",
    "gettimeofday": "unpack('<2q', sys.gettimeofday())",
    "settimeofday": "sys.store(addr, pack('<2q', 1, 0)); sys.settimeofday(addr, 0)",
    "time": "sys.time()",
    "times": "sys.nanosleep(10**9); sys.times(addr)",
    "getrusage": "sys.touch(addr, 4 * PAGE); sys.getrusage(sys.RUSAGE_SELF).ru_minflt",
    "getrlimit": "sys.getrlimit(sys.RLIMIT_NOFILE)",
    "setrlimit": "sys.setrlimit(sys.RLIMIT_NOFILE, (64, 64)); sys.getrlimit(sys.RLIMIT_NOFILE)",
    "prlimit64": "sys.prlimit64(child.pid, sys.RLIMIT_AS, (1 << 30, 1 << 31))",
    "uname": "sys.uname().sysname",
    "sysinfo": "sys.sysinfo().totalram",
    "sethostname": "sys.sethostname(b'box'); sys.uname().nodename",
    "setdomainname": "sys.setdomainname(b'example.org')",
    "syslog": "sys.syslog(sys.SYSLOG_ACTION_SIZE_BUFFER)",
}
