"""Sysctls of Linux 6.18 that keep what is written, and that nothing here has a use for.

Programs look for them, write and read them back; ranges and defaults are Linux's. What they would
govern - compaction, write-back by time, several zones - is not modelled.
"""

from __future__ import annotations

from pkern.kernel.sysctl_entry import MAX, Entry, Value

INT_MAX = (1 << 31) - 1
WRITE_ONLY = 0o200
OWN = 0o600

# Name, default, least, most, what it governs.
NUMBERS: tuple[tuple[str, int, int, int, str], ...] = (
    ("fs.pipe-max-size", 1 << 20, 4096, INT_MAX, "the largest buffer of a pipe, bytes"),
    ("fs.pipe-user-pages-hard", 0, 0, MAX, "pages that a user's pipes may never exceed"),
    ("fs.pipe-user-pages-soft", 16384, 0, MAX, "pages beyond which pipes get small"),
    ("kernel.auto_msgmni", 0, 0, 1, "nothing any more"),
    ("kernel.cap_last_cap", 40, 40, 40, "the last capability there is"),
    ("kernel.ngroups_max", 65536, 65536, 65536, "supplementary groups at most"),
    ("kernel.overflowgid", 65534, 0, 65535, "the group of who has none here"),
    ("kernel.overflowuid", 65534, 0, 65535, "the user of who has none here"),
    ("kernel.tainted", 0, 0, MAX, "what has compromised the kernel"),
    ("vm.admin_reserve_kbytes", 8192, 0, MAX, "what mode 2 keeps for root, KiB"),
    ("vm.compact_unevictable_allowed", 1, 0, 1, "compaction of locked pages"),
    ("vm.compaction_proactiveness", 20, 0, 100, "compaction ahead of need"),
    ("vm.defrag_mode", 0, 0, 1, "allocation against fragmentation"),
    ("vm.dirty_expire_centisecs", 3000, 0, INT_MAX, "the age at which dirty pages are written"),
    ("vm.dirty_writeback_centisecs", 500, 0, INT_MAX, "how often old dirty pages are sought"),
    ("vm.dirtytime_expire_seconds", 43200, 0, INT_MAX, "the age at which times are written"),
    ("vm.extfrag_threshold", 500, 0, 1000, "compaction against reclaim"),
    ("vm.hugetlb_optimize_vmemmap", 0, 0, 1, "page structures of large pages"),
    ("vm.laptop_mode", 0, 0, INT_MAX, "write-back that spares a disk"),
    ("vm.memfd_noexec", 0, 0, 2, "execution of memfds"),
    ("vm.min_slab_ratio", 5, 0, 100, "slab pages of a zone before it is reclaimed"),
    ("vm.min_unmapped_ratio", 1, 0, 100, "unmapped pages of a zone before it is reclaimed"),
    ("vm.mmap_rnd_bits", 28, 28, 32, "randomisation of mappings"),
    ("vm.mmap_rnd_compat_bits", 8, 8, 16, "the same for 32-bit programs"),
    ("vm.numa_stat", 1, 0, 1, "counters of nodes"),
    ("vm.oom_dump_tasks", 1, 0, INT_MAX, "the list of tasks in the report of the OOM killer"),
    ("vm.page_lock_unfairness", 5, 0, INT_MAX, "waiting for a locked page"),
    ("vm.percpu_pagelist_high_fraction", 0, 0, INT_MAX, "lists of pages of each processor"),
    ("vm.shrink_inodes_with_pagecache", 0, 0, 1, "inodes that still have pages"),
    ("vm.stat_interval", 1, 0, INT_MAX, "seconds between two sums of counters"),
    ("vm.user_reserve_kbytes", 131072, 0, MAX, "what mode 2 keeps for others, KiB"),
    ("vm.vfs_cache_pressure", 100, 0, INT_MAX, "reclaim of names and inodes"),
    ("vm.vfs_cache_pressure_denom", 100, 100, INT_MAX, "what the pressure is measured in"),
    ("vm.watermark_boost_factor", 15000, 0, INT_MAX, "watermarks after fragmentation"),
    ("vm.watermark_scale_factor", 10, 1, 3000, "the distance of watermarks"),
    ("vm.zone_reclaim_mode", 0, 0, INT_MAX, "reclaim of a node before another is used"),
)
ROWS: tuple[tuple[str, str, int, str], ...] = (
    ("vm.lowmem_reserve_ratio", "256\t256\t32\t0\t0", 5, "pages that a zone keeps from others"),
)
TEXTS: tuple[tuple[str, str, str], ...] = (
    ("vm.numa_zonelist_order", "Node", "the order of zones"),
)
DONE: tuple[tuple[str, int, str], ...] = (
    ("vm.compact_memory", WRITE_ONLY, "compaction now"),
    ("vm.stat_refresh", OWN, "a sum of counters now"),
)


def _kept(governs: str) -> str:
    return f"Kept as it is written; on Linux it governs {governs}."


def _entry(name: str, default: Value, governs: str, **more: int) -> Entry:
    low, high = more.pop("low", 0), more.pop("high", MAX)
    fixed = "it says what is" if low == high and isinstance(default, int) else ""
    return Entry(
        name,
        _kept(governs),
        "table",
        default=default,
        low=low,
        high=high,
        read_only=fixed,
        columns=more.get("columns", 1),
        mode=more.get("mode", 0),
    )


KEPT = (
    *(_entry(name, value, text, low=low, high=high) for name, value, low, high, text in NUMBERS),
    *(_entry(name, row, text, columns=columns) for name, row, columns, text in ROWS),
    *(_entry(name, value, text) for name, value, text in TEXTS),
    *(
        _entry(name, 0, text, low=1, high=1, mode=mode)._replace(read_only="")
        for name, mode, text in DONE
    ),
)
