"""The texts of /proc about memory by zone, size and kind: vmstat, zoneinfo, buddyinfo, slabinfo.

There is one zone, Normal, of one node. Names and their order are Linux 6.18's; what is not
modelled counts 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkern.kernel.core import ffi, lib
from pkern.kernel.vfs.proc.machine import kept_pages

if TYPE_CHECKING:
    from pkern.kernel.tasks.machine import Machine

PAGEBLOCK_ORDER = 9
FIRST_PFN = 0
# Counters of a zone, of a node, and of all events, by their names in Linux's order.
_ZONE_NAMES = """
nr_free_pages nr_free_pages_blocks nr_zone_inactive_anon nr_zone_active_anon
nr_zone_inactive_file nr_zone_active_file nr_zone_unevictable nr_zone_write_pending nr_mlock
nr_zspages nr_free_cma numa_hit numa_miss numa_foreign numa_interleave numa_local numa_other
"""
_NODE_NAMES = """
nr_inactive_anon nr_active_anon nr_inactive_file nr_active_file nr_unevictable
nr_slab_reclaimable nr_slab_unreclaimable nr_isolated_anon nr_isolated_file workingset_nodes
workingset_refault_anon workingset_refault_file workingset_activate_anon
workingset_activate_file workingset_restore_anon workingset_restore_file workingset_nodereclaim
nr_anon_pages nr_mapped nr_file_pages nr_dirty nr_writeback nr_shmem nr_shmem_hugepages
nr_shmem_pmdmapped nr_file_hugepages nr_file_pmdmapped nr_anon_transparent_hugepages
nr_vmscan_write nr_vmscan_immediate_reclaim nr_dirtied nr_written nr_throttled_written
nr_kernel_misc_reclaimable nr_foll_pin_acquired nr_foll_pin_released nr_kernel_stack
nr_page_table_pages nr_sec_page_table_pages nr_iommu_pages nr_swapcached pgpromote_success
pgpromote_candidate pgpromote_candidate_nrl pgdemote_kswapd pgdemote_direct pgdemote_khugepaged
pgdemote_proactive nr_hugetlb nr_balloon_pages nr_kernel_file_pages
"""
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
OF_ZONE = tuple(_ZONE_NAMES.split())
OF_NODE = tuple(_NODE_NAMES.split())
OF_ALL = tuple(_ALL_NAMES.split())
# Where they come from: a counter of the core of that name, or of this one.
SOURCES = {
    "nr_free_pages": "nr_free",
    "nr_free_pages_blocks": "free_blocks",
    "nr_zone_inactive_anon": "nr_inactive_anon",
    "nr_zone_active_anon": "nr_active_anon",
    "nr_zone_inactive_file": "nr_inactive_file",
    "nr_zone_active_file": "nr_active_file",
    "nr_zone_unevictable": "pinned",
    "nr_zone_write_pending": "nr_dirty",
    "nr_mlock": "mlocked",
    "numa_hit": "pgalloc",
    "numa_local": "pgalloc",
    "nr_unevictable": "pinned",
    "nr_slab_unreclaimable": "nr_slab",
    "nr_anon_pages": "nr_anon",
    "nr_file_pages": "nr_file",
    "nr_page_table_pages": "nr_pagetable",
    "nr_hugetlb": "hugetlb",
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


def free_blocks(kernel: Machine) -> list[int]:
    """Return how many aligned free blocks of 1, 2, 4 .. 1024 pages there are."""
    counts = ffi.new("uint64_t[]", lib.NR_ORDERS)
    lib.machine_free_blocks(kernel.memory.core, counts)
    return [int(count) for count in counts]


def values(kernel: Machine) -> dict[str, int]:
    """Return every counter by its name in /proc/vmstat."""
    counters = kernel.memory.counters
    background, limit = kernel.memory.dirty_limits()
    pinned, mlocked = kept_pages(kernel)
    orders = enumerate(free_blocks(kernel))
    made = {
        "pinned": pinned,
        "mlocked": mlocked,
        "free_blocks": sum(nr << order for order, nr in orders if order >= PAGEBLOCK_ORDER),
        "hugetlb": (int(counters.nr_huge) + int(counters.nr_huge_surplus)) << PAGEBLOCK_ORDER,
        "dirty_threshold": limit,
        "dirty_background_threshold": background,
        "allocstall": kernel.memory.allocstall,
        "oom_kills": kernel.memory.oom.kills,
    }

    def value(source: str) -> int:
        return made[source] if source in made else int(getattr(counters, source, 0))

    names = (*OF_ZONE, *OF_NODE, *OF_ALL, *LAST)
    found = {name: value(SOURCES.get(name, name)) for name in names}
    return found | {f"pkern_{name}": value(source) for name, source in OWN.items()}


def vmstat(kernel: Machine) -> str:
    """Counters by name; ours begin with pkern_. Source: proc_vmstat(5)."""
    return "".join(f"{name} {value}\n" for name, value in values(kernel).items())


def zoneinfo(kernel: Machine) -> str:
    """The zone: watermarks, pages, counters. Source: proc_zoneinfo(5)."""
    counters, tunables, found = kernel.memory.counters, kernel.memory.tunables, values(kernel)

    def rows(names: tuple[str, ...]) -> str:
        return "".join(f"\n      {name:<12} {found[name]}" for name in names)

    total = int(counters.nr_total)
    low, high = int(tunables.watermark_low), int(tunables.watermark_high)
    pages = (
        ("boost", 0),
        ("min", int(tunables.watermark_min)),
        ("low", low),
        ("high", high),
        ("promo", 2 * high - low),
        ("spanned", total),
        ("present", total),
        ("managed", total),
        ("cma", 0),
    )
    return (
        f"Node 0, zone {'Normal':>8}\n  per-node stats{rows(OF_NODE)}"
        f"\n  pages free     {int(counters.nr_free)}"
        + "".join(f"\n        {name:<8} {nr}" for name, nr in pages)
        + f"\n        protection: (0, 0){rows(OF_ZONE)}"
        + "\n  pagesets\n    cpu: 0\n              count:    0\n              high:     0"
        "\n              batch:    1\n              high_min: 0\n              high_max: 0"
        "\n  vm stats threshold: 0\n  node_unreclaimable:  0"
        f"\n  start_pfn:           {FIRST_PFN}\n"
    )


def buddyinfo(kernel: Machine) -> str:
    """Free blocks of 1, 2, 4 .. 1024 pages. Source: proc_buddyinfo(5)."""
    counts = "".join(f"{count:6d} " for count in free_blocks(kernel))
    return f"Node 0, zone {'Normal':>8} {counts}\n"


def pagetypeinfo(kernel: Machine) -> str:
    """Free blocks by what they are for: all are movable here. Source: mm/vmstat.c."""
    nothing, found = [0] * lib.NR_ORDERS, free_blocks(kernel)
    free = "".join(
        f"Node {0:4d}, zone {'Normal':>8}, type {kind:>12} "
        + "".join(f"{nr:6d} " for nr in (found if nth == MOVABLE else nothing))
        + "\n"
        for nth, kind in enumerate(MIGRATE_TYPES)
    )
    total = int(kernel.memory.counters.nr_total) >> PAGEBLOCK_ORDER
    blocks = "".join(f"{total if nth == MOVABLE else 0:12d} " for nth in range(len(MIGRATE_TYPES)))
    return (
        f"Page block order: {PAGEBLOCK_ORDER}\nPages per block:  {1 << PAGEBLOCK_ORDER}\n\n"
        f"{'Free pages count per migrate type at order':<43} "
        + "".join(f"{order:6d} " for order in range(lib.NR_ORDERS))
        + f"\n{free}\n{'Number of blocks type':<23}"
        + "".join(f"{kind:>12} " for kind in MIGRATE_TYPES)
        + f"\nNode 0, zone {'Normal':>8} {blocks}\n"
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
