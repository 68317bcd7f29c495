"""What the nodes of memory hold, read from the core when it is asked for.

Names are those of /proc/vmstat of Linux 6.18, in its order; what is not modelled counts 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkern.kernel.core import ffi, lib

if TYPE_CHECKING:
    from pkern.kernel.mm.memory import Memory

PAGEBLOCK_ORDER = 9
STATS = ("hit", "miss", "foreign", "interleave_hit", "local", "other")
# Counters of a zone, and of a node.
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
OF_ZONE = tuple(_ZONE_NAMES.split())
OF_NODE = tuple(_NODE_NAMES.split())
# Where they come from: a counter of the core of that name, or of this one.
NODE_SOURCES = {
    "nr_free_pages": "nr_free",
    "nr_free_pages_blocks": "free_blocks",
    "nr_zone_inactive_anon": "nr_inactive_anon",
    "nr_zone_active_anon": "nr_active_anon",
    "nr_zone_inactive_file": "nr_inactive_file",
    "nr_zone_active_file": "nr_active_file",
    "nr_zone_unevictable": "pinned",
    "nr_zone_write_pending": "nr_dirty",
    "nr_mlock": "mlocked",
    "numa_hit": "hit",
    "numa_miss": "miss",
    "numa_foreign": "foreign",
    "numa_interleave": "interleave_hit",
    "numa_local": "local",
    "numa_other": "other",
    "nr_unevictable": "pinned",
    "nr_slab_unreclaimable": "nr_slab",
    "nr_anon_pages": "nr_anon",
    "nr_file_pages": "nr_file",
    "nr_page_table_pages": "nr_pagetable",
    "nr_hugetlb": "hugetlb",
}


def free_blocks(memory: Memory, nid: int) -> list[int]:
    """Return how many aligned free blocks of 1, 2, 4 .. 1024 pages a node has."""
    counts = ffi.new("uint64_t[]", lib.NR_ORDERS)
    lib.machine_free_blocks(memory.core, nid, counts)
    return [int(count) for count in counts]


def info(memory: Memory, nid: int) -> dict[str, int]:
    """Return a node's counters by the core's names, in pages."""
    found = ffi.new("struct node_info *")
    lib.machine_node(memory.core, nid, found)
    fields = [name for name, _ in ffi.typeof("struct node_info").fields if name != "stat"]
    orders = enumerate(free_blocks(memory, nid))
    return {
        **{name: int(getattr(found, name)) for name in fields},
        **{name: int(getattr(found.stat, name)) for name in STATS},
        "free_blocks": sum(nr << order for order, nr in orders if order >= PAGEBLOCK_ORDER),
        "pinned": int(found.nr_unevictable + found.nr_special),
        "mlocked": int(found.nr_unevictable),
        "hugetlb": int(found.nr_huge) << PAGEBLOCK_ORDER,
    }


def infos(memory: Memory) -> list[dict[str, int]]:
    """Return every node's."""
    return [info(memory, nid) for nid in range(memory.nr_nodes)]


def values(node: dict[str, int]) -> dict[str, int]:
    """Return a node's counters by their names in vmstat."""
    return {name: node.get(NODE_SOURCES.get(name, name), 0) for name in (*OF_ZONE, *OF_NODE)}
