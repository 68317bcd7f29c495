"""The guest's system calls: one decorator fills the table.

A handler takes the guest kernel, the calling process and the registers it wants; it returns the
result or raises GuestError. Block puts the process aside: its call is made again later, so a
handler that may block changes nothing before it is sure.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from userland.uml.files import Block, OpenFile, Pipe
from userland.uml.host import PLACE
from userland.uml.memory import PAGE, PAGE_MASK, GuestError, Pages
from userland.uml.process import Process, State
from userland.uml.space import Area, Sharing, Space, page_up

if TYPE_CHECKING:
    from userland.uml.kernel import GuestKernel

Handler = Callable[..., int]
TABLE: dict[int, tuple[str, int, Handler]] = {}  # number -> name, arguments, handler

NS = 1_000_000_000
MAP_SHARED, MAP_TYPE, MAP_FIXED, MAP_ANONYMOUS = 1, 15, 16, 32
MREMAP_MAYMOVE, MREMAP_FIXED = 1, 2
MADV_DONTNEED = 4
HINTS = frozenset({0, 1, 2, 3, MADV_DONTNEED, 14, 15})  # and huge pages, which there are not
ARCH_SET_FS, ARCH_GET_FS = 0x1002, 0x1003
CLONE_VM, CLONE_VFORK = 0x100, 0x4000
WNOHANG = 1
FUTEX_WAIT, FUTEX_WAKE, FUTEX_COMMAND = 0, 1, 127
AT_FDCWD = 0xFFFFFF9C
SIGKILL = 9
STAT = struct.Struct("<QQQIIIxxxxQqqq6q24x")


def call(nr: int, name: str, arguments: int = 0) -> Callable[[Handler], Handler]:
    """Enter a handler under Linux's number; it gets the first `arguments` registers."""

    def enter(handler: Handler) -> Handler:
        TABLE[nr] = name, arguments, handler
        return handler

    return enter


def int32(value: int) -> int:
    """Return a register's low half as a C int."""
    value &= 0xFFFF_FFFF
    return value - (1 << 32) if value >> 31 else value


# ---- memory ----


