"""The memory calls: gates and names here, the order of Linux's checks in the core.

A handler that is called in loops is flat: one look at the result, one core call.
"""

from __future__ import annotations

import errno

from pkern.kernel import late
from pkern.kernel.core import ffi, lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.typed import TYPE_CHECKING, Any, Iterator
from pkern.kernel.vfs.inode import APPEND, IMMUTABLE, MAY_WRITE
from pkern.syscalls.abi import INT_BITS, signed32
from pkern.syscalls.answers import FILLED, OF_WHAT
from pkern.syscalls.table import INT, SINT, syscall

if TYPE_CHECKING:
    from pkern.kernel.mm.mm import Vma
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.file import File
    from pkern.kernel.vfs.inode import Inode

PAGE_SIZE = 4096
PAGE_MASK = PAGE_SIZE - 1
PAGES_OF_WORD = (1 << 64) - PAGE_SIZE  # lengths wrap before they are used
MAP_ANONYMOUS, MAP_NONLINEAR = lib.MAP_ANONYMOUS, lib.MAP_NONLINEAR
POPULATE, NONBLOCK, LOCKED = lib.MAP_POPULATE, lib.MAP_NONBLOCK, lib.MAP_LOCKED
HUGE = lib.MAP_HUGETLB
MS_SYNC = 4
HUGE_SIZES = "MAP_HUGETLB: the pool of pages of 1 GiB is always empty"
PATIENCE = 64  # tries beyond one a page
NULL = ffi.NULL

core_mmap, core_munmap, core_remap = lib.mm_mmap, lib.mm_munmap, lib.mm_remap_file_pages


def _watched() -> Any:
    """Return how calls go where a userfaultfd watches memory."""
    return late.load("pkern.syscalls.memory.watched")


def _gate() -> Any:
    """Return who may make nonlinear mappings where vm.nonlinear is 0."""
    return late.load("pkern.kernel.tasks.gate")


def _need_huge(inode: Inode) -> None:
    """Refuse a file that is not of large pages. Errors: EINVAL."""
    if not isinstance(inode, late.load("pkern.kernel.vfs.fs.hugetlbfs").HugeInode):
        raise SyscallError(errno.EINVAL)


def _file_handle(task: Task, addr: int, fd: int, flags: int, offset: int) -> tuple[Any, int]:
    """Return the core's file for an fd, and the place (bytes) in it that mmap's offset means.

    Errors: EBADF, EINVAL (MAP_HUGETLB on a plain file), EACCES (it only grows), those of place_of.
    """
    file = task.fds.get(fd)
    if flags & HUGE:
        _need_huge(file.inode)
    if file.inode.file_flags & APPEND and flags & lib.MAP_SHARED and file.access & MAY_WRITE:
        raise SyscallError(errno.EACCES)
    return file.mapping_handle(), file.inode.place_of(offset, addr)


@syscall(
    9,
    "mmap",
    INT,
    INT,
    INT,
    INT,
    INT,
    INT,
    partly=HUGE_SIZES,
)
def mmap(
    task: Task, addr: int, length: int, prot: int, flags: int, fd: int = -1, offset: int = 0
) -> int:
    """Map length bytes and return the first address (bytes, page aligned).

    length: bytes, > 0, rounded up to pages. offset: bytes, page aligned.
    Errors: EINVAL, ENOMEM, EACCES, EEXIST (FIXED_NOREPLACE), EPERM (gate closed), EBADF, ENODEV,
    EOVERFLOW, EAGAIN, EOPNOTSUPP. Source: mmap(2); MAP_NONLINEAR: docs/nonlinear.md.
    """
    if flags & OF_WHAT == MAP_ANONYMOUS and not offset & PAGE_MASK:
        handle = NULL
    elif flags & MAP_NONLINEAR and flags & 0xF != 3:
        _gate().check(task)
        if signed32(fd) != -1:
            raise SyscallError(errno.EINVAL)
        handle = NULL
    elif offset & PAGE_MASK:
        raise SyscallError(errno.EINVAL)
    elif flags & MAP_ANONYMOUS:
        handle = NULL
        if flags & HUGE:
            late.load("pkern.kernel.mm.hugetlb").check_size(flags)
    else:
        handle, offset = _file_handle(task, addr, signed32(fd), flags, offset)
    mm = task.mm
    result: int = core_mmap(mm.handle, addr, length, prot, flags, handle, offset >> 12)
    if result < 0:
        args = (addr, length, prot, flags, handle, offset >> 12)
        if result == lib.NEED_EVENT:
            result = _watched().unmapping(task, addr, length, core_mmap, *args)
        else:
            result = mm.go_on(result, core_mmap, *args)
    if handle is not NULL:
        _note_mapped(task, signed32(fd))
    if addr and task.kernel.vfs.mapped_only:
        task.kernel.vfs.end_unmapped()
    if flags & FILLED or mm.counters.def_flags:
        _populate_mapped(task, result, length, flags)
    return result


