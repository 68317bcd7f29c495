"""The table of events: their names, and what the words of a record are.

Where Linux 6.18 has a tracepoint an event has its system, name and fields (include/trace/events/),
at Linux's places in a record; fields of our own stand behind them;
what Linux does not tell stands under pkern. A value that this kernel has no notion of, as a
processor's number, is what a machine with one of each would show.

An event comes from the core, by kind, or from Python, by name. The system calls' own events belong
to the floor that knows the calls: it adds a source, whose points are made when they are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from pkern.kernel.arguments import did_you_mean
from pkern.kernel.core import lib
from pkern.kernel.events import sources
from pkern.kernel.values import NamedTuple

if TYPE_CHECKING:
    from pkern.kernel.events import Source

Words = tuple[int, ...]
Value = int | str | tuple[int, ...]

BITS = 64
LISTS = ("inactive_anon", "active_anon", "inactive_file", "active_file", "unevictable")


class Field(NamedTuple):
    """One value of an event. ctype: as C declares it.

    value: found in the core's words; None: Python hands it over. names: how numbers are printed.
    """

    ctype: str
    name: str
    value: Callable[[Words], Value] | None = None
    names: Mapping[int, str] | None = None


class Point(NamedTuple):
    """One kind of event. kind: the core's, or None. text: as ftrace prints it, after the name."""

    system: str
    name: str
    fields: tuple[Field, ...]
    text: str
    kind: int | None = None

    @property
    def full_name(self) -> str:
        """SYSTEM:NAME."""
        return f"{self.system}:{self.name}"


def word(nth: int) -> Callable[[Words], int]:
    """Return what reads a word."""
    return lambda words: words[nth]


def low(nth: int) -> Callable[[Words], int]:
    """Return what reads the lower half of a word."""
    return lambda words: words[nth] & 0xFFFF_FFFF


def high(nth: int) -> Callable[[Words], int]:
    """Return what reads the upper half of a word."""
    return lambda words: words[nth] >> 32


def signed(nth: int) -> Callable[[Words], int]:
    """Return what reads a word as a signed number."""
    return lambda words: words[nth] - ((words[nth] >> BITS - 1) << BITS)


def always(value: Value) -> Callable[[Words], Value]:
    """Return what a machine like this one always has."""
    return lambda words: value


def named(nth: int, names: Mapping[int, str]) -> Callable[[Words], str]:
    """Return what reads a word as one of some names."""
    return lambda words: names.get(words[nth], str(words[nth]))


def enum(prefix: str, *but: str) -> dict[int, str]:
    """Return the core's constants of a prefix: number to the rest of the name, in small letters."""
    found = {name: int(getattr(lib, name)) for name in dir(lib) if name.startswith(prefix)}
    return {
        value: name.removeprefix(prefix).lower() for name, value in found.items() if name not in but
    }


WHYS = enum("WHY_")
CASES = {int(getattr(lib, n)): n[6:].lower() for n in dir(lib) if n.startswith("FAULT_")}
FORMS = {int(lib.REMAP_SPECIAL): "special", int(lib.REMAP_MIXED): "mixed"}
FORMS[int(lib.REMAP_EMULATED)] = "emulated"
STEPS = enum("TRUNCATE_")
OUTCOMES = {
    0: "done",
    int(lib.NEED_PAGE): "need_page",
    int(lib.NEED_MEMORY): "need_memory",
    int(lib.NEED_USER): "need_user",
    int(lib.SEGV_MAPERR): "SEGV_MAPERR",
    int(lib.SEGV_ACCERR): "SEGV_ACCERR",
    int(lib.SEGV_PKUERR): "SEGV_PKUERR",
    int(lib.BUS_ADRERR): "BUS_ADRERR",
}
PRESENT, PFN_SHIFT, PFN_MASK = 1, 12, 0x000F_FFFF_FFFF_F000
GFP_KERNEL, GFP_USER = 0xCC0, 0x140CCA
GFP_NAMES = {GFP_KERNEL: "GFP_KERNEL", GFP_USER: "GFP_HIGHUSER_MOVABLE|__GFP_COMP"}
WB_ANON, WB_FILE, WB_ASYNC = 1, 2, 8
RECLAIM_NAMES = {
    WB_ANON | WB_ASYNC: "RECLAIM_WB_ANON|RECLAIM_WB_ASYNC",
    WB_FILE | WB_ASYNC: "RECLAIM_WB_FILE|RECLAIM_WB_ASYNC",
}
FLUSH_NAMES = {2: "local shootdown", 3: "local MM shootdown"}
STATES = {0: "R", 1: "S", 2: "D", 4: "T", 8: "t", 16: "X", 32: "Z"}
DEAD_NAMES = {0: "false", 1: "true"}
VMEMMAP, PAGE_STRUCT = 0xFFFF_EA00_0000_0000, 64
DIRECT_MAP = 0xFFFF_8880_0000_0000
TREE_OFFSET = 64  # of a struct mm_struct's tree of VMAs
TOPDOWN, LOW, LOW_32BIT, HIGH_32BIT = 1, 0x1000, 0x4000_0000, 0x8000_0000
PAGE_BITS = 0xFFF
KERNELS = int(lib.PG_TABLE | lib.PG_SLAB | lib.PG_RESERVED)
MOVABLE = 1