@call(9, "mmap", 6)
def mmap(
    kernel: GuestKernel,
    me: Process,
    addr: int,
    nbytes: int,
    prot: int,
    flags: int,
    fd: int,
    pos: int,
) -> int:
    """Map anonymous memory, or a file's pages, privately or shared."""
    nbytes = page_up(nbytes)
    if not nbytes or pos & PAGE_MASK or (flags & MAP_FIXED and addr & PAGE_MASK):
        raise GuestError(errno.EINVAL)
    sharing = Sharing.SHARED if flags & MAP_TYPE == MAP_SHARED else Sharing.PRIVATE
    source = None
    if not flags & MAP_ANONYMOUS:
        source = me.fds[int32(fd)].inode.pages
        if source is None:
            raise GuestError(errno.ENODEV)
    elif sharing is Sharing.SHARED:
        source = Pages(kernel.physical, nbytes)
    start = _place(me, addr, nbytes, flags)
    me.space.add(Area(start, start + nbytes, prot & 7, sharing, source, pos // PAGE))
    return start


def _place(me: Process, addr: int, nbytes: int, flags: int) -> int:
    if flags & MAP_FIXED:
        return addr
    hint = addr & ~PAGE_MASK
    if hint and not me.space.within(hint, hint + nbytes):
        return hint
    return me.space.gap(nbytes)


@call(11, "munmap", 2)
def munmap(kernel: GuestKernel, me: Process, addr: int, nbytes: int) -> int:
    """Unmap a range."""
    if addr & PAGE_MASK or not nbytes:
        raise GuestError(errno.EINVAL)
    me.space.unmap(addr, addr + page_up(nbytes))
    return 0


@call(10, "mprotect", 3)
def mprotect(kernel: GuestKernel, me: Process, addr: int, nbytes: int, prot: int) -> int:
    """Set a range's protection."""
    if addr & PAGE_MASK:
        raise GuestError(errno.EINVAL)
    if nbytes:
        me.space.protect(addr, addr + page_up(nbytes), prot & 7)
    return 0


@call(25, "mremap", 5)
def mremap(
    kernel: GuestKernel, me: Process, addr: int, old: int, new: int, flags: int, to: int
) -> int:
    """Grow, shrink or move a mapping; an old length of 0 shows shared pages twice."""
    space, old, new = me.space, page_up(old), page_up(new)
    _check_mremap(addr, old, new, flags, to)
    area = space.find(addr)
    if area is None or area.end < addr + old:
        raise GuestError(errno.EFAULT)
    if not old and area.sharing is Sharing.PRIVATE:
        raise GuestError(errno.EINVAL)
    if not flags & MREMAP_FIXED and 0 < new <= old:
        space.unmap(addr + new, addr + old)
        return addr
    where = _mremap_place(space, area, addr, old, new, flags, to)
    if where != addr:
        kept = min(old, new)
        space.unmap(addr + kept, addr + old)
        space.move(addr, kept, where)
    if new > old:
        grown = area.part(addr + old, addr + new)
        space.add(replace(grown, start=where + old, end=where + new))
    return where


def _check_mremap(addr: int, old: int, new: int, flags: int, to: int) -> None:
    wrong = addr & PAGE_MASK or not new or flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED)
    if flags & MREMAP_FIXED:
        overlap = addr < to + new and to < addr + old
        wrong = wrong or not flags & MREMAP_MAYMOVE or to & PAGE_MASK or overlap
    if wrong:
        raise GuestError(errno.EINVAL)


def _mremap_place(
    space: Space, area: Area, addr: int, old: int, new: int, flags: int, to: int
) -> int:
    if flags & MREMAP_FIXED:
        space.unmap(to, to + new)
        return to
    if old and area.end == addr + old and not space.within(addr + old, addr + new):
        return addr
    if not flags & MREMAP_MAYMOVE:
        raise GuestError(errno.ENOMEM)
    return space.gap(new)


@call(12, "brk", 1)
def brk(kernel: GuestKernel, me: Process, addr: int) -> int:
    """Move the heap's end; return where it is."""
    space = me.space
    if addr < space.brk_start:
        return space.brk
    old, new = page_up(space.brk), page_up(addr)
    if new < old:
        space.unmap(new, old)
    elif new > old:
        if space.within(old, new) or new - space.brk_start > kernel.physical.nr_frames * PAGE:
            return space.brk
        space.add(Area(old, new, 3))
    space.brk = addr
    return addr


def _check_covered(me: Process, addr: int, nbytes: int) -> None:
    """Refuse a range that is misaligned (EINVAL) or has a hole (ENOMEM)."""
    if addr & PAGE_MASK:
        raise GuestError(errno.EINVAL)
    parts = me.space.within(addr, addr + nbytes)
    if sum(part.end - part.start for part in parts) != nbytes:
        raise GuestError(errno.ENOMEM)


@call(28, "madvise", 3)
def madvise(kernel: GuestKernel, me: Process, addr: int, nbytes: int, advice: int) -> int:
    """Drop pages for MADV_DONTNEED; take Linux's first hints without following them."""
    nbytes = page_up(nbytes)
    if int32(advice) not in HINTS:
        raise GuestError(errno.EINVAL)
    if int32(advice) == MADV_DONTNEED:
        me.space.forget(addr, addr + nbytes)
    _check_covered(me, addr, nbytes)
    return 0


@call(26, "msync", 2)
def msync(kernel: GuestKernel, me: Process, addr: int, nbytes: int) -> int:
    """Check the range: all files are in memory."""
    _check_covered(me, addr, page_up(nbytes))
    return 0


@call(27, "mincore", 3)
def mincore(kernel: GuestKernel, me: Process, addr: int, nbytes: int, vector: int) -> int:
    """Store 1 for each page that is mapped or in its source, 0 for each other one."""
    nbytes = page_up(nbytes)
    _check_covered(me, addr, nbytes)
    me.space.write(vector, bytes(me.space.resident(addr, addr + nbytes)))
    return 0


# ---- files ----


def _path(me: Process, addr: int) -> str:
    path = me.space.string(addr).decode("utf-8", "surrogateescape")
    if not path.startswith("/"):
        path = f"{me.cwd.rstrip('/')}/{path}"
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return "/" + "/".join(parts)


@call(0, "read", 3)
def read(kernel: GuestKernel, me: Process, fd: int, addr: int, nbytes: int) -> int:
    """Read on from a file's position."""
    data = me.fds[int32(fd)].read(nbytes)
    me.space.write(addr, data)
    return len(data)


@call(1, "write", 3)
def write(kernel: GuestKernel, me: Process, fd: int, addr: int, nbytes: int) -> int:
    """Write on from a file's position."""
    return me.fds[int32(fd)].write(me.space.read(addr, nbytes))


@call(17, "pread64", 4)
def pread64(kernel: GuestKernel, me: Process, fd: int, addr: int, nbytes: int, pos: int) -> int:
    """Read at a position."""
    data = me.fds[int32(fd)].inode.read(pos, nbytes)
    me.space.write(addr, data)
    return len(data)


@call(18, "pwrite64", 4)
def pwrite64(kernel: GuestKernel, me: Process, fd: int, addr: int, nbytes: int, pos: int) -> int:
    """Write at a position."""
    return me.fds[int32(fd)].inode.write(pos, me.space.read(addr, nbytes))


@call(20, "writev", 3)
def writev(kernel: GuestKernel, me: Process, fd: int, addr: int, count: int) -> int:
    """Write several pieces of memory."""
    vectors = struct.iter_unpack("<QQ", me.space.read(addr, 16 * count))
    return me.fds[int32(fd)].write(b"".join(me.space.read(*vector) for vector in vectors))


@call(2, "open", 2)
def open_file(kernel: GuestKernel, me: Process, path: int, flags: int) -> int:
    """Open a file, making it if asked to."""
    return me.fds.add(kernel.files.open(_path(me, path), flags))


@call(257, "openat", 3)
def openat(kernel: GuestKernel, me: Process, folder: int, path: int, flags: int) -> int:
    """Open a file by a path from the working directory."""
    return open_file(kernel, me, path, flags)


@call(3, "close", 1)
def close(kernel: GuestKernel, me: Process, fd: int) -> int:
    """Close a descriptor."""
    me.fds.close(int32(fd))
    return 0


@call(8, "lseek", 3)
def lseek(kernel: GuestKernel, me: Process, fd: int, offset: int, whence: int) -> int:
    """Move a file's position."""
    file = me.fds[int32(fd)]
    if isinstance(file.inode, Pipe):
        raise GuestError(errno.ESPIPE)
    offset = offset - (1 << 64) if offset >> 63 else offset
    bases = {0: 0, 1: file.pos, 2: file.inode.size}
    if whence not in bases or bases[whence] + offset < 0:
        raise GuestError(errno.EINVAL)
    file.pos = bases[whence] + offset
    return file.pos


@call(77, "ftruncate", 2)
def ftruncate(kernel: GuestKernel, me: Process, fd: int, size: int) -> int:
    """Set a file's size; mappings lose what is cut off."""
    pages = me.fds[int32(fd)].inode.pages
    if pages is None:
        raise GuestError(errno.EINVAL)
    shrunk = size < pages.size
    pages.cut(size)
    for process in kernel.processes.values() if shrunk else ():
        process.space.truncated(pages)
    return 0


@call(319, "memfd_create", 2)
def memfd_create(kernel: GuestKernel, me: Process, name: int, flags: int) -> int:
    """Open a new file without a name."""
    label = me.space.string(name).decode("utf-8", "replace")
    return me.fds.add(OpenFile(kernel.files.new_regular(), 2, f"memfd:{label}"))


@call(87, "unlink", 1)
def unlink(kernel: GuestKernel, me: Process, path: int) -> int:
    """Take a name away."""
    kernel.files.unlink(_path(me, path))
    return 0


@call(22, "pipe", 1)
def pipe(kernel: GuestKernel, me: Process, addr: int) -> int:
    """Make a pipe; store its two descriptors."""
    inode = kernel.files.new_pipe()
    ends = [me.fds.add(OpenFile(inode, flags, "pipe")) for flags in (0, 1)]
    me.space.write(addr, struct.pack("<ii", *ends))
    return 0


@call(293, "pipe2", 2)
def pipe2(kernel: GuestKernel, me: Process, addr: int, flags: int) -> int:
    """Make a pipe."""
    return pipe(kernel, me, addr)


@call(32, "dup", 1)
def dup(kernel: GuestKernel, me: Process, fd: int) -> int:
    """Give an open file another descriptor."""
    return me.fds.add(me.fds[int32(fd)])


@call(33, "dup2", 2)
def dup2(kernel: GuestKernel, me: Process, fd: int, new: int) -> int:
    """Give an open file this descriptor."""
    file = me.fds[int32(fd)]
    if int32(fd) != int32(new):
        me.fds.put_at(int32(new), file)
    return new


@call(72, "fcntl", 3)
def fcntl(kernel: GuestKernel, me: Process, fd: int, command: int, value: int) -> int:
    """Duplicate, or look at and set the close-on-exec flag."""
    fd, file = int32(fd), me.fds[int32(fd)]
    if command in (0, 1030):
        new = me.fds.add(file, value)
        if command:
            me.fds.cloexec.add(new)
        return new
    if command == 2:
        (me.fds.cloexec.add if value & 1 else me.fds.cloexec.discard)(fd)
        return 0
    answers = {1: int(fd in me.fds.cloexec), 3: file.flags, 4: 0}
    if command not in answers:
        raise GuestError(errno.EINVAL)
    return answers[command]


def _stat(kernel: GuestKernel, me: Process, inode: object, addr: int) -> int:
    size, mode = getattr(inode, "size", 0), getattr(inode, "mode", 0)
    number = getattr(inode, "number", 0)
    when = kernel.now_ns() // NS
    times = (when, 0, when, 0, when, 0)
    blocks = -(-size // 512)
    me.space.write(addr, STAT.pack(1, number, 1, mode, 0, 0, 0, size, PAGE, blocks, *times))
    return 0


@call(5, "fstat", 2)
def fstat(kernel: GuestKernel, me: Process, fd: int, addr: int) -> int:
    """Store what an open file is."""
    return _stat(kernel, me, me.fds[int32(fd)].inode, addr)


@call(4, "stat", 2)
def stat(kernel: GuestKernel, me: Process, path: int, addr: int) -> int:
    """Store what a path names."""
    return _stat(kernel, me, kernel.files.lookup(_path(me, path)), addr)


@call(262, "newfstatat", 4)
def newfstatat(kernel: GuestKernel, me: Process, fd: int, path: int, addr: int, flags: int) -> int:
    """Store what a path, or with an empty path a descriptor, names."""
    if not me.space.string(path):
        return fstat(kernel, me, fd, addr)
    return stat(kernel, me, path, addr)


@call(16, "ioctl", 2)
def ioctl(kernel: GuestKernel, me: Process, fd: int, request: int) -> int:
    """Refuse: nothing here is a terminal."""
    me.fds[int32(fd)]
    raise GuestError(errno.ENOTTY)


@call(79, "getcwd", 2)
def getcwd(kernel: GuestKernel, me: Process, addr: int, nbytes: int) -> int:
    """Store the working directory."""
    text = me.cwd.encode() + b"\0"
    if len(text) > nbytes:
        raise GuestError(errno.ERANGE)
    me.space.write(addr, text)
    return len(text)


# ---- processes ----


@call(57, "fork")
def fork(kernel: GuestKernel, me: Process) -> int:
    """Return the pid of a copy of the process."""
    return kernel.fork(me).pid


@call(58, "vfork")
def vfork(kernel: GuestKernel, me: Process) -> int:
    """Fork: the parent does not wait, which no child can tell."""
    return kernel.fork(me).pid


@call(56, "clone", 4)
def clone(kernel: GuestKernel, me: Process, flags: int, stack: int, ptid: int, ctid: int) -> int:
    """Fork; what shares memory is refused, but for vfork's way of calling."""
    if flags & CLONE_VM and not flags & CLONE_VFORK:
        raise GuestError(errno.EINVAL)
    child = kernel.fork(me)
    if stack:
        child.regs[PLACE["rsp"]] = stack
    if flags & 0x0100_0000:  # CLONE_CHILD_SETTID
        child.space.write(ctid, struct.pack("<i", child.pid))
    return child.pid


@call(59, "execve", 3)
def execve(kernel: GuestKernel, me: Process, path: int, argv: int, envp: int) -> int:
    """Become another program."""
    inode = kernel.files.lookup(_path(me, path))
    kernel.execute(me, inode, _strings(me, argv), _strings(me, envp))
    return 0


def _strings(me: Process, addr: int) -> list[bytes]:
    found: list[bytes] = []
    while addr and (pointer := struct.unpack("<Q", me.space.read(addr, 8))[0]):
        found.append(me.space.string(pointer))
        addr += 8
    return found


@call(60, "exit", 1)
def exit_process(kernel: GuestKernel, me: Process, code: int) -> int:
    """End."""
    kernel.end(me, (code & 0xFF) << 8)
    return 0


@call(231, "exit_group", 1)
def exit_group(kernel: GuestKernel, me: Process, code: int) -> int:
    """End; there are no threads."""
    return exit_process(kernel, me, code)


@call(61, "wait4", 3)
def wait4(kernel: GuestKernel, me: Process, pid: int, addr: int, options: int) -> int:
    """Wait for a child that has ended."""
    pid = int32(pid)
    wanted = [child for child in me.children if pid <= 0 or child.pid == pid]
    if not wanted:
        raise GuestError(errno.ECHILD)
    dead = next((child for child in wanted if child.state is State.ZOMBIE), None)
    if dead is None:
        if options & WNOHANG:
            return 0
        raise Block
    if addr:
        me.space.write(addr, struct.pack("<i", dead.status))
    kernel.reap(me, dead)
    return dead.pid


@call(62, "kill", 2)
def kill(kernel: GuestKernel, me: Process, pid: int, signo: int) -> int:
    """End a process by a signal; handlers are not called."""
    target = kernel.processes.get(int32(pid))
    if target is None:
        raise GuestError(errno.ESRCH)
    if signo and (signo == SIGKILL or signo not in target.actions):
        kernel.end(target, signo)
    return 0


@call(234, "tgkill", 3)
def tgkill(kernel: GuestKernel, me: Process, tgid: int, tid: int, signo: int) -> int:
    """End a process by a signal."""
    return kill(kernel, me, tid, signo)


@call(24, "sched_yield")
def sched_yield(kernel: GuestKernel, me: Process) -> int:
    """Let others run."""
    kernel.yield_turn()
    return 0


@call(202, "futex", 3)
def futex(kernel: GuestKernel, me: Process, addr: int, operation: int, value: int) -> int:
    """Wait while a word holds a value, or wake those who wait: they look again."""
    operation &= FUTEX_COMMAND
    if operation == FUTEX_WAKE:
        return kernel.wake_futex(me, addr, value)
    if operation != FUTEX_WAIT:
        raise GuestError(errno.ENOSYS)
    if kernel.was_woken(me):
        return 0
    if struct.unpack("<I", me.space.read(addr, 4))[0] != value & 0xFFFF_FFFF:
        raise GuestError(errno.EAGAIN)
    kernel.wait_on_futex(me, addr)
    raise Block


def _pid(nr: int, name: str) -> None:
    call(nr, name)(lambda kernel, me: me.pid)


_pid(39, "getpid")
_pid(186, "gettid")
_pid(218, "set_tid_address")
_pid(111, "getpgrp")


@call(110, "getppid")
def getppid(kernel: GuestKernel, me: Process) -> int:
    """Return the parent's pid, 0 for the first process."""
    return me.parent.pid if me.parent else 0


def _zero(nr: int, name: str) -> None:
    call(nr, name)(lambda kernel, me: 0)


for _nr, _name in {102: "getuid", 104: "getgid", 107: "geteuid", 108: "getegid", 95: "umask",
                   131: "sigaltstack", 273: "set_robust_list", 37: "alarm"}.items():  # fmt: skip
    _zero(_nr, _name)


@call(158, "arch_prctl", 2)
def arch_prctl(kernel: GuestKernel, me: Process, code: int, addr: int) -> int:
    """Set or store the base of fs."""
    if code == ARCH_SET_FS:
        me.regs[PLACE["fs_base"]] = addr
        return 0
    if code == ARCH_GET_FS:
        me.space.write(addr, struct.pack("<Q", me.regs[PLACE["fs_base"]]))
        return 0
    raise GuestError(errno.EINVAL)


@call(13, "rt_sigaction", 3)
def rt_sigaction(kernel: GuestKernel, me: Process, signo: int, new: int, old: int) -> int:
    """Remember an action and store the old one."""
    before = me.actions.get(signo, bytes(32))
    if new:
        me.actions[signo] = me.space.read(new, 32)
        if not any(me.actions[signo][:8]):
            del me.actions[signo]
    if old:
        me.space.write(old, before)
    return 0


@call(14, "rt_sigprocmask", 3)
def rt_sigprocmask(kernel: GuestKernel, me: Process, how: int, new: int, old: int) -> int:
    """Remember the blocked set and store the old one."""
    before = me.blocked_signals
    if new:
        (mask,) = struct.unpack("<Q", me.space.read(new, 8))
        me.blocked_signals = {0: before | mask, 1: before & ~mask}.get(how, mask)
    if old:
        me.space.write(old, struct.pack("<Q", before))
    return 0


@call(302, "prlimit64", 4)
def prlimit64(kernel: GuestKernel, me: Process, pid: int, what: int, new: int, old: int) -> int:
    """Store limits: the stack's 8 MiB, none else; nothing can be set."""
    if old:
        soft = 8 << 20 if what == 3 else (1 << 64) - 1
        me.space.write(old, struct.pack("<QQ", soft, (1 << 64) - 1))
    return 0


@call(97, "getrlimit", 2)
def getrlimit(kernel: GuestKernel, me: Process, what: int, addr: int) -> int:
    """Store a limit."""
    return prlimit64(kernel, me, 0, what, 0, addr)


@call(63, "uname", 1)
def uname(kernel: GuestKernel, me: Process, addr: int) -> int:
    """Store the guest's names."""
    names = ("Linux", "uml", "6.18.0-uml", "#1", "x86_64", "(none)")
    me.space.write(addr, b"".join(name.encode().ljust(65, b"\0") for name in names))
    return 0


@call(318, "getrandom", 3)
def getrandom(kernel: GuestKernel, me: Process, addr: int, nbytes: int, flags: int) -> int:
    """Store bytes that are the same in every run."""
    me.space.write(addr, bytes(i * 167 + 13 & 255 for i in range(nbytes)))
    return nbytes


# ---- time: the guest's own ----


@call(96, "gettimeofday", 2)
def gettimeofday(kernel: GuestKernel, me: Process, addr: int, zone: int) -> int:
    """Store the guest's time."""
    seconds, nanoseconds = divmod(kernel.now_ns(), NS)
    if addr:
        me.space.write(addr, struct.pack("<qq", seconds, nanoseconds // 1000))
    if zone:
        me.space.write(zone, bytes(8))
    return 0


@call(201, "time", 1)
def time(kernel: GuestKernel, me: Process, addr: int) -> int:
    """Return the guest's seconds, and store them if asked to."""
    seconds = kernel.now_ns() // NS
    if addr:
        me.space.write(addr, struct.pack("<q", seconds))
    return seconds


@call(228, "clock_gettime", 2)
def clock_gettime(kernel: GuestKernel, me: Process, clock: int, addr: int) -> int:
    """Store a clock: CLOCK_REALTIME is the guest's, others count from its boot."""
    if clock not in (0, 1, 4, 5, 6, 7):
        raise GuestError(errno.EINVAL)
    now = kernel.now_ns() if clock in (0, 5) else kernel.uptime_ns()
    me.space.write(addr, struct.pack("<qq", *divmod(now, NS)))
    return 0


@call(309, "getcpu", 2)
def getcpu(kernel: GuestKernel, me: Process, cpu: int, node: int) -> int:
    """Store 0: the guest has one processor."""
    for addr in (cpu, node):
        if addr:
            me.space.write(addr, bytes(4))
    return 0