def _note_mapped(task: Task, fd: int) -> None:
    """A file that is mapped counts as read."""
    file = task.fds.get(fd)
    if file.inode.mapping is not None:
        file.accessed()


def _populate_mapped(task: Task, addr: int, length: int, flags: int) -> None:
    asked = flags & (POPULATE | NONBLOCK) == POPULATE
    if asked or flags & LOCKED or task.mm.counters.def_flags:
        _populate_quietly(task, addr, length)


def _populate_quietly(task: Task, addr: int, length: int) -> None:
    """Fault pages in, as mmap does: a failure shows at the first touch."""
    try:
        task.mm.populate(addr, length)
    except SyscallError:
        return


@syscall(11, "munmap", INT, INT)
def munmap(task: Task, addr: int, length: int) -> int:
    """Unmap the pages of [addr, addr+length).

    Errors: EINVAL (misaligned, empty, beyond user space), ENOMEM (a split that may not be).
    Source: munmap(2).
    """
    mm = task.mm
    result: int = core_munmap(mm.handle, addr, length)
    if result:
        if result == lib.NEED_EVENT:
            result = _watched().unmapping(task, addr, length, core_munmap, addr, length)
        elif result < 0:
            result = mm.go_on(result, core_munmap, addr, length)
        if result:
            task.kernel.vfs.end_unmapped()
    return 0


