"""execve: from a path to a new address space and the registers to start with.

The new address space is complete before the old one is given up. What is wrong with the files, the
arguments and the rights leaves the caller as it was; once a part of the program is mapped Linux has
given the old one up, so whoever called execve dies of a failure then (Lost). elf.py reads
headers; the layout here is Linux's without randomisation.
"""

from __future__ import annotations

import errno
import itertools
import struct

from pkern.kernel.core import ffi, lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.lean import suppress
from pkern.kernel.mm.mm import Areas, Mm
from pkern.kernel.tasks.program import elf
from pkern.kernel.tasks.program.elf import ET_DYN, PAGE_MASK, PAGE_SIZE, TASK_SIZE, Image, Segment
from pkern.kernel.tasks.program.setid import Rights, rights_of
from pkern.kernel.tasks.registers import rseq
from pkern.kernel.typed import TYPE_CHECKING, Callable
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs.file import O_RDONLY, File
from pkern.kernel.vfs.inode import MAY_EXEC, MAY_READ, Inode
from pkern.kernel.vfs.mounts import NOEXEC, Mount, Path
from pkern.kernel.vfs.names import IN_ACCESS
from pkern.kernel.vfs.walk import Last

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

STACK_TOP = TASK_SIZE
MMAP_PAGE_ZERO, ADDR_COMPAT_LAYOUT = 0x100000, 0x200000  # of personality(2)
DYN_BASE = TASK_SIZE // 3 * 2 & ~PAGE_MASK
PIE_BRK = DYN_BASE + PAGE_SIZE
MIN_GAP, GUARD = 128 << 20, 256 * PAGE_SIZE
MAX_GAP = TASK_SIZE // 6 * 5
STACK_SPARE = 32 * PAGE_SIZE
MAX_DEPTH = 6  # files that are looked at: five scripts, and what the last one names
HEAD_BYTES = 256  # of a script's first line
BLANKS, NAME_ENDS = b" \t", (b" ", b"\t", b"\0")
PLATFORM = b"x86_64\0"
HWCAP = 0x078B_FBFF  # CPUID 1, edx: kernel/core/cpu/cpuid.c
HWCAP2 = 0
MIN_SIGNAL_STACK = 1144
CLOCK_TICKS = 100
READ_CHUNK = 4096

PF_X = 1
PROT = {4: lib.PROT_READ, 2: lib.PROT_WRITE, 1: lib.PROT_EXEC}
PRIVATE_FIXED = lib.MAP_PRIVATE | lib.MAP_FIXED


class Lost(SyscallError):
    """execve fails when its caller has no program left to go back to: it dies by SIGSEGV."""


class Program(NamedTuple):
    """What runs next: a complete address space, where it starts, and what it is called."""

    mm: Mm
    rip: int
    rsp: int
    exe: File
    name: str
    argv: list[str]
    rights: Rights

    def drop(self) -> None:
        """Give it up: nobody runs it."""
        self.mm.put()
        self.exe.put()


class Wanted(NamedTuple):
    """What execve is asked to run, by a path or by an open file.

    start: where a relative path begins. name: what the program is told of its name, and a script's
    interpreter; "": the path. file: instead of a path. hidden: why the name leads nowhere once the
    program runs; "": it does.
    """

    path: str
    start: Path | None = None
    name: str = ""
    last: Last = Last.FOLLOW
    file: File | None = None
    hidden: str = ""

    @property
    def shown(self) -> str:
        """The name for the program."""
        return self.name or self.path


class Request(NamedTuple):
    """What execve was asked for, after scripts were followed: bytes as the program sees them."""

    file: File
    argv: list[bytes]
    envp: list[bytes]
    name: bytes  # AT_EXECFN


Strings = Callable[[], tuple[list[bytes], list[bytes]]]


def encode(text: str) -> bytes:
    """Return a path's bytes."""
    return text.encode("utf-8", "surrogateescape")


def decode(raw: bytes) -> str:
    """Return a path's text."""
    return raw.decode("utf-8", "surrogateescape")


