"""The calls of memory policy: which nodes pages come from, and moving those that are there.

Masks, modes and rights are looked at here, in Linux's order; the core keeps policies and moves
pages. Source: mm/mempolicy.c and mm/migrate.c of Linux 6.18.
"""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from pkern.kernel.core import ffi, lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.mm import policy as policies
from pkern.kernel.mm import policy_asked
from pkern.kernel.mm.policy import INTERLEAVED, Policy, nodes_in
from pkern.kernel.tasks.credentials import Ids
from pkern.syscalls.abi import signed32
from pkern.syscalls.layouts import layout
from pkern.syscalls.table import INT, SINT, syscall

if TYPE_CHECKING:
    from pkern.kernel.mm.mm import Mm
    from pkern.kernel.tasks.task import Task

PAGE_SIZE = 4096
PAGE_MASK = PAGE_SIZE - 1
ADDRESSES = 1 << 64
MAX_NODES = 1024  # bits of a mask, CONFIG_NODES_SHIFT=10
WORD_BITS, WORD_BYTES = 64, 8
NODE = struct.Struct("<i")
LONG = layout("<Q", "<I")  # an unsigned long, a pointer
STRICT, MOVE, MOVE_ALL = lib.MPOL_MF_STRICT, lib.MPOL_MF_MOVE, lib.MPOL_MF_MOVE_ALL
F_NODE, F_ADDR, F_MEMS_ALLOWED = 1, 2, 4
STAT_CHUNK, MOVE_CHUNK = 16, 512  # pages that are asked about, or moved, at a time