def pfn_of(pte: int) -> int:
    """Return the page frame that a present pte maps; 0: none."""
    return (pte & PFN_MASK) >> PFN_SHIFT if pte & PRESENT else 0


def _outcome(words: Words) -> str:
    status = signed(4)(words)
    return OUTCOMES.get(status, str(status))


def _gfp(words: Words) -> int:
    return GFP_KERNEL if words[1] & KERNELS else GFP_USER


def _page(words: Words) -> int:
    """Return where Linux would keep the struct page of a frame."""
    return VMEMMAP + words[0] * PAGE_STRUCT


def _in_arena(nth: int) -> Callable[[Words], int]:
    """Return what reads where Linux would have an object that lies in the machine's RAM."""
    return lambda words: DIRECT_MAP + words[nth]


def _shared_page(words: Words) -> int:
    return words[0] and _page(words)


def _reclaim_flags(words: Words) -> int:
    return (WB_FILE if words[0] >= LISTS.index("inactive_file") else WB_ANON) | WB_ASYNC


def _low_limit(words: Words) -> int:
    """Return where a search for a gap began: see place() in vma.c."""
    if words[2] & TOPDOWN:
        return LOW
    return LOW_32BIT if words[4] == HIGH_32BIT else -(-(words[4] // 3) & ~PAGE_BITS)


def _list(nth: int) -> Callable[[Words], str]:
    return lambda words: LISTS[words[nth]]


def _access(words: Words) -> str:
    names = {lib.ACCESS_WRITE: "write", lib.ACCESS_EXEC: "exec"}
    bits = words[1] & 0xFFFF
    return str(names.get(bits, "read" if not bits else hex(bits)))


U64, LONG, U32, INT = "unsigned long", "long", "unsigned int", "int"
POINTER = "void *"
COMM, TEXT, PID = "char[16]", "__data_loc char[]", "pid_t"
REGISTERS = "unsigned long[6]"


Row = (
    tuple[str, str, Callable[[Words], Value]]
    | tuple[str, str, Callable[[Words], Value], Mapping[int, str]]
)


def _rows(*rows: Row) -> tuple[Field, ...]:
    return tuple(Field(*row) for row in rows)


def _given(*rows: tuple[str, str]) -> tuple[Field, ...]:
    return tuple(Field(*row) for row in rows)


def _printed(name: str, fields: tuple[Field, ...], names: Mapping[int, str]) -> tuple[Field, ...]:
    """Return fields, the numbers of one of which are printed by name."""
    return tuple(f._replace(names=names) if f.name == name else f for f in fields)


IN_CACHE = _rows(
    (U64, "pfn", word(0)),
    (U64, "i_ino", word(1)),
    (U64, "index", word(2)),
    ("dev_t", "s_dev", always(0)),
    ("unsigned char", "order", always(0)),
)
CACHE_TEXT = "dev 0:0 ino {i_ino:x} pfn=0x{pfn:x} index={index} order={order}"
RANGE = ((U64, "start", word(0)), (U64, "end", word(1)))
SWAP_IO = _rows((U64, "entry", word(0)), (U64, "pfn", word(1)), (LONG, "error", signed(2)))

KSM_ROUND = _rows((INT, "seq", word(0)), ("u32", "rmap_entries", word(1)))
KSM_ROUND_TEXT = "seq {seq} rmap size {rmap_entries}"
KSM_MM = _rows((POINTER, "mm", _in_arena(0)))
KSM_MM_TEXT = "mm {mm:p}"
KSM_ITEM = ((POINTER, "rmap_item", _in_arena(1)), (POINTER, "mm", _in_arena(2)))

CORE: tuple[Point, ...] = (
    Point(
        "pkern", "page_fault",
        _rows(
            (U64, "address", word(0)),
            (TEXT, "access", _access),
            (TEXT, "row", lambda words: CASES.get(words[1] >> 32, "?")),
            (U64, "pte_before", word(2)),
            (U64, "pte_after", word(3)),
            (U64, "pfn", lambda words: pfn_of(words[3])),
            (TEXT, "outcome", _outcome),
        ),
        "address=0x{address:x} access={access} row={row} pte_before=0x{pte_before:x}"
        " pte_after=0x{pte_after:x} pfn=0x{pfn:x} outcome={outcome}",
        lib.EVENT_FAULT,
    ),
    Point(
        "kmem", "mm_page_alloc",
        _rows(
            (U64, "pfn", word(0)),
            (U32, "order", word(2)),
            (U64, "gfp_flags", _gfp, GFP_NAMES),
            (INT, "migratetype", lambda words: 0 if words[1] & KERNELS else MOVABLE),
            (U64, "page", _page),
        ),
        "page={page:x} pfn=0x{pfn:x} order={order} migratetype={migratetype}"
        " gfp_flags={gfp_flags}",
        lib.EVENT_PAGE_ALLOC,
    ),
    Point(
        "kmem", "mm_page_free",
        _rows((U64, "pfn", word(0)), (U32, "order", word(2)), (U64, "page", _page)),
        "page={page:x} pfn=0x{pfn:x} order={order}",
        lib.EVENT_PAGE_FREE,
    ),
    Point(
        "mmap", "vm_unmapped_area",
        _rows(
            (U64, "addr", lambda words: max(signed(0)(words), 0)),
            (U64, "total_vm", word(1)),
            (U64, "flags", lambda words: words[2] & PAGE_BITS),
            (U64, "length", word(3)),
            (U64, "low_limit", _low_limit),
            (U64, "high_limit", word(4)),
            (U64, "align_mask", lambda words: words[2] & ~PAGE_BITS),
            (U64, "align_offset", always(0)),
            (LONG, "err", lambda words: min(signed(0)(words), 0)),
        ),
        "addr=0x{addr:x} err={err} total_vm=0x{total_vm:x} flags=0x{flags:x} len=0x{length:x}"
        " lo=0x{low_limit:x} hi=0x{high_limit:x} mask=0x{align_mask:x} ofs=0x{align_offset:x}",
        lib.EVENT_GAP,
    ),
    Point(
        "pkern", "vma_store",
        _rows(
            (U64, "vm_start", word(0)),
            (U64, "vm_end", word(1)),
            (U64, "vm_flags", word(2)),
            (U64, "vm_pgoff", word(3)),
            (U64, "file", word(4)),
        ),
        "STORE, {vm_start:x}, {vm_end:x}, flags=0x{vm_flags:x} pgoff=0x{vm_pgoff:x} file={file}",
        lib.EVENT_VMA_STORE,
    ),
    Point(
        "mmap", "exit_mmap",
        _rows(
            ("struct mm_struct *", "mm", _in_arena(2)),
            ("struct maple_tree *", "mt", lambda words: _in_arena(2)(words) + TREE_OFFSET),
            (U64, "total_vm", word(0)),
            (U64, "map_count", word(1)),
        ),
        "mt_mod {mt:p}, DESTROY total_vm={total_vm} map_count={map_count}",
        lib.EVENT_EXIT_MMAP,
    ),
    Point(
        "pkern", "map",
        _rows(*RANGE, (U64, "flags", word(2)), (U64, "pgoff", word(3)), (U64, "i_ino", word(4))),
        "start=0x{start:x} end=0x{end:x} flags=0x{flags:x} pgoff=0x{pgoff:x} ino={i_ino}",
        lib.EVENT_MAP,
    ),
    Point("pkern", "unmap", _rows(*RANGE), "start=0x{start:x} end=0x{end:x}", lib.EVENT_UNMAP),
    Point(
        "pkern", "mremap",
        _rows(
            (U64, "addr", word(0)),
            (U64, "old_len", word(1)),
            (U64, "new_len", word(2)),
            (U64, "flags", word(3)),
            (LONG, "ret", signed(4)),
        ),
        "addr=0x{addr:x} old_len=0x{old_len:x} new_len=0x{new_len:x} flags=0x{flags:x}"
        " ret=0x{ret:x}",
        lib.EVENT_MREMAP,
    ),
    Point(
        "pkern", "remap_file_pages",
        _rows(
            *RANGE,
            (U64, "pgoff", word(2)),
            (TEXT, "form", named(3, FORMS)),
            (LONG, "ret", signed(4)),
        ),
        "start=0x{start:x} end=0x{end:x} pgoff=0x{pgoff:x} form={form} ret={ret}",
        lib.EVENT_REMAP_PAGES,
    ),
    Point(
        "pkern", "mprotect",
        _rows(*RANGE, (U64, "flags_before", word(2)), (U64, "flags_after", word(3))),
        "start=0x{start:x} end=0x{end:x} flags_before=0x{flags_before:x}"
        " flags_after=0x{flags_after:x}",
        lib.EVENT_PROTECT,
    ),
    Point(
        "pkern", "vma_split",
        _rows(*RANGE, (U64, "at", word(2))),
        "start=0x{start:x} end=0x{end:x} at=0x{at:x}",
        lib.EVENT_VMA_SPLIT,
    ),
    Point(
        "pkern", "vma_merge",
        _rows(*RANGE, (U64, "at", word(2))),
        "start=0x{start:x} end=0x{end:x} at=0x{at:x}",
        lib.EVENT_VMA_MERGE,
    ),
    Point(
        "pkern", "copy_on_write",
        _rows((U64, "address", word(0)), (U64, "pfn", word(1)), (U64, "copy", word(2))),
        "address=0x{address:x} pfn=0x{pfn:x} copy=0x{copy:x}",
        lib.EVENT_COW,
    ),
    Point(
        "pkern", "rmap_walk",
        _rows(
            (U64, "pfn", word(0)),
            (U64, "mapcount", word(1)),
            (U64, "vmas", word(2)),
            (U64, "ptes", word(3)),
            (U64, "blocks", word(4)),
        ),
        "pfn=0x{pfn:x} mapcount={mapcount} vmas={vmas} ptes={ptes} blocks={blocks}",
        lib.EVENT_RMAP_WALK,
    ),
    Point(
        "pkern", "reclaim_pass",
        _rows(
            (U64, "nr_to_reclaim", word(0)),
            (INT, "priority", word(1)),
            (U64, "nr_scanned", word(2)),
            (U64, "nr_reclaimed", word(3)),
            (INT, "direct", word(4)),
        ),
        "nr_to_reclaim={nr_to_reclaim} priority={priority} nr_scanned={nr_scanned}"
        " nr_reclaimed={nr_reclaimed} direct={direct}",
        lib.EVENT_RECLAIM_PASS,
    ),
    Point(
        "pkern", "reclaim_page",
        _rows(
            (U64, "pfn", word(0)),
            (TEXT, "lru", _list(1)),
            (TEXT, "why", named(2, WHYS)),
            (U64, "mapcount", word(3)),
            (U64, "flags", word(4)),
        ),
        "pfn=0x{pfn:x} lru={lru} why={why} mapcount={mapcount} flags=0x{flags:x}",
        lib.EVENT_RECLAIM_PAGE,
    ),
    Point(
        "vmscan", "mm_vmscan_lru_shrink_inactive",
        _rows(
            (INT, "nid", always(0)),
            (U64, "nr_scanned", word(1)),
            (U64, "nr_reclaimed", word(2)),
            (U64, "nr_dirty", always(0)),
            (U64, "nr_writeback", always(0)),
            (U64, "nr_congested", always(0)),
            (U64, "nr_immediate", always(0)),
            (U32, "nr_activate0", lambda words: low(3)(words) if words[0] < 2 else 0),
            (U32, "nr_activate1", lambda words: low(3)(words) if words[0] >= 2 else 0),
            (U64, "nr_ref_keep", high(3)),
            (U64, "nr_unmap_fail", always(0)),
            (INT, "priority", word(4)),
            (INT, "reclaim_flags", _reclaim_flags, RECLAIM_NAMES),
        ),
        "nid={nid} nr_scanned={nr_scanned} nr_reclaimed={nr_reclaimed} nr_dirty={nr_dirty}"
        " nr_writeback={nr_writeback} nr_congested={nr_congested} nr_immediate={nr_immediate}"
        " nr_activate_anon={nr_activate0} nr_activate_file={nr_activate1}"
        " nr_ref_keep={nr_ref_keep} nr_unmap_fail={nr_unmap_fail} priority={priority}"
        " flags={reclaim_flags}",
        lib.EVENT_SHRINK_INACTIVE,
    ),
    Point(
        "vmscan", "mm_vmscan_lru_shrink_active",
        _rows(
            (INT, "nid", always(0)),
            (U64, "nr_taken", word(1)),
            (U64, "nr_active", always(0)),
            (U64, "nr_deactivated", word(2)),
            (U64, "nr_referenced", word(3)),
            (INT, "priority", word(4)),
            (INT, "reclaim_flags", _reclaim_flags, RECLAIM_NAMES),
        ),
        "nid={nid} nr_taken={nr_taken} nr_active={nr_active} nr_deactivated={nr_deactivated}"
        " nr_referenced={nr_referenced} priority={priority} flags={reclaim_flags}",
        lib.EVENT_SHRINK_ACTIVE,
    ),
    Point("pkern", "swap_in", SWAP_IO, "entry=0x{entry:x} pfn=0x{pfn:x} error={error}",
          lib.EVENT_SWAP_IN),
    Point("pkern", "swap_out", SWAP_IO, "entry=0x{entry:x} pfn=0x{pfn:x} error={error}",
          lib.EVENT_SWAP_OUT),
    Point(
        "vmscan", "mm_vmscan_write_folio",
        _rows(
            (U64, "pfn", word(1)),
            (INT, "reclaim_flags", always(WB_ANON | WB_ASYNC), RECLAIM_NAMES),
        ),
        "pfn=0x{pfn:x} flags={reclaim_flags}",
        lib.EVENT_SWAP_OUT,
    ),
    Point("filemap", "mm_filemap_add_to_page_cache", IN_CACHE, CACHE_TEXT, lib.EVENT_CACHE_ADD),
    Point("filemap", "mm_filemap_delete_from_page_cache", IN_CACHE, CACHE_TEXT,
          lib.EVENT_CACHE_DELETE),
    Point(
        "writeback", "writeback_dirty_folio",
        _rows(
            ("char[32]", "name", always("pkern")),
            ("ino_t", "ino", word(1)),
            (U64, "index", word(2)),
        ),
        "bdi {name}: ino={ino} index={index}",
        lib.EVENT_DIRTY,
    ),
    Point(
        "pkern", "writeback",
        _rows((U64, "pfn", word(0)), (U64, "i_ino", word(1)), (U64, "index", word(2))),
        "pfn=0x{pfn:x} ino={i_ino} index={index}",
        lib.EVENT_WRITEBACK,
    ),
    Point(
        "pkern", "truncate",
        _rows(
            (U64, "i_ino", word(0)),
            (TEXT, "step", named(1, STEPS)),
            (U64, "first", word(2)),
            (U64, "last", word(3)),
            (U64, "size", word(4)),
        ),
        "ino={i_ino} step={step} first={first} last={last} size={size}",
        lib.EVENT_TRUNCATE,
    ),
    Point(
        "tlb", "tlb_flush",
        _rows((INT, "reason", word(2), FLUSH_NAMES), (U64, "pages", signed(1))),
        "pages:{pages} reason:{reason} ({reason:d})",
        lib.EVENT_TLB_FLUSH,
    ),
    Point("ksm", "ksm_start_scan", KSM_ROUND, KSM_ROUND_TEXT, lib.EVENT_KSM_START),
    Point("ksm", "ksm_stop_scan", KSM_ROUND, KSM_ROUND_TEXT, lib.EVENT_KSM_STOP),
    Point("ksm", "ksm_enter", KSM_MM, KSM_MM_TEXT, lib.EVENT_KSM_ENTER),
    Point("ksm", "ksm_exit", KSM_MM, KSM_MM_TEXT, lib.EVENT_KSM_EXIT),
    Point(
        "ksm", "ksm_merge_with_ksm_page",
        _rows(
            (POINTER, "ksm_page", _shared_page),
            (U64, "pfn", word(1)),
            (POINTER, "rmap_item", _in_arena(2)),
            (POINTER, "mm", _in_arena(3)),
            (INT, "err", signed(4)),
        ),
        "{ksm_page:?ksm }pfn {pfn} rmap_item {rmap_item:p} mm {mm:p} error {err}",
        lib.EVENT_KSM_MERGE,
    ),
    Point(
        "ksm", "ksm_merge_one_page",
        _rows((U64, "pfn", word(0)), *KSM_ITEM, (INT, "err", signed(3))),
        "ksm pfn {pfn} rmap_item {rmap_item:p} mm {mm:p} error {err}",
        lib.EVENT_KSM_MERGE_ZERO,
    ),
    Point(
        "ksm", "ksm_remove_rmap_item",
        _rows((U64, "pfn", word(0)), *KSM_ITEM),
        "pfn {pfn} rmap_item {rmap_item:p} mm {mm:p}",
        lib.EVENT_KSM_REMOVE_ITEM,
    ),
    Point("ksm", "ksm_remove_ksm_page", _rows((U64, "pfn", word(0))), "pfn {pfn}",
          lib.EVENT_KSM_REMOVE_PAGE),
)  # fmt: skip

# One kind of the core's, two of Linux's: whose instruction, or call, it was.
EXCEPTION = _rows((U64, "address", word(0)), (U64, "ip", word(1)), (U64, "error_code", word(2)))
EXCEPTION_TEXT = "address=0x{address:x} ip=0x{ip:x} error_code=0x{error_code:x}"
FAULT_USER = Point("exceptions", "page_fault_user", EXCEPTION, EXCEPTION_TEXT, lib.EVENT_EXCEPTION)
FAULT_KERNEL = FAULT_USER._replace(name="page_fault_kernel")

WAKEUP = _given((COMM, "comm"), (PID, "pid"), (INT, "prio"), (INT, "target_cpu"))
WAKEUP_TEXT = "comm={comm} pid={pid} prio={prio} target_cpu={target_cpu:03d}"
PYTHON: tuple[Point, ...] = (
    Point(
        "sched", "sched_switch",
        _printed("prev_state", _given(
            (COMM, "prev_comm"), (PID, "prev_pid"), (INT, "prev_prio"), (LONG, "prev_state"),
            (COMM, "next_comm"), (PID, "next_pid"), (INT, "next_prio"),
        ), STATES),
        "prev_comm={prev_comm} prev_pid={prev_pid} prev_prio={prev_prio} prev_state={prev_state}"
        " ==> next_comm={next_comm} next_pid={next_pid} next_prio={next_prio}",
    ),
    *(
        Point("sched", name, WAKEUP, WAKEUP_TEXT)
        for name in ("sched_waking", "sched_wakeup", "sched_wakeup_new")
    ),
    Point(
        "sched", "sched_process_fork",
        _given((TEXT, "parent_comm"), (PID, "parent_pid"),
               (TEXT, "child_comm"), (PID, "child_pid")),
        "comm={parent_comm} pid={parent_pid} child_comm={child_comm} child_pid={child_pid}",
    ),
    Point(
        "sched", "sched_process_exec",
        _given((TEXT, "filename"), (PID, "pid"), (PID, "old_pid")),
        "filename={filename} pid={pid} old_pid={old_pid}",
    ),
    Point(
        "sched", "sched_process_exit",
        _printed("group_dead", _given(
            (COMM, "comm"), (PID, "pid"), (INT, "prio"), ("bool", "group_dead"),
        ), DEAD_NAMES),
        "comm={comm} pid={pid} prio={prio} group_dead={group_dead}",
    ),
    Point(
        "task", "task_newtask",
        _given((PID, "pid"), (COMM, "comm"), ("u64", "clone_flags"), ("short", "oom_score_adj")),
        "pid={pid} comm={comm} clone_flags={clone_flags:x} oom_score_adj={oom_score_adj}",
    ),
    Point(
        "task", "task_rename",
        _given((PID, "pid"), (COMM, "oldcomm"), (COMM, "newcomm"), ("short", "oom_score_adj")),
        "pid={pid} oldcomm={oldcomm} newcomm={newcomm} oom_score_adj={oom_score_adj}",
    ),
    Point(
        "vmscan", "mm_vmscan_wakeup_kswapd",
        _printed("gfp_flags", _given(
            (INT, "nid"), (INT, "zid"), (INT, "order"), (U64, "gfp_flags"),
        ), GFP_NAMES),
        "nid={nid} order={order} gfp_flags={gfp_flags}",
    ),
    Point(
        "vmscan", "mm_vmscan_kswapd_wake",
        _given((INT, "nid"), (INT, "zid"), (INT, "order")),
        "nid={nid} order={order}",
    ),
    Point("vmscan", "mm_vmscan_kswapd_sleep", _given((INT, "nid")), "nid={nid}"),
    Point(
        "vmscan", "mm_vmscan_direct_reclaim_begin",
        _printed("gfp_flags", _given((INT, "order"), (U64, "gfp_flags")), GFP_NAMES),
        "order={order} gfp_flags={gfp_flags}",
    ),
    Point(
        "vmscan", "mm_vmscan_direct_reclaim_end",
        _given((U64, "nr_reclaimed")),
        "nr_reclaimed={nr_reclaimed}",
    ),
    Point(
        "signal", "signal_generate",
        _given((INT, "sig"), (INT, "errno"), (INT, "code"), (COMM, "comm"), (PID, "pid"),
               (INT, "group"), (INT, "result")),
        "sig={sig} errno={errno} code={code} comm={comm} pid={pid} grp={group} res={result}",
    ),
    Point(
        "signal", "signal_deliver",
        _given((INT, "sig"), (INT, "errno"), (INT, "code"), (U64, "sa_handler"), (U64, "sa_flags")),
        "sig={sig} errno={errno} code={code} sa_handler={sa_handler:x} sa_flags={sa_flags:x}",
    ),
    Point(
        "oom", "mark_victim",
        _given(
            (INT, "pid"), (TEXT, "comm"), (U64, "total_vm"), (U64, "anon_rss"), (U64, "file_rss"),
            (U64, "shmem_rss"), ("uid_t", "uid"), (U64, "pgtables"), ("short", "oom_score_adj"),
        ),
        "pid={pid} comm={comm} total-vm={total_vm}kB anon-rss={anon_rss}kB file-rss:{file_rss}kB"
        " shmem-rss:{shmem_rss}kB uid={uid} pgtables={pgtables}kB oom_score_adj={oom_score_adj}",
    ),
    Point(
        "raw_syscalls", "sys_enter",
        _given((LONG, "id"), (REGISTERS, "args")),
        "NR {id} ({args:x})",
    ),
    Point(
        "raw_syscalls", "sys_exit",
        _given((LONG, "id"), (LONG, "ret")),
        "NR {id} = {ret}",
    ),
    Point(
        "pkern", "sysctl_write",
        _given((TEXT, "name"), (TEXT, "value")),
        "name={name} value={value}",
    ),
)  # fmt: skip


# What programs say in trace_marker; no name of it is offered.
MARKER = Point(
    "ftrace",
    "print",
    _given((U64, "ip"), (TEXT, "buf")),
    "tracing_mark_write: {buf}",
)


class Table(Mapping[str, Point]):
    """All points by SYSTEM:NAME, those of the sources included."""

    def __init__(self) -> None:
        ready = {p.full_name: p for p in (FAULT_USER, FAULT_KERNEL, *CORE, *PYTHON)}
        self._made: dict[str, Point] = ready
        self._makers: dict[str, Source] = {}
        for source in (make() for make in sources):
            self._makers |= dict.fromkeys(source.names(), source)
        self._names = dict.fromkeys(sorted({*self._made, *self._makers}))
        self._made[MARKER.full_name] = MARKER

    def __getitem__(self, name: str) -> Point:
        if name not in self._made:
            self._made[name] = self._makers[name].make(name)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def matching(self, *globs: str) -> list[str]:
        """Return the points that any glob means: SYSTEM:NAME, either with * and ?, or one alone.

        Errors: LookupError says which glob means none, and which was meant.
        """
        found: dict[str, None] = {}
        for glob in globs:
            exact = glob in self._names
            some = [glob] if exact else [name for name in self._names if _means(glob, name)]
            if not some:
                raise LookupError(f"no event is called '{glob}'{self._guess(glob)}")
            found |= dict.fromkeys(some)
        return list(found)

    def _guess(self, glob: str) -> str:
        parts = (part for name in self._names for part in name.split(":"))
        hint = "; a machine's /sys/kernel/tracing/available_events names all"
        return did_you_mean(glob, {*self._names, *parts}, hint)


def _means(glob: str, full_name: str) -> bool:
    wanted, colon, within = glob.partition(":")
    system, _, name = full_name.partition(":")
    if not colon:  # as in set_event: a system, or a name
        return fnmatchcase(system, glob) or fnmatchcase(name, glob)
    return fnmatchcase(system, wanted or "*") and fnmatchcase(name, within or "*")