# ---- finding the file ----


def open_program(task: Task, wanted: Wanted) -> File:
    """Open a file to execute. Errors: ENOENT, ENOTDIR, ELOOP, EACCES (no right, no file)."""
    inode, path, home, mount = _find_program(task, wanted)
    if inode.kind == "link":
        raise SyscallError(errno.ELOOP)
    if inode.kind != "file" or not inode.mode & 0o111:
        raise SyscallError(errno.EACCES)
    inode.open_check(task, MAY_EXEC)
    if mount is not None and mount.flags & NOEXEC:
        raise SyscallError(errno.EACCES)
    if task.kernel.vfs.leased:
        task.kernel.vfs.leases.give_way(inode, MAY_READ, O_RDONLY)
    file = task.kernel.vfs.open_inode(task, inode, path, O_RDONLY, mount)
    file.home, file.descriptors = home, 1
    task.kernel.vfs.tell_open(file)
    try:
        file.run_as_program()
    except SyscallError:
        file.put()
        raise
    return file


def _find_program(
    task: Task, wanted: Wanted
) -> tuple[Inode, str, tuple[Inode, str] | None, Mount | None]:
    """Return an inode, its path, the directory and name that it stands at, and its mount."""
    if wanted.file is not None:
        given = wanted.file
        return given.inode, given.path, given.home, given.mount
    vfs = task.kernel.vfs
    place = vfs.walk(task, wanted.path, wanted.last, wanted.start)
    home = None if place.jumped else (place.directory, place.name)
    return place.existing(), vfs.text(task, place), home, place.on


def follow_scripts(task: Task, wanted: Wanted, strings: Strings) -> Request:
    """Open the program, replacing a script by its interpreter. Errors: ELOOP, ENOEXEC, ENOENT.

    strings: gives arguments and environment, asked for once the file is known to be executable.
    """
    name = path = encode(wanted.shown)
    file = open_program(task, wanted)
    try:
        argv, envp = strings()
        argv = argv or [b""]
        for _ in range(MAX_DEPTH):
            head = file.inode.read(0, HEAD_BYTES)
            _was_read(task, file, len(head))
            if not head.startswith(b"#!"):
                return Request(file, argv, envp, name)
            interpreter, argument = _script_line(head)
            if wanted.hidden:
                raise SyscallError(errno.ENOENT)
            argv = [interpreter, *argument, path, *argv[1:]]
            path = interpreter
            script, file = file, open_program(task, Wanted(decode(path) or "."))
            script.put()
        raise SyscallError(errno.ELOOP)
    except BaseException:
        file.put()
        raise


def _script_line(head: bytes) -> tuple[bytes, list[bytes]]:
    """Return the interpreter and its one argument, if any. Errors: ENOEXEC.

    What is read of a short file ends with NULs, which end a name too, even an empty one.
    """
    line, newline, _ = head.ljust(HEAD_BYTES, b"\0")[2:].partition(b"\n")
    line = line.lstrip(BLANKS)
    if not line or not (newline or any(end in line for end in NAME_ENDS)):
        raise elf.refuse()  # there is no name, or no end of it in sight
    line = (line if newline else line[:-1]).rstrip(BLANKS)
    name = min((line.split(end)[0] for end in NAME_ENDS), key=len)
    argument = line[len(name) :].lstrip(BLANKS).partition(b"\0")[0]
    return name, [argument] if argument else []


def _was_read(task: Task, file: File, nbytes: int) -> None:
    """Count what execve reads for a task, in /proc/PID/io, and tell who watches, as Linux does."""
    task.io.syscr += 1
    task.io.rchar += nbytes
    notify = task.kernel.vfs.notify
    if notify is not None and nbytes:
        notify.used(file, IN_ACCESS)


