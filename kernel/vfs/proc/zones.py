"""The texts of /proc about memory by zone, size and kind: vmstat, zoneinfo, buddyinfo, slabinfo.

Each node has one zone, Normal. Names and their order are Linux 6.18's; what is not
modelled counts 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkern.kernel.core import ffi, lib
from pkern.kernel.mm import nodes
from pkern.kernel.mm.nodes import NODE_SOURCES, OF_NODE, OF_ZONE, PAGEBLOCK_ORDER
from pkern.kernel.vfs.proc.machine import kept_pages

if TYPE_CHECKING:
    from pkern.kernel.mm.memory import Memory
    from pkern.kernel.tasks.machine import Machine

# Counters of all events, by their names in Linux's order.
_ALL_NAMES = """
nr_dirty_threshold nr_dirty_background_threshold nr_memmap_pages nr_memmap_boot_pages pgpgin
pgpgout pswpin pswpout pgalloc_dma pgalloc_dma32 pgalloc_normal pgalloc_movable pgalloc_device
allocstall_dma allocstall_dma32 allocstall_normal allocstall_movable allocstall_device
pgskip_dma pgskip_dma32 pgskip_normal pgskip_movable pgskip_device pgfree pgactivate
pgdeactivate pglazyfree pgfault pgmajfault pglazyfreed pgrefill pgreuse pgsteal_kswapd
pgsteal_direct pgsteal_khugepaged pgsteal_proactive pgscan_kswapd pgscan_direct
pgscan_khugepaged pgscan_proactive pgscan_direct_throttle pgscan_anon pgscan_file pgsteal_anon
pgsteal_file zone_reclaim_success zone_reclaim_failed pginodesteal slabs_scanned
kswapd_inodesteal kswapd_low_wmark_hit_quickly kswapd_high_wmark_hit_quickly pageoutrun
pgrotated drop_pagecache drop_slab oom_kill numa_pte_updates numa_huge_pte_updates
numa_hint_faults numa_hint_faults_local numa_pages_migrated pgmigrate_success pgmigrate_fail
thp_migration_success thp_migration_fail thp_migration_split compact_migrate_scanned
compact_free_scanned compact_isolated compact_stall compact_fail compact_success
compact_daemon_wake compact_daemon_migrate_scanned compact_daemon_free_scanned
htlb_buddy_alloc_success htlb_buddy_alloc_fail unevictable_pgs_culled unevictable_pgs_scanned
unevictable_pgs_rescued unevictable_pgs_mlocked unevictable_pgs_munlocked
unevictable_pgs_cleared unevictable_pgs_stranded thp_fault_alloc thp_fault_fallback
thp_fault_fallback_charge thp_collapse_alloc thp_collapse_alloc_failed thp_file_alloc
thp_file_fallback thp_file_fallback_charge thp_file_mapped thp_split_page thp_split_page_failed
thp_deferred_split_page thp_underused_split_page thp_split_pmd thp_scan_exceed_none_pte
thp_scan_exceed_swap_pte thp_scan_exceed_share_pte thp_split_pud thp_zero_page_alloc
thp_zero_page_alloc_failed thp_swpout thp_swpout_fallback balloon_inflate balloon_deflate
balloon_migrate swap_ra swap_ra_hit swpin_zero swpout_zero ksm_swpin_copy cow_ksm zswpin
zswpout zswpwb direct_map_level2_splits direct_map_level3_splits direct_map_level2_collapses
direct_map_level3_collapses
"""
LAST = ("nr_unstable",)
OF_ALL = tuple(_ALL_NAMES.split())
# Where they come from: a counter of the core of that name, or of this one.
SOURCES = NODE_SOURCES | {
    "nr_dirty_threshold": "dirty_threshold",
    "nr_dirty_background_threshold": "dirty_background_threshold",
    "pgalloc_normal": "pgalloc",
    "allocstall_normal": "allocstall",
    "oom_kill": "oom_kills",
}
# What only this kernel has; its names begin with pkern_ here.
OWN = {
    "special_pages": "nr_special",
    "chain_blocks": "nr_chain_blocks",
    "vmas": "nr_vmas",
    "cow": "cow",
    "zeropage": "zeropage",
    "truncations": "truncations",
    "remaps": "remaps",
    "rmap_walks": "rmap_walks",
    "rmap_vma_visits": "rmap_vma_visits",
    "rmap_pte_visits": "rmap_pte_visits",
    "rmap_block_touches": "rmap_block_touches",
    "rmap_bytes": "rmap_bytes",
    "rmap_bytes_peak": "rmap_bytes_peak",
    "scan_ptes": "scan_ptes",
    "scan_rounds": "scan_rounds",
    "swap_read_errors": "swap_read_errors",
    "swap_write_errors": "swap_write_errors",
}
MIGRATE_TYPES = ("Unmovable", "Movable", "Reclaimable", "HighAtomic", "Isolate")
MOVABLE = 1
SLAB_HEAD = (
    "slabinfo - version: 2.1\n"
    "# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab>"
    " : tunables <limit> <batchcount> <sharedfactor>"
    " : slabdata <active_slabs> <num_slabs> <sharedavail>\n"
)


def values(kernel: Machine) -> dict[str, int]:
    """Return every counter by its name in /proc/vmstat."""
    counters = kernel.memory.counters
    background, limit = kernel.memory.dirty_limits()
    pinned, mlocked = kept_pages(kernel)
    infos = nodes.infos(kernel.memory)
    made = {
        "pinned": pinned,
        "mlocked": mlocked,
        "free_blocks": sum(info["free_blocks"] for info in infos),
        "hugetlb": (int(counters.nr_huge) + int(counters.nr_huge_surplus)) << PAGEBLOCK_ORDER,
        "dirty_threshold": limit,
        "dirty_background_threshold": background,
        "allocstall": kernel.memory.allocstall,
        "oom_kills": kernel.memory.oom.kills,
    }
    made |= {name: sum(info[name] for info in infos) for name in nodes.STATS}

    def value(source: str) -> int:
        return made[source] if source in made else int(getattr(counters, source, 0))

    names = (*OF_ZONE, *OF_NODE, *OF_ALL, *LAST)
    found = {name: value(SOURCES.get(name, name)) for name in names}
    return found | {f"pkern_{name}": value(source) for name, source in OWN.items()}


def vmstat(kernel: Machine) -> str:
    """Counters by name; ours begin with pkern_. Source: proc_vmstat(5)."""
    return "".join(f"{name} {value}\n" for name, value in values(kernel).items())


def _zone(info: dict[str, int], nid: int) -> str:
    found = nodes.values(info)

    def rows(names: tuple[str, ...]) -> str:
        return "".join(f"\n      {name:<12} {found[name]}" for name in names)

    total = info["nr_total"]
    low, high = info["watermark_low"], info["watermark_high"]
    pages = (
        ("boost", 0),
        ("min", info["watermark_min"]),
        ("low", low),
        ("high", high),
        ("promo", 2 * high - low),
        ("spanned", total),
        ("present", total),
        ("managed", total),
        ("cma", 0),
    )
    return (
        f"Node {nid}, zone {'Normal':>8}\n  per-node stats{rows(OF_NODE)}"
        f"\n  pages free     {info['nr_free']}"
        + "".join(f"\n        {name:<8} {nr}" for name, nr in pages)
        + f"\n        protection: (0, 0){rows(OF_ZONE)}"
        + "\n  pagesets\n    cpu: 0\n              count:    0\n              high:     0"
        "\n              batch:    1\n              high_min: 0\n              high_max: 0"
        "\n  vm stats threshold: 0\n  node_unreclaimable:  0"
        f"\n  start_pfn:           {info['first']}\n"
    )


def zoneinfo(kernel: Machine) -> str:
    """The zone of each node: watermarks, pages, counters. Source: proc_zoneinfo(5)."""
    infos = nodes.infos(kernel.memory)
    return "".join(_zone(info, nid) for nid, info in enumerate(infos))


def buddyinfo(kernel: Machine) -> str:
    """Free blocks of 1, 2, 4 .. 1024 pages. Source: proc_buddyinfo(5)."""
    memory = kernel.memory

    def counts(nid: int) -> str:
        return "".join(f"{count:6d} " for count in nodes.free_blocks(memory, nid))

    rows = (f"Node {nid}, zone {'Normal':>8} {counts(nid)}\n" for nid in range(memory.nr_nodes))
    return "".join(rows)


def _free_by_type(memory: Memory, nid: int) -> str:
    nothing, found = [0] * lib.NR_ORDERS, nodes.free_blocks(memory, nid)
    return "".join(
        f"Node {nid:4d}, zone {'Normal':>8}, type {kind:>12} "
        + "".join(f"{nr:6d} " for nr in (found if nth == MOVABLE else nothing))
        + "\n"
        for nth, kind in enumerate(MIGRATE_TYPES)
    )


def _blocks_by_type(memory: Memory, nid: int) -> str:
    total = nodes.info(memory, nid)["nr_total"] >> PAGEBLOCK_ORDER
    kinds = (total if nth == MOVABLE else 0 for nth in range(len(MIGRATE_TYPES)))
    return f"\nNode {nid}, zone {'Normal':>8} " + "".join(f"{nr:12d} " for nr in kinds)


def pagetypeinfo(kernel: Machine) -> str:
    """Free blocks by what they are for: all are movable here. Source: mm/vmstat.c."""
    memory = kernel.memory
    return (
        f"Page block order: {PAGEBLOCK_ORDER}\nPages per block:  {1 << PAGEBLOCK_ORDER}\n\n"
        f"{'Free pages count per migrate type at order':<43} "
        + "".join(f"{order:6d} " for order in range(lib.NR_ORDERS))
        + "\n"
        + "".join(_free_by_type(memory, nid) for nid in range(memory.nr_nodes))
        + f"\n{'Number of blocks type':<23}"
        + "".join(f"{kind:>12} " for kind in MIGRATE_TYPES)
        + "".join(_blocks_by_type(memory, nid) for nid in range(memory.nr_nodes))
        + "\n"
    )


def slabinfo(kernel: Machine) -> str:
    """The core's own objects, kept in pages of RAM. Source: slabinfo(5)."""
    info = ffi.new("struct slab_info *")
    rows: list[str] = []
    while lib.machine_slab(kernel.memory.core, len(rows), info) == 0:
        name, pages = ffi.string(info.name).decode(), int(info.pages)
        rows.append(
            f"{name:<17} {int(info.live):6d} {int(info.objects):6d} {int(info.size):6d} "
            f"{4096 // int(info.size):4d} {1:4d} : tunables {0:4d} {0:4d} {0:4d}"
            f" : slabdata {pages:6d} {pages:6d} {0:6d}\n"
        )
    return SLAB_HEAD + "".join(sorted(rows))