@syscall(216, "remap_file_pages", INT, INT, INT, INT, INT, SINT)
def remap_file_pages(
    task: Task, addr: int, size: int, prot: int, pgoff: int, flags: int, fd: int = -1
) -> int:
    """Show the file's pages from pgoff on in [addr, addr+size) of one VMA.

    addr, size: bytes, rounded down to pages. pgoff: pages. fd: for a special VMA only.
    While vm.nonlinear is 0 it is for who holds CAP_IPC_LOCK: a mapping that is not special is split
    for it, as on Linux since 4.0. Errors: EPERM (not so) before any other; EINVAL, EBADF, EACCES,
    ENOMEM (vm.nonlinear_max_pages). Source: remap_file_pages(2) of 2.6; docs/nonlinear.md.
    """
    remap = core_remap if task.kernel.memory.nonlinear_open else _gate().remap_behind(task)
    file = task.fds.files.get(fd)  # looked at only where addr lies in a special VMA
    handle = file.handle if file is not None else NULL
    result: int
    mm, attempt = task.mm, 0
    while (result := remap(mm.handle, addr, size, prot, pgoff, flags, handle)) < 0:
        if attempt > 2 * (size // PAGE_SIZE) + PATIENCE:
            raise SyscallError(errno.ENOMEM)  # it loses pages while it waits for others
        task.kernel.memory.serve(task, result, attempt)
        attempt += 1
    return result


@syscall(25, "mremap", INT, INT, INT, INT, INT)
def mremap(
    task: Task, addr: int, old_length: int, new_length: int, flags: int, new_addr: int = 0
) -> int:
    """Grow, shrink or move a mapping and return its address (bytes).

    Errors: EINVAL, EFAULT (not one mapping), ENOMEM, EAGAIN (locked), EPERM. Source: mremap(2).
    """
    mm = task.mm
    if task.kernel.memory.watched:
        result: int = _watched().mremap(task, addr, old_length, new_length, flags, new_addr)
    else:
        result = mm.call(lib.mm_mremap, addr, old_length, new_length, flags, new_addr)
    if task.kernel.vfs.mapped_only:
        task.kernel.vfs.end_unmapped()
    vma = mm.vma_at(result)
    locked = lib.VM_LOCKED | lib.VM_LOCKONFAULT
    old, new = (length + PAGE_MASK & PAGES_OF_WORD for length in (old_length, new_length))
    if vma is not None and vma.flags & locked == lib.VM_LOCKED and new > old:
        _populate_quietly(task, result + old, new - old)
    return result


@syscall(28, "madvise", INT, INT, SINT)
def madvise(task: Task, addr: int, length: int, advice: int) -> int:
    """Advise the kernel about [addr, addr+length).

    Errors: EINVAL, ENOMEM (a hole), EACCES (REMOVE), EFAULT (POPULATE_*). Source: madvise(2).
    """
    return advise(task, addr, length, advice)


def advise(task: Task, addr: int, length: int, advice: int) -> int:
    """Advise a range of a task's memory; where a need interrupted it, go on, and look for holes."""
    if advice < 0:
        raise SyscallError(errno.EINVAL)
    if advice == lib.MADV_PAGEOUT:
        for file, first, last in _shared_files(task, addr, addr + length):
            file.inode.writeback(first, last)  # what is clean can go
    mm, start, end = task.mm, addr, addr + length
    if advice == lib.MADV_REMOVE:
        _remove_before_kept(task, addr, length)
    if task.kernel.memory.watched and not addr & PAGE_MASK:
        _watched().dropping(task, addr, length, advice)
    while done := mm.call(lib.mm_madvise, addr, end - addr, advice):
        addr += done
    if advice == lib.MADV_REMOVE:
        for file, first, last in _shared_files(task, start, end):
            file.inode.punched(first * PAGE_SIZE, (last + 1) * PAGE_SIZE)
    return mm.call(lib.mm_msync_check, start, length, 0) if addr > start else 0


def _remove_before_kept(task: Task, start: int, length: int) -> None:
    """Where a range shows a file that may not lose content, take what lies before, and end there.

    Errors: EPERM; nothing where there is no such file.
    """
    for file, addr in _punched(task, start, start + length):
        if file.inode.file_flags & (IMMUTABLE | APPEND):
            if addr > start:
                advise(task, start, addr - start, lib.MADV_REMOVE)
            raise SyscallError(errno.EPERM)


def _punched(task: Task, start: int, end: int) -> Iterator[tuple[File, int]]:
    """Yield what MADV_REMOVE would punch: open file, and where the range begins to show it."""
    fit, unfit = lib.VM_SHARED | lib.VM_MAYWRITE, lib.VM_LOCKED | lib.VM_NONLINEAR
    for vma in task.mm.vmas_in(start, end) if not start & PAGE_MASK else ():
        file = task.kernel.vfs.file_of(vma.file_cookie)
        if vma.flags & (fit | unfit) != fit:
            return  # it ends there with another error
        if file is not None:
            yield file, max(vma.start, start)


@syscall(27, "mincore", INT, INT, INT)
def mincore_raw(task: Task, addr: int, length: int, vector: int) -> int:
    """Store one byte a page at vector: 1 where memory holds the page.

    Errors: EINVAL, ENOMEM (what lies before a hole is stored), EFAULT. Source: mincore(2).
    """
    mm, end = task.mm, addr + PAGE_SIZE * _nr_pages_to_tell(task, addr, length)
    if vector + (end - addr) // PAGE_SIZE > mm.counters.task_size:
        raise SyscallError(errno.EFAULT)
    while addr < end:
        vma = mm.vma_at(addr)
        if vma is None:
            raise SyscallError(errno.ENOMEM)
        stop = min(vma.end, end, addr + PAGE_SIZE * PAGE_SIZE)
        part = mincore(task, addr, stop - addr)
        mm.copy_out(vector, part)
        addr, vector = stop, vector + len(part)
    return 0


def mincore(task: Task, addr: int, length: int) -> bytes:
    """Return one byte a page of [addr, addr+length): 1 where memory holds it.

    Errors: EINVAL (misaligned), ENOMEM (a hole or beyond user space). Source: mincore(2).
    """
    pages = _nr_pages_to_tell(task, addr, length)
    if pages > int(task.mm.counters.total_vm):
        raise SyscallError(errno.ENOMEM)  # more than all that is mapped
    vector = bytearray(pages)
    task.mm.call(lib.mm_mincore, addr, length, ffi.from_buffer(vector))
    for vma in task.mm.vmas_in(addr, addr + length):
        if vma.file_cookie and not _may_know(task, vma):
            first, last = max(vma.start, addr) - addr, min(vma.end, addr + length) - addr
            told = slice(first // PAGE_SIZE, (last + PAGE_MASK) // PAGE_SIZE)
            vector[told] = b"\1" * len(vector[told])
    return bytes(vector)


def _may_know(task: Task, vma: Vma) -> bool:
    """Tell whether a task learns what memory holds of a file: strangers are told that it is all.

    Source: can_do_mincore() of Linux 6.18.
    """
    file = task.kernel.vfs.file_of(vma.file_cookie)
    if file is None:  # shared anonymous memory
        return True
    inode = file.inode
    if inode.dev in task.kernel.vfs.read_only:
        return inode.owned_by(task)
    return inode.owned_by(task) or inode.permits(task, MAY_WRITE)


def _nr_pages_to_tell(task: Task, addr: int, length: int) -> int:
    if addr & PAGE_MASK:
        raise SyscallError(errno.EINVAL)
    if addr + length > task.mm.counters.task_size:
        raise SyscallError(errno.ENOMEM)
    return (length + PAGE_MASK) // PAGE_SIZE


def _lock(task: Task, addr: int, length: int, flags: int) -> int:
    task.mm.call(lib.mm_mlock, addr, length, flags)
    if length or addr & PAGE_MASK:
        try:
            task.mm.populate(addr, length)
        except SyscallError as error:
            if error.errno != errno.EFAULT:
                raise
            raise SyscallError(errno.ENOMEM) from None  # as POSIX has it; Linux too
    return 0


@syscall(149, "mlock", INT, INT)
def mlock(task: Task, addr: int, length: int) -> int:
    """Bring [addr, addr+length) into memory and keep it there.

    Errors: ENOMEM (a hole, RLIMIT_MEMLOCK), EPERM, EINVAL. Source: mlock(2).
    """
    return _lock(task, addr, length, 0)


@syscall(325, "mlock2", INT, INT, INT)
def mlock2(task: Task, addr: int, length: int, flags: int) -> int:
    """Lock as mlock; with MLOCK_ONFAULT pages as they come. Errors: as mlock, EINVAL.

    Source: mlock(2).
    """
    return _lock(task, addr, length, flags & INT_BITS)


@syscall(150, "munlock", INT, INT)
def munlock(task: Task, addr: int, length: int) -> int:
    """Unlock [addr, addr+length). Errors: ENOMEM (a hole), EINVAL. Source: mlock(2)."""
    return task.mm.call(lib.mm_munlock, addr, length)


@syscall(151, "mlockall", INT)
def mlockall(task: Task, flags: int) -> int:
    """Lock all of the address space, now (MCL_CURRENT) or from now on (MCL_FUTURE).

    Errors: EINVAL, ENOMEM, EPERM. Source: mlock(2).
    """
    task.mm.call(lib.mm_mlockall, flags)
    if flags & lib.MCL_CURRENT:
        for vma in task.mm.vmas():
            _populate_quietly(task, vma.start, vma.end - vma.start)
    return 0


@syscall(152, "munlockall")
def munlockall(task: Task) -> int:
    """Unlock everything, and what is to come. Source: mlock(2)."""
    return task.mm.call(lib.mm_munlockall)


@syscall(26, "msync", INT, INT, INT)
def msync(task: Task, addr: int, length: int, flags: int) -> int:
    """Write the dirty pages of [addr, addr+length) to their backing store (MS_SYNC).

    Errors: EINVAL, ENOMEM (a hole; the rest is written), EBUSY (MS_INVALIDATE on locked memory),
    EIO. Source: msync(2).
    """
    flags &= INT_BITS
    status: int = lib.mm_msync_check(task.mm.handle, addr, length, flags)
    if status < 0 and status != -errno.ENOMEM:
        raise SyscallError(-status)
    if flags & MS_SYNC:
        for file, first, last in _shared_files(task, addr, addr + length):
            file.sync(first, last)
    if status < 0:
        raise SyscallError(-status)
    return 0


def _shared_files(task: Task, start: int, end: int) -> Iterator[tuple[File, int, int]]:
    """Yield open file, first and last page of each shared file mapping in [start, end)."""
    for vma in task.mm.vmas_in(start, end):
        if not vma.flags & lib.VM_SHARED:
            continue
        file = task.kernel.vfs.file_of(vma.file_cookie)
        if file is None:  # shared anonymous memory
            continue
        low, high = max(vma.start, start), min(vma.end, end)
        first = vma.pgoff + (low - vma.start) // PAGE_SIZE
        last = vma.pgoff + (high - vma.start + PAGE_MASK) // PAGE_SIZE - 1
        if vma.flags & lib.VM_NONLINEAR:
            first, last = 0, (1 << 52) - 1  # any page of the file may show here
        yield file, first, last