def read_image(task: Task, file: File) -> Image:
    """Return the parsed headers of a program. Errors: ENOEXEC, EIO."""
    header = file.inode.read(0, READ_CHUNK)
    offset, nbytes = elf.table_place(header[: elf.HEADER_BYTES])
    table = header[offset : offset + nbytes]
    if len(table) < nbytes:
        table = file.inode.read(offset, nbytes)
    _was_read(task, file, len(table))
    return elf.parse(header[: elf.HEADER_BYTES], table)


# ---- the address space ----


def new_mm(task: Task) -> Mm:
    """Return an empty address space laid out for a program. Errors: ENOMEM."""
    gap = min(max(task.rlimits["stack"][0] + GUARD, MIN_GAP), MAX_GAP)
    layout = {
        "task_size": TASK_SIZE,
        "mmap_base": STACK_TOP - (gap + PAGE_MASK & ~PAGE_MASK),
        "start_brk": PIE_BRK,
        "stack_top": STACK_TOP,
    }
    mm = Mm.create(task.kernel.memory, task, layout)
    if task.attributes.personality & ADDR_COMPAT_LAYOUT:
        lib.mm_place_upwards(mm.handle)
    mm.mdwe, mm.policy = task.mm.mdwe, task.mm.policy
    if task.mm.merges_all:
        lib.mm_ksm_enable(mm.handle)
    return mm


def _protection(flags: int) -> int:
    return sum(prot for bit, prot in PROT.items() if flags & bit)


def _map_segment(mm: Mm, file: File, segment: Segment, bias: int) -> None:
    prot, inside = _protection(segment.flags), segment.vaddr & PAGE_MASK
    start = bias + segment.start
    file_end = bias + segment.vaddr + segment.filesz
    zeroes = file_end + PAGE_MASK & ~PAGE_MASK
    if segment.filesz:
        first = (segment.offset - inside) // PAGE_SIZE
        length = segment.filesz + inside
        mm.call(lib.mm_mmap, start, length, prot, PRIVATE_FIXED, file.handle, first)
    else:
        zeroes = start
    end = bias + segment.end
    if end > zeroes:
        flags = PRIVATE_FIXED | lib.MAP_ANONYMOUS
        heap = lib.PROT_READ | lib.PROT_WRITE | prot & lib.PROT_EXEC  # whatever the segment says
        mm.call(lib.mm_mmap, zeroes, end - zeroes, heap, flags, ffi.NULL, 0)
    if segment.memsz > segment.filesz and prot & lib.PROT_WRITE and file_end & PAGE_MASK:
        mm.copy_out(file_end, bytes(zeroes - file_end))


def _choose_bias(mm: Mm, image: Image, fixed: int) -> int:
    """Return what is added to the image's addresses. fixed: 0 lets mmap choose."""
    if image.kind != ET_DYN:
        return 0
    if not fixed:
        flags = lib.MAP_PRIVATE | lib.MAP_ANONYMOUS | lib.MAP_NORESERVE
        fixed = mm.call(lib.mm_mmap, 0, image.span, lib.PROT_NONE, flags, ffi.NULL, 0)
        mm.call(lib.mm_munmap, fixed, image.span)
    return fixed - image.start


def map_image(mm: Mm, file: File, image: Image, fixed: int) -> int:
    """Map every segment and return the bias. Errors: those of mmap, EFAULT; EINVAL: none fits."""
    if not image.fits:
        raise SyscallError(errno.EINVAL)
    bias = _choose_bias(mm, image, fixed)
    for segment in image.segments:
        _map_segment(mm, file, segment, bias)
    return bias


def _set_brk(mm: Mm, start: int) -> None:
    start = start + PAGE_MASK & ~PAGE_MASK
    mm.counters.start_brk = mm.counters.brk = start


class Interpreter(NamedTuple):
    """What maps a program's libraries: ld.so, an open file."""

    file: File
    image: Image

    def map(self, mm: Mm) -> tuple[int, int]:
        """Map it; return its bias and its entry."""
        bias = map_image(mm, self.file, self.image, 0)
        return bias, bias + self.image.entry