def _bitmap(task: Task, addr: int, bits: int) -> int:
    unit = LONG.of(task).size
    nbytes = -(-bits // (8 * unit)) * unit
    mask = int.from_bytes(task.mm.copy_in(addr, nbytes), "little")
    return mask & ((1 << bits) - 1)


def _nodes(task: Task, addr: int, maxnode: int) -> int:
    """Return a mask from user memory. maxnode: its bits, and one. Errors: EINVAL, EFAULT."""
    bits = (maxnode - 1) % ADDRESSES
    if not bits or not addr:
        return 0
    if bits > PAGE_SIZE * 8:
        raise SyscallError(errno.EINVAL)
    while bits > MAX_NODES:  # the part that no machine has must be empty
        if _bitmap(task, addr + (bits - 1) // WORD_BITS * WORD_BYTES, WORD_BITS):
            raise SyscallError(errno.EINVAL)
        bits = max(bits - WORD_BITS, MAX_NODES)
    return _bitmap(task, addr, bits)


def _range(start: int, length: int) -> tuple[int, int]:
    """Return the first and last address of whole pages; equal: there are none. Errors: EINVAL."""
    if start & PAGE_MASK:
        raise SyscallError(errno.EINVAL)
    end = (start + (length + PAGE_MASK & ~PAGE_MASK) % ADDRESSES) % ADDRESSES
    if end < start:
        raise SyscallError(errno.EINVAL)
    return start, end


# ---- setting ----


@syscall(238, "set_mempolicy", SINT, INT, INT)
def set_mempolicy(task: Task, mode: int, nodemask: int = 0, maxnode: int = 0) -> int:
    """Choose the nodes that the caller's pages come from.

    mode: MPOL_* with MPOL_F_* flags; nodemask: address of a mask of maxnode - 1 bits.
    Errors: EINVAL, EFAULT. Source: set_mempolicy(2).
    """
    mode, flags = policy_asked.split_mode(mode)
    nodes = _nodes(task, nodemask, maxnode)
    made = policy_asked.make(mode, flags, nodes, task.kernel.memory.all_nodes)
    task.mm.policy = made
    return 0


@syscall(237, "mbind", INT, INT, SINT, INT, INT, INT)
def mbind(
    task: Task, addr: int, length: int, mode: int, nodemask: int, maxnode: int, flags: int = 0
) -> int:
    """Choose the nodes that the pages of a range come from; move those that lie elsewhere.

    flags: MPOL_MF_STRICT, MOVE, MOVE_ALL.
    Errors: EINVAL, EFAULT (holes too), EPERM, EIO (STRICT), ENOMEM. Source: mbind(2).
    """
    mode, mode_flags = policy_asked.split_mode(mode)
    nodes = _nodes(task, nodemask, maxnode)
    if flags & ~(STRICT | MOVE | MOVE_ALL):
        raise SyscallError(errno.EINVAL)
    if flags & MOVE_ALL and not task.capable("CAP_SYS_NICE"):
        raise SyscallError(errno.EPERM)
    start, end = _range(addr, length)
    if mode == lib.MPOL_DEFAULT:
        flags &= ~STRICT
    if start == end:
        return 0
    made = policy_asked.make(mode, mode_flags, nodes, task.kernel.memory.all_nodes)
    return task.mm.call(lib.mm_mbind, start, end, policies.to_core(made), flags)


@syscall(450, "set_mempolicy_home_node", INT, INT, INT, INT)
def set_mempolicy_home_node(
    task: Task, addr: int, length: int, home_node: int, flags: int = 0
) -> int:
    """Choose where the search begins for pages of a range that is bound or prefers several nodes.

    Errors: EINVAL, ENOENT (no policy there), EOPNOTSUPP (another one), ENOMEM.
    Source: set_mempolicy_home_node(2).
    """
    if addr & PAGE_MASK or flags or home_node >= task.kernel.memory.nr_nodes:
        raise SyscallError(errno.EINVAL)
    start, end = _range(addr, length)
    return task.mm.call(lib.mm_set_home_node, start, end, home_node) if start != end else 0


# ---- asking ----


def _policy_at(task: Task, addr: int) -> Policy:
    found = task.mm.policy_at(addr)
    if found is None:
        raise SyscallError(errno.EFAULT)
    return found


def _node_of(task: Task, addr: int) -> int:
    """Return the node of the page at addr, which is brought. Errors: EFAULT."""
    if lib.mm_has_secret(task.mm.handle, addr, 1):
        raise SyscallError(errno.EFAULT)
    some = lib.VM_READ | lib.VM_WRITE | lib.VM_EXEC
    node = _node_of_present(task, addr) if task.mm.nr_allowing(addr, 1, some) else -1
    if node >= 0:
        lib.mm_note_used(task.mm.handle, addr)
    else:
        if not task.mm.nr_allowing(addr, 1, lib.VM_READ):
            raise SyscallError(errno.EFAULT)
        if not task.mm.read_forced(addr & ~PAGE_MASK, 1):
            raise SyscallError(errno.EFAULT)
        node = _node_of_present(task, addr)
    return max(node, 0)  # the zero page lies in the first node


def _node_of_present(task: Task, addr: int) -> int:
    status = ffi.new("int32_t *")
    lib.mm_pages_nodes(task.mm.handle, 1, ffi.new("uint64_t *", addr), status)
    return int(status[0])


def _told(task: Task, addr: int, flags: int) -> tuple[int, int]:
    """Return what get_mempolicy tells: mode or node, and a mask. Errors: EINVAL, EFAULT."""
    if flags & ~(F_NODE | F_ADDR | F_MEMS_ALLOWED):
        raise SyscallError(errno.EINVAL)
    if flags & F_MEMS_ALLOWED:
        if flags & (F_NODE | F_ADDR):
            raise SyscallError(errno.EINVAL)
        return 0, task.kernel.memory.all_nodes
    if not flags & F_ADDR and addr:
        raise SyscallError(errno.EINVAL)
    policy = _policy_at(task, addr) if flags & F_ADDR else task.mm.policy
    if not flags & F_NODE:
        return policy.mode | policy.flags, policy.shown_nodes
    if flags & F_ADDR:
        return _node_of(task, addr), policy.shown_nodes
    if policy.mode not in INTERLEAVED:
        raise SyscallError(errno.EINVAL)
    return int(lib.mm_next_node(task.mm.handle)), policy.shown_nodes


def _store_nodes(task: Task, addr: int, maxnode: int, mask: int) -> None:
    nbytes = (maxnode - 1 + WORD_BITS - 1) % ADDRESSES // WORD_BITS * WORD_BYTES
    if nbytes > WORD_BYTES and nbytes > PAGE_SIZE:
        raise SyscallError(errno.EINVAL)
    task.mm.copy_out(addr, mask.to_bytes(max(nbytes, WORD_BYTES), "little")[:nbytes])


@syscall(239, "get_mempolicy", INT, INT, INT, INT, INT)
def get_mempolicy(
    task: Task, mode: int = 0, nodemask: int = 0, maxnode: int = 0, addr: int = 0, flags: int = 0
) -> int:
    """Store the caller's policy, or that of an address: mode (4 bytes), mask (maxnode - 1 bits).

    mode, nodemask: addresses, 0 for none. flags: MPOL_F_NODE, ADDR, MEMS_ALLOWED.
    Errors: EINVAL, EFAULT. Source: get_mempolicy(2).
    """
    if nodemask and maxnode < task.kernel.memory.nr_nodes:
        raise SyscallError(errno.EINVAL)
    value, mask = _told(task, addr, flags)
    if mode:
        task.mm.copy_out(mode, struct.pack("<i", value))
    if nodemask:
        _store_nodes(task, nodemask, maxnode, mask)
    return 0


# ---- moving ----


def _may_look_at(task: Task, pid: int, gone: int) -> Task:
    """Return whose pages the caller moves. Errors: ESRCH, EPERM; gone: it has no memory."""
    other = task.find(pid) if pid else task
    if other is None:
        raise SyscallError(errno.ESRCH)
    if not task.may_trace(other, Ids.REAL):
        raise SyscallError(errno.EPERM)
    if not other.alive:
        raise SyscallError(gone)
    return other


def _journeys(source: int, target: int) -> list[tuple[int, int]]:
    """Return pairs of nodes: pages of the first go to the second. Source: do_migrate_pages()."""
    left, pairs = source, []
    froms, tos = list(nodes_in(source)), list(nodes_in(target))

    def aim(node: int) -> int:
        return tos[froms.index(node) % len(tos)]

    while left:
        wanted = [
            node
            for node in nodes_in(left)
            if aim(node) != node and not (len(froms) != len(tos) and target >> node & 1)
        ]
        if not wanted:
            break
        node = next((node for node in wanted if not left >> aim(node) & 1), wanted[-1])
        left &= ~(1 << node)
        pairs.append((node, aim(node)))
    return pairs


@syscall(256, "migrate_pages", SINT, INT, INT, INT)
def migrate_pages(task: Task, pid: int, maxnode: int, old_nodes: int, new_nodes: int) -> int:
    """Move a process's pages from nodes to others; return how many could not be moved.

    pid: 0 is the caller. old_nodes, new_nodes: addresses of masks of maxnode - 1 bits.
    Errors: EINVAL, EFAULT, ESRCH, EPERM. Source: migrate_pages(2).
    """
    old, new = _nodes(task, old_nodes, maxnode), _nodes(task, new_nodes, maxnode)
    other = _may_look_at(task, pid, errno.EINVAL)
    allowed = task.kernel.memory.all_nodes
    nice = task.capable("CAP_SYS_NICE")
    if new & ~allowed and not nice:
        raise SyscallError(errno.EPERM)
    if not new & allowed:
        raise SyscallError(errno.EINVAL)
    handle, how = other.mm.handle, MOVE_ALL if nice else MOVE
    pairs = _journeys(old & allowed, new & allowed)
    return sum(lib.mm_migrate_pages(handle, start, end, how) for start, end in pairs)


def _words(task: Task, addr: int, count: int, number: struct.Struct) -> tuple[list[int], bool]:
    """Return as many of count numbers as can be read, and whether all could be."""
    size = number.size
    try:
        raw = task.mm.copy_in_part(addr, count * size) if count else b""
    except SyscallError as error:
        if error.errno != errno.EFAULT:
            raise
        raw = b""
    whole = len(raw) // size
    return [value for (value,) in number.iter_unpack(raw[: whole * size])], whole == count


def _store_status(task: Task, addr: int, values: list[int]) -> None:
    task.mm.copy_out(addr, struct.pack(f"<{len(values)}i", *values))


def _stat(task: Task, mm: Mm, count: int, pages: int, status: int) -> int:
    """Store where each page lies, a chunk at a time. Errors: EFAULT."""
    pointer = LONG.of(task)
    while count:
        chunk = min(count, STAT_CHUNK)
        raw = task.mm.copy_in(pages, pointer.size * chunk)
        addrs = [addr for (addr,) in pointer.iter_unpack(raw)]
        found = ffi.new("int32_t[]", chunk)
        lib.mm_pages_nodes(mm.handle, chunk, ffi.new("uint64_t[]", addrs), found)
        _store_status(task, status, list(found))
        count, pages, status = count - chunk, pages + len(raw), status + 4 * chunk
    return 0


def _wrong_node(task: Task, node: int) -> bool:
    return not 0 <= node < task.kernel.memory.nr_nodes


def _move_chunk(task: Task, mm: Mm, at: tuple[int, int, int], count: int, flags: int) -> int:
    """Move up to count pages; return how many could be, for memory. Errors: EFAULT, ENODEV.

    at: addresses of the next page, node and status. Before an error the status of those before
    the wrong argument is stored.
    """
    pages, nodes, status = at
    addrs, whole = _words(task, pages, count, LONG.of(task))
    wanted, all_nodes = _words(task, nodes, len(addrs), NODE)
    failed = 0 if whole and all_nodes else errno.EFAULT
    bad = next((i for i, node in enumerate(wanted) if _wrong_node(task, node)), None)
    if bad is not None:
        wanted, failed = wanted[:bad], errno.ENODEV
    found = ffi.new("int32_t[]", len(wanted) or 1)
    args = (len(wanted), addrs[: len(wanted)], wanted, found, flags)
    done = int(lib.mm_move_pages(mm.handle, *args))
    _store_status(task, status, list(found[0:done]))
    if failed and done == len(wanted):
        raise SyscallError(failed)
    return done


def _move(task: Task, mm: Mm, arguments: tuple[int, int, int, int], flags: int) -> int:
    """Move pages until an argument is wrong; return how many could not be tried."""
    count, pages, nodes, status = arguments
    while count:
        chunk = min(count, MOVE_CHUNK)
        done = _move_chunk(task, mm, (pages, nodes, status), chunk, flags)
        count -= done
        if done < chunk:
            return count
        pages, nodes, status = (
            pages + LONG.of(task).size * done,
            nodes + 4 * done,
            status + 4 * done,
        )
    return 0


@syscall(279, "move_pages", SINT, INT, INT, INT, INT, SINT)
def move_pages(
    task: Task, pid: int, count: int, pages: int, nodes: int, status: int, flags: int = 0
) -> int:
    """Move single pages of a process to nodes, or tell where they lie; return 0.

    pid: 0 is the caller. pages: address of count addresses (8 bytes); nodes: of count nodes (4
    bytes), 0 to ask only; status: of count results (4 bytes): a node or -errno.
    A positive result: so many pages were not tried, for lack of memory.
    Errors: EINVAL, EPERM, ESRCH, EFAULT, ENODEV. Source: move_pages(2).
    """
    if flags & ~(MOVE | MOVE_ALL):
        raise SyscallError(errno.EINVAL)
    if flags & MOVE_ALL and not task.capable("CAP_SYS_NICE"):
        raise SyscallError(errno.EPERM)
    mm = _may_look_at(task, pid, errno.EINVAL).mm
    if nodes:
        return _move(task, mm, (count, pages, nodes, status), signed32(flags))
    return _stat(task, mm, count, pages, status)
