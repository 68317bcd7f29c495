"""An address space as Python sees it: a handle, and the one loop around the core's needs.

Nothing of the core is remembered here: VMAs and counters are read when asked for.
"""

from __future__ import annotations

from struct import Struct

from pkern.kernel.core import ffi, lib
from pkern.kernel.errors import BUS_ADRERR, BusError, MemoryFault, SyscallError, TaskKilled
from pkern.kernel.lean import cache, partial
from pkern.kernel.mm.memory import Memory
from pkern.kernel.mm.policy import DEFAULT, Policy, of_core, to_core
from pkern.kernel.namespaces.user import FIRST, UserNamespace
from pkern.kernel.typed import TYPE_CHECKING, Any, Callable, Iterator, Mapping
from pkern.kernel.values import NamedTuple

if TYPE_CHECKING:
    from pkern.kernel.mm.process import Process

ENOMEM, EFAULT = 12, 14
PAGE_SIZE = 4096
ADDRESS_MASK, WORD_MASK = (1 << 64) - 1, (1 << 32) - 1
PATH_MAX = 4096
VMA_BATCH = 256
NO_PKEY = -1  # mprotect: the protection says which key
PIECE = 1 << 20  # bytes that are read at once: no more room is made where memory ends before
Serve = Callable[[int, int], None]
_WORD = ffi.new("uint32_t *")  # what word_in() reads, and word_out() writes
_PATH = ffi.new("char[]", PATH_MAX)  # what string_in() reads: nobody else may in between
_PATH_BYTES = ffi.buffer(_PATH)


@cache
def vm_flags() -> dict[str, int]:
    """Return the flags of VMAs by their names."""
    return {
        name: int(getattr(lib, name))
        for name in dir(lib)
        if name.startswith("VM_") and not name.endswith(("_SHIFT", "_MASK"))
    }


_RIGHTS = ((int(lib.VM_READ), "r"), (int(lib.VM_WRITE), "w"), (int(lib.VM_EXEC), "x"))
_MAYSHARE = int(lib.VM_MAYSHARE)
_PERM_BITS = sum(bit for bit, _ in _RIGHTS) | _MAYSHARE


def _perms(flags: int) -> str:
    rights = "".join(letter if flags & bit else "-" for bit, letter in _RIGHTS)
    return rights + ("s" if flags & _MAYSHARE else "p")


# Of every subset of those bits: the rwxp column.
PERMS = {bits: _perms(bits) for bits in range(_PERM_BITS + 1) if not bits & ~_PERM_BITS}


class Vma(NamedTuple):
    """One virtual memory area: addresses in bytes, pgoff in pages, cookies 0 for none."""

    start: int
    end: int
    flags: int
    pgoff: int
    file_cookie: int
    mapping_cookie: int
    own: int = 0  # 1: it has, or had, private pages
    name: int = 0  # of anonymous memory: memory.names knows it
    page_size: int = 4096  # bytes; of large pages that of theirs

    def __repr__(self) -> str:
        known = sorted(vm_flags().items(), key=lambda row: row[1])
        flags = "|".join(name for name, bit in known if self.flags & bit) or "0"
        place = f"{self.start:x}-{self.end:x} {self.perms} pgoff {self.pgoff:#x}"
        return f"<Vma {place} {flags} file {self.file_cookie} mapping {self.mapping_cookie:#x}>"

    @property
    def perms(self) -> str:
        """The rwxp column of /proc/PID/maps."""
        return PERMS[self.flags & _PERM_BITS]

    @property
    def pkey(self) -> int:
        """The protection key; 0 on a machine without them."""
        return int((self.flags & lib.VM_PKEY_MASK) >> lib.VM_PKEY_SHIFT)


# All VMAs are read at once: no one else uses the buffer before they are copied.
_INFOS = ffi.new("struct vma_info[]", VMA_BATCH)
_INFOS_BYTES = memoryview(ffi.buffer(_INFOS))
_INFO = Struct(f"<{len(Vma._fields)}Q")  # its fields are in the order of a Vma
_AS_VMA: Callable[[tuple[int, ...]], Vma] = partial(tuple.__new__, Vma)  # no step of Python each


def _vma_of(info: Any) -> Vma:
    """Return the Vma that a struct vma_info tells of."""
    return _AS_VMA(_INFO.unpack(ffi.buffer(ffi.addressof(info))))