def _open_interpreter(task: Task, file: File, place: tuple[int, int]) -> Interpreter:
    """Open the interpreter that a program names. Errors: those of open_program, ENOEXEC, EINVAL."""
    raw = file.inode.read(*place)
    _was_read(task, file, len(raw))
    if len(raw) < place[1] or raw[-1:] != b"\0":
        raise elf.refuse()
    interpreter = open_program(task, Wanted(decode(raw.split(b"\0")[0])))
    try:
        _was_read(task, interpreter, elf.HEADER_BYTES)
        return Interpreter(interpreter, read_image(task, interpreter))
    except BaseException:
        interpreter.put()
        raise


# ---- the stack ----


def _auxv(task: Task, image: Image, bias: int, base: int, rights: Rights) -> list[tuple[int, int]]:
    phdr = bias + image.phdr_vaddr if image.phdr_vaddr else 0
    cred, own = rights.cred, task.cred.user_ns
    return [
        (51, MIN_SIGNAL_STACK),
        (16, HWCAP),
        (6, PAGE_SIZE),
        (17, CLOCK_TICKS),
        (3, phdr),
        (4, elf.PROGRAM_HEADER_BYTES),
        (5, image.phnum),
        (7, base),
        (8, 0),
        (9, bias + image.entry),
        (11, own.uid_of(cred.uid)),
        (12, own.uid_of(cred.euid)),
        (13, own.gid_of(cred.gid)),
        (14, own.gid_of(cred.egid)),
        (23, rights.secure),
    ]


def _strings(texts: list[bytes], end: int) -> tuple[bytes, list[int]]:
    """Lay texts out so that the last ends at end; return the block and each one's address."""
    block = b"".join(text + b"\0" for text in texts)
    addr = end - len(block)
    places = []
    for text in texts:
        places.append(addr)
        addr += len(text) + 1
    return block, places


def stack_image(request: Request, auxv: list[tuple[int, int]], random: bytes) -> tuple[int, bytes]:
    """Return the stack pointer and the bytes from there to 8 below the top, as Linux lays them.

    From the top down: 8 zero bytes, file name, environment, arguments, platform, 16 random bytes,
    auxiliary vector, envp, argv, argc.
    """
    name = request.name + b"\0"
    name_at = STACK_TOP - 8 - len(name)
    env, env_at = _strings(request.envp, name_at)
    args, args_at = _strings(request.argv, name_at - len(env))
    low = name_at - len(env) - len(args)
    platform_at = (low & ~15) - len(PLATFORM)
    random_at = platform_at - len(random)
    entries = [*auxv, (25, random_at), (26, HWCAP2), (31, name_at), (15, platform_at)]
    entries += [(27, rseq.USED), (28, rseq.SIZE), (0, 0)]
    words = [len(args_at), *args_at, 0, *env_at, 0, *(word for pair in entries for word in pair)]
    pointer = random_at - 8 * len(words) & ~15
    vector = struct.pack(f"<{len(words)}Q", *words)
    low_part = vector.ljust(random_at - pointer, b"\0") + random + PLATFORM
    return pointer, low_part.ljust(low - pointer, b"\0") + args + env + name


def _map_stack(mm: Mm, pointer: int, image: Image, limit: int) -> None:
    """Map the stack with room to spare, as far as RLIMIT_STACK (bytes) goes. Errors: EFAULT."""
    used, most = STACK_TOP - (pointer & ~PAGE_MASK), max(limit & ~PAGE_MASK, PAGE_SIZE)
    if used > most:
        raise SyscallError(errno.EFAULT)
    start = STACK_TOP - min(used + STACK_SPARE, most)
    prot = lib.PROT_READ | lib.PROT_WRITE | (lib.PROT_EXEC if image.stack_exec else 0)
    flags = lib.MAP_PRIVATE | lib.MAP_ANONYMOUS | lib.MAP_GROWSDOWN | lib.MAP_FIXED_NOREPLACE
    mm.call(lib.mm_mmap, start, STACK_TOP - start, prot, flags, ffi.NULL, 0)