class Areas(NamedTuple):
    """Where execve laid a program: addresses, for /proc. auxv: its auxiliary vector."""

    start_code: int = 0
    end_code: int = 0
    start_data: int = 0
    end_data: int = 0
    arg_start: int = 0
    arg_end: int = 0
    env_start: int = 0
    env_end: int = 0
    auxv: bytes = b""


class Settings(NamedTuple):
    """What prctl, membarrier and /proc set for an address space; a fork's copy keeps them.

    dumpable: as PR_SET_DUMPABLE. membarriers: registrations. ldt_entries: all of them empty.
    user_ns: over which who looks into it needs a capability, if it is not dumpable.
    """

    dumpable: int = 1
    thp_disabled: int = 0
    coredump_filter: int = 0x33
    membarriers: int = 0
    ldt_entries: int = 0
    user_ns: UserNamespace = FIRST

    def after_exec(self, user_ns: UserNamespace) -> Settings:
        """Return what a new program begins with."""
        return self._replace(dumpable=1, membarriers=0, ldt_entries=0, user_ns=user_ns)


AT_BOOT = Settings()
NO_COUNTERS = ffi.new("struct mm_counters *")


class Mm:
    """One address space; destroyed when its last user leaves, and then without a handle.

    process: who runs in it, or did last: its limits are the mm's, its the needs and the faults.
    users: tasks that run in it, descriptors of /proc/mm.
    """

    handle: Any
    ended: tuple[int, int]  # once it is destroyed: the pid of who ran there last, and a signal or 0

    def __init__(self, memory: Memory, process: Process, handle: Any) -> None:
        self._memory = memory
        self.process = process
        self._limits = process.limits  # which the core points to
        lib.mm_set_runner(handle, process.runner)
        self.handle = handle
        self.counters: Any = lib.mm_counters(handle)  # live; zeroes once the mm is gone
        self.areas: Areas | None = None  # None: no program in machine code
        self.settings = AT_BOOT
        self.users = 1
        self.futex_slots: int | None = None  # PR_FUTEX_HASH; 0: the machine's; None: not asked for

    @classmethod
    def create(cls, memory: Memory, process: Process, layout: Mapping[str, int]) -> Mm:
        """Return an empty address space with a process's limits. Errors: ENOMEM.

        layout: bytes of task_size, mmap_base, start_brk and stack_top.
        """
        handle = ffi.new("mm **")
        where = ffi.new("struct layout *", layout)
        memory.call(process, lib.mm_create, memory.core, where, process.limits, handle)
        return cls(memory, process, handle[0])

    @classmethod
    def like(cls, memory: Memory, process: Process) -> Mm:
        """Return an empty address space laid out as a process's own. Errors: ENOMEM."""
        own = process.mm.counters
        layout = {name: getattr(own, name) for name in ("task_size", "mmap_base", "start_brk")}
        return cls.create(memory, process, layout | {"stack_top": own.start_stack})

    def get(self) -> Mm:
        """Add a user."""
        self.users += 1
        return self

    def serve(self, process: Process) -> None:
        """Let another process, or thread, run here."""
        before, self.process = self.process, process
        lib.mm_set_runner(self.handle, process.runner)
        if process.limits is not self._limits:
            self._limits = process.limits
            lib.mm_set_limits(self.handle, process.limits)
            process.show_rights()
        elif not process.has_rights_of(before):
            process.show_rights()

    def put(self) -> None:
        """Take a user away; the last one destroys the address space."""
        self.users -= 1
        if not self.users:
            self.counters = NO_COUNTERS
            lib.mm_destroy(self.handle)
            self.ended = (self.process.pid, (self.process.exit_status or 0) & 0x7F)
            del self.handle, self.process  # which has this
            self.__class__ = _Destroyed

    def set(self, **changed: Any) -> None:
        """Change some of the settings."""
        self.settings = self.settings._replace(**changed)

    # ---- the loops around a need ----

    def _serve_call(self, status: int, attempt: int) -> None:
        try:
            self._memory.serve(self.process, status, attempt)
        except MemoryFault:
            raise SyscallError(EFAULT) from None

    def _serve_copy(self, status: int, attempt: int) -> None:
        """Serve a copy; a page that its file cannot give is a fault, as for the program itself."""
        fault = BusError(int(self._memory.need.addr), BUS_ADRERR, int(self._memory.need.access))
        try:
            self._memory.serve(self.process, status, attempt)
        except SyscallError as error:
            if error.errno == ENOMEM or status != lib.NEED_PAGE:
                raise
            raise fault from None

    def _serve_access(self, status: int, attempt: int) -> None:
        self._memory.serve_fault(self.process, status, attempt)

    def call(self, function: Callable[..., int], *args: Any) -> int:
        """Call a core function on this mm until it needs nothing more.

        Errors: SyscallError with the core's errno; ENOMEM when memory is out; EFAULT for a verdict.
        """
        result = function(self.handle, *args)
        return result if result >= 0 else self.go_on(result, function, *args)

    def go_on(self, result: int, function: Callable[..., int], *args: Any) -> int:
        """Go on as call() does where the caller's own first try gave result, below 0."""
        self._serve_call(result, 0)
        return self._repeat(self._serve_call, function, *args, attempt=1)

    def _repeat(
        self, serve: Serve, function: Callable[..., int], *args: Any, attempt: int = 0
    ) -> int:
        result = function(self.handle, *args)
        while result < 0:
            serve(result, attempt)
            result = function(self.handle, *args)
            attempt += 1
        return result

    def _copy(self, copy: Callable[..., int], serve: Serve, addr: int, buffer: Any) -> None:
        """Copy all of buffer, going on where a need interrupted it."""
        result = copy(self.handle, addr, ffi.from_buffer(buffer), len(buffer))
        if result < 0:
            self._copy_on(result, copy, serve, addr, buffer)

    def _copy_on(
        self, result: int, copy: Callable[..., int], serve: Serve, addr: int, buffer: Any
    ) -> None:
        """Go on with a copy whose first try gave result, below 0."""
        where, left, attempt = ffi.from_buffer(buffer), len(buffer), 0
        while result < 0:
            done = int(self._memory.need.done)
            serve(result, attempt)
            addr, where, left = addr + done, where + done, left - done
            result = copy(self.handle, addr, where, left)
            attempt = 0 if done else attempt + 1

    @property
    def mdwe(self) -> int:
        """What prctl(PR_SET_MDWE) set: enum mdwe of the core."""
        return int(lib.mm_mdwe(self.handle))

    @mdwe.setter
    def mdwe(self, bits: int) -> None:
        lib.mm_set_mdwe(self.handle, bits)

    @property
    def policy(self) -> Policy:
        """The memory policy of the task that runs here."""
        return of_core(lib.mm_policy(self.handle))

    @policy.setter
    def policy(self, policy: Policy) -> None:
        lib.mm_policy(self.handle)[0] = to_core(policy)[0]

    @property
    def merges_all(self) -> bool:
        """Whether all its memory is to be merged: prctl(PR_SET_MEMORY_MERGE)."""
        found = ffi.new("struct mm_ksm *")
        lib.mm_ksm(self.handle, found)
        return bool(found.merge_any)

    def policy_at(self, addr: int) -> Policy | None:
        """Return the policy of the page at addr, the default if it has none; None: no VMA."""
        value = ffi.new("struct policy *", DEFAULT)
        return None if lib.mm_vma_policy(self.handle, addr, value) < 0 else of_core(value)

    # ---- protection keys ----

    @property
    def pkru(self) -> int:
        """The PKRU register of the thread that runs here: two bits a key, denied access, write."""
        return int(lib.mm_pkru(self.handle))

    @pkru.setter
    def pkru(self, value: int) -> None:
        lib.mm_set_pkru(self.handle, value)

    def refuses_stores(self, vma: Vma) -> bool:
        """Tell whether the key of an area refuses its stores to the thread that runs here."""
        return bool(self.pkru >> 2 * vma.pkey & 3)

    # ---- the program's own loads and stores ----

    def read(self, addr: int, nbytes: int) -> bytes:
        """Load nbytes at addr. Errors: MemoryFault, TaskKilled."""
        buffer = bytearray(nbytes)
        self._copy(lib.user_read, self._serve_access, addr, buffer)
        return bytes(buffer)

    def write(self, addr: int, data: bytes) -> None:
        """Store data at addr. Errors: MemoryFault, TaskKilled."""
        self._copy(lib.user_write, self._serve_access, addr, data)

    def touch(self, addr: int, nbytes: int, access: int) -> int:
        """Access each page of [addr, addr+nbytes) bytes once; return how many there are.

        access: enum access of the core. Errors: MemoryFault, TaskKilled.
        """
        end, addr = addr + nbytes, addr & -PAGE_SIZE
        pages = -(-(end - addr) // PAGE_SIZE)
        attempt = 0
        while (result := lib.user_touch(self.handle, addr, end - addr, access)) < 0:
            done = int(self._memory.need.done)
            self._serve_access(result, attempt)
            addr += done
            attempt = 0 if done else attempt + 1
        return pages

    # ---- on behalf of a system call ----

    def _copy_on_for_call(
        self, result: int, copy: Callable[..., int], addr: int, buffer: Any
    ) -> None:
        try:
            self._copy_on(result, copy, self._serve_copy, addr, buffer)
        except MemoryFault:
            raise SyscallError(EFAULT) from None

    def copy_in(self, addr: int, nbytes: int) -> bytes:
        """Read a system call's argument. Errors: EFAULT, ENOMEM."""
        self.check_user(addr, nbytes)
        buffer = bytearray(nbytes)
        result = lib.user_read(self.handle, addr, ffi.from_buffer(buffer), nbytes)
        if result < 0:
            self._copy_on_for_call(result, lib.user_read, addr, buffer)
        return bytes(buffer)

    def word_in(self, addr: int) -> int:
        """Read 4 bytes of a system call's argument, an unsigned number. Errors: EFAULT, ENOMEM."""
        self.check_user(addr, 4)
        result = lib.user_read(self.handle, addr, _WORD, 4)
        if result < 0:
            self._serve_word(result)
            return int.from_bytes(self.copy_in(addr, 4), "little")
        return int(_WORD[0])

    def word_out(self, addr: int, value: int) -> None:
        """Write 4 bytes of a system call's result, a number of 32 bits. Errors: EFAULT, ENOMEM."""
        self.check_user(addr, 4)
        _WORD[0] = value & WORD_MASK
        result = lib.user_write(self.handle, addr, _WORD, 4)
        if result < 0:
            self._serve_word(result)
            self.copy_out(addr, (value & WORD_MASK).to_bytes(4, "little"))

    def _serve_word(self, result: int) -> None:
        """Serve what the first try needs; others may use the word meanwhile."""
        try:
            self._serve_copy(result, 0)
        except MemoryFault:
            raise SyscallError(EFAULT) from None

    def copy_in_part(self, addr: int, nbytes: int) -> bytes:
        """Read what can be read of an argument, from its beginning; each page is asked for once.

        Errors: EFAULT: nothing can; ENOMEM.
        """
        self.check_user(addr, 0)
        end, data = min(addr + nbytes, self.counters.task_size), bytearray()
        while (at := addr + len(data)) < end:
            piece = bytearray(min(end, (at // PIECE + 1) * PIECE) - at)
            try:
                self._copy(lib.user_read, self._serve_copy, at, piece)
            except MemoryFault as fault:
                data += piece[: fault.addr - at]
                break
            data += piece
        if nbytes and not data:
            raise SyscallError(EFAULT)
        return bytes(data)

    def copy_out(self, addr: int, data: bytes) -> None:
        """Write a system call's result. Errors: EFAULT, ENOMEM."""
        nbytes = len(data)
        self.check_user(addr, nbytes)
        result = lib.user_write(self.handle, addr, ffi.from_buffer(data), nbytes)
        if result < 0:
            self._copy_on_for_call(result, lib.user_write, addr, data)

    def copy_out_part(self, addr: int, data: bytes) -> int:
        """Write what can be written of a result, from its beginning; return how many bytes.

        Errors: EFAULT: nothing can; ENOMEM.
        """
        self.check_user(addr, 0)
        result = lib.user_write(self.handle, addr, ffi.from_buffer(data), len(data))
        return len(data) if result >= 0 else self._copy_out_on(result, addr, data)

    def _copy_out_on(self, result: int, addr: int, data: bytes) -> int:
        """Go on with copy_out_part() whose first try gave result, below 0."""
        try:
            self._copy_on(result, lib.user_write, self._serve_copy, addr, data)
        except MemoryFault as fault:
            if fault.addr > addr:
                return fault.addr - addr
            raise SyscallError(EFAULT) from None
        return len(data)

    def read_forced(self, addr: int, nbytes: int) -> bytes:
        """Read past protections, as a debugger may, what can be read from addr on; b"": nothing."""
        buffer = bytearray(nbytes)
        done = self._copy_forced(lib.forced_read, addr, buffer)
        return bytes(buffer[:done])

    def glimpse(self, addr: int, nbytes: int) -> bytes:
        """Read what is in memory, or in swap, from addr on, and leave no trace; b"": nothing."""
        buffer = bytearray(nbytes)
        done = lib.mm_glimpse(self.handle, addr, ffi.from_buffer(buffer), nbytes)
        return bytes(buffer[:done])

    def write_forced(self, addr: int, data: bytes) -> int:
        """Write past the protection of private memory; return how many bytes could be."""
        return self._copy_forced(lib.forced_write, addr, data)

    def _copy_forced(self, copy: Callable[..., int], addr: int, buffer: Any) -> int:
        try:
            self._copy(copy, self._serve_copy, addr, buffer)
        except MemoryFault as fault:
            return fault.addr - addr
        except SyscallError:
            return 0
        return len(buffer)

    def check_user(self, addr: int, nbytes: int) -> None:
        """Refuse a range that leaves user space, before any of it is allocated. Errors: EFAULT."""
        if addr + nbytes > self.counters.task_size:
            raise SyscallError(EFAULT)

    def string_in(self, addr: int) -> str:
        """Read a path. Errors: EFAULT, ENAMETOOLONG."""
        self.check_user(addr, 1)
        length = lib.user_string(self.handle, addr, _PATH, PATH_MAX)
        if length < 0:
            length = self._string_after(length, addr)
        return str(_PATH_BYTES[:length], "utf-8", "surrogateescape")

    def _string_after(self, result: int, addr: int) -> int:
        """Read a path whose first try gave result, below 0; return its length."""
        try:
            self._serve_copy(result, 0)
            return self._repeat(self._serve_copy, lib.user_string, addr, _PATH, PATH_MAX, attempt=1)
        except MemoryFault:
            raise SyscallError(EFAULT) from None

    def populate(self, addr: int, nbytes: int) -> None:
        """Fault a range in; one that wraps is empty, as Linux rounds it. Errors: ENOMEM."""
        end = (addr + nbytes + PAGE_SIZE - 1) & -PAGE_SIZE & ADDRESS_MASK
        addr &= -PAGE_SIZE
        while addr < end:
            addr += self.call(lib.mm_populate, addr, end - addr)

    # ---- what there is ----

    def vmas(self) -> list[Vma]:
        """Return all VMAs in order of address."""
        found: list[Vma] = []
        count = VMA_BATCH if self.users else 0
        while count == VMA_BATCH:
            start = found[-1].end if found else 0
            count = lib.mm_vmas(self.handle, start, _INFOS, VMA_BATCH)
            rows = _INFO.iter_unpack(_INFOS_BYTES[: count * _INFO.size])
            found += map(_AS_VMA, rows)
        return found

    def vmas_in(self, start: int, end: int, batch: int = 4) -> Iterator[Vma]:
        """Yield the VMAs that intersect [start, end), batch at a time; it must not have ended."""
        infos = ffi.new("struct vma_info[]", batch)
        while start < end and (count := lib.mm_vmas(self.handle, start, infos, batch)):
            for v in ffi.unpack(infos, count):
                if v.start >= end:
                    return
                yield _vma_of(v)
            start = int(infos[count - 1].end)

    def nr_allowing(self, addr: int, nbytes: int, right: int) -> int:
        """Return how many of nbytes at addr lie in areas with a right (VM_READ, VM_WRITE).

        Who pins pages asks this first, whatever the processor would allow, and no stack grows for
        it: check_vma_flags() and gup_vma_lookup() of Linux 6.18.
        """
        at, end = addr, addr + nbytes
        for vma in self.vmas_in(addr, end):
            if vma.start > at or not vma.flags & right:
                break
            at = vma.end
        return min(at, end) - addr

    def vma_at(self, addr: int) -> Vma | None:
        """Return the VMA that holds addr, or None."""
        one = ffi.new("struct vma_info *")
        if not self.users or not lib.mm_vmas(self.handle, addr, one, 1) or one.start > addr:
            return None
        return _vma_of(one[0])


class _Destroyed(Mm):
    """An address space whose last user has left: its handle refuses.

    A class of its own, as Python is slow to find an attribute that the class knows of, too.
    """

    @property
    def handle(self) -> Any:
        """Stop a program that goes on after its task has ended. Errors: TaskKilled."""
        raise TaskKilled(*self.ended)