def _map_page_zero(mm: Mm) -> None:
    """Map what System V had at address 0; below vm.mmap_min_addr it is left out, as on Linux."""
    flags = lib.MAP_PRIVATE | lib.MAP_ANONYMOUS | lib.MAP_FIXED
    with suppress(SyscallError):
        mm.call(lib.mm_mmap, 0, PAGE_SIZE, lib.PROT_READ | lib.PROT_EXEC, flags, ffi.NULL, 0)


# ---- all of it ----


def _build(task: Task, mm: Mm, request: Request, rights: Rights) -> tuple[int, int]:
    """Fill the address space and return (rip, rsp). Errors: of the files; Lost: of the memory."""
    image = read_image(task, request.file)
    loader = _open_interpreter(task, request.file, image.interp) if image.interp else None
    try:
        return _fill(task, mm, request, rights, image, loader)
    except SyscallError as error:
        raise Lost(error.number) from error
    finally:
        if loader is not None:
            loader.file.put()


def _fill(
    task: Task,
    mm: Mm,
    request: Request,
    rights: Rights,
    image: Image,
    loader: Interpreter | None,
) -> tuple[int, int]:
    fixed = DYN_BASE if image.interp else 0
    bias = map_image(mm, request.file, image, fixed)
    _set_brk(mm, bias + image.brk if image.interp or image.kind != ET_DYN else PIE_BRK)
    base, rip = 0, bias + image.entry
    if loader is not None:
        base, rip = loader.map(mm)
    random = task.kernel.random.take(16)
    pointer, content = stack_image(request, _auxv(task, image, bias, base, rights), random)
    _map_stack(mm, pointer, image, task.rlimits["stack"][0])
    if task.attributes.personality & MMAP_PAGE_ZERO:
        _map_page_zero(mm)
    mm.copy_out(pointer, content)
    mm.areas = _areas(request, image, bias, content)
    return rip, pointer


def _areas(request: Request, image: Image, bias: int, content: bytes) -> Areas:
    """Return where the parts of a program lie, of which content is what its stack begins with."""
    code = [s for s in image.segments if s.flags & PF_X] or list(image.segments)
    start_data = max(segment.vaddr for segment in image.segments)
    env_end = STACK_TOP - 8 - len(request.name) - 1
    env_start = env_end - sum(len(text) + 1 for text in request.envp)
    arg_start = env_start - sum(len(text) + 1 for text in request.argv)
    words = 3 + len(request.argv) + len(request.envp)  # argc, both lists and their ends
    rest = content[8 * words :]
    vector = struct.iter_unpack("<QQ", rest[: len(rest) & ~15])
    pairs = list(itertools.takewhile(lambda pair: pair[0], vector))
    return Areas(
        bias + min(segment.vaddr for segment in code),
        bias + max(segment.vaddr + segment.filesz for segment in code),
        bias + start_data,
        bias + max(segment.vaddr + segment.filesz for segment in image.segments),
        arg_start,
        env_start,
        env_start,
        env_end,
        b"".join(struct.pack("<QQ", *pair) for pair in [*pairs, (0, 0)]),
    )


def load(task: Task, wanted: Wanted, strings: Strings) -> Program:
    """Return a program ready to run; the task is not changed.

    Errors: Lost; ENOENT, EACCES, ENOEXEC, E2BIG, ELOOP, ENOMEM, EINVAL. Source: execve(2).
    """
    request = follow_scripts(task, wanted, strings)
    mm = None
    implied, task.limits.read_implies_exec = task.limits.read_implies_exec, 0  # not for this one
    try:
        mm = new_mm(task)
        rights = rights_of(task, request.file)
        rip, rsp = _build(task, mm, request, rights)
        mm.counters.start_stack = rsp
    except BaseException:
        if mm is not None:
            mm.put()
        request.file.put()
        raise
    finally:
        task.limits.read_implies_exec = implied
    name = (request.file.path if wanted.file else wanted.path).rpartition("/")[2]
    argv = [decode(text) for text in request.argv]
    return Program(mm, rip, rsp, request.file, name, argv, rights)
