"""Sysctls of Linux 6.18 that keep what is written, and that nothing here has a use for.

Programs look for them, write and read them back; ranges and defaults are Linux's. What they would
govern - compaction, write-back by time, several zones - is not modelled.
"""

from __future__ import annotations

from pkern.kernel.sysctl_entry import MAX, Entry, Value

INT_MIN, INT_MAX, UINT_MAX = -(1 << 31), (1 << 31) - 1, (1 << 32) - 1
WRITE_ONLY = 0o200
OWN = 0o600

# Name, default, least, most, what it governs.
NUMBERS: tuple[tuple[str, int, int, int, str], ...] = (
    ("fs.aio-max-nr", 65536, 0, MAX, "requests of the older asynchronous I/O"),
    ("fs.aio-nr", 0, 0, 0, "how many of these there are"),
    ("fs.mount-max", 100000, 1, INT_MAX, "mounts of a namespace"),
    ("fs.overflowgid", 65534, 0, 65535, "groups that a file system has no room for"),
    ("fs.overflowuid", 65534, 0, 65535, "users that a file system has no room for"),
    ("fs.protected_fifos", 0, 0, 2, "others' FIFOs in directories with the sticky bit"),
    ("fs.protected_hardlinks", 0, 0, 1, "links to files of others"),
    ("fs.protected_regular", 0, 0, 2, "others' files in directories with the sticky bit"),
    ("fs.protected_symlinks", 0, 0, 1, "others' links in directories with the sticky bit"),
    ("kernel.auto_msgmni", 0, 0, 1, "nothing any more"),
    ("kernel.cap_last_cap", 40, 40, 40, "the last capability there is"),
    ("kernel.ctrl-alt-del", 0, INT_MIN, INT_MAX, "three keys of a keyboard"),
    ("kernel.kptr_restrict", 0, 0, 2, "addresses of the kernel in texts"),
    ("kernel.max_lock_depth", 1024, INT_MIN, INT_MAX, "chains of locks that inherit priority"),
    ("kernel.ngroups_max", 65536, 65536, 65536, "supplementary groups at most"),
    ("kernel.overflowgid", 65534, 0, 65535, "the group of who has none here"),
    ("kernel.overflowuid", 65534, 0, 65535, "the user of who has none here"),
    ("kernel.panic", 0, INT_MIN, INT_MAX, "seconds from a panic to a restart"),
    ("kernel.panic_on_oops", 0, INT_MIN, INT_MAX, "panics at a fault of the kernel's"),
    ("kernel.panic_on_warn", 0, 0, 1, "panics at a warning"),
    ("kernel.print-fatal-signals", 0, INT_MIN, INT_MAX, "log lines about signals that kill"),
    ("kernel.printk_delay", 0, 0, 10000, "milliseconds between two lines of the log"),
    ("kernel.printk_ratelimit", 5, 0, INT_MAX, "seconds in which few lines are logged"),
    ("kernel.printk_ratelimit_burst", 10, INT_MIN, INT_MAX, "how many these are"),
    ("kernel.pty.reserve", 1024, 0, INT_MAX, "pseudo-terminals for the first mount of devpts"),
    ("kernel.random.urandom_min_reseed_secs", 60, INT_MIN, INT_MAX, "nothing any more"),
    ("kernel.random.write_wakeup_threshold", 256, INT_MIN, INT_MAX, "nothing any more"),
    ("kernel.real-root-dev", 0, 0, UINT_MAX, "the root file system behind an initial one"),
    ("kernel.sched_autogroup_enabled", 1, 0, 1, "a share of the processor for each session"),
    ("kernel.sched_cfs_bandwidth_slice_us", 5000, 1, UINT_MAX, "bandwidth of groups"),
    ("kernel.sched_deadline_period_max_us", 4194304, 100, UINT_MAX, "periods of deadlines"),
    ("kernel.sched_deadline_period_min_us", 100, 0, 4194304, "periods of deadlines"),
    ("kernel.sched_rr_timeslice_ms", 100, INT_MIN, INT_MAX, "slices of SCHED_RR"),
    ("kernel.sched_rt_period_us", 1_000_000, 1, INT_MAX, "the period of real-time tasks"),
    ("kernel.sched_rt_runtime_us", 950_000, -1, INT_MAX, "what of it is theirs"),
    ("kernel.sysctl_writes_strict", 1, -1, 1, "writes that do not start at a file's beginning"),
    ("kernel.tainted", 0, 0, MAX, "what has compromised the kernel"),
    ("kernel.task_delayacct", 0, 0, 1, "accounts of what tasks wait for"),
    ("kernel.timer_migration", 1, 0, 1, "timers of idle processors"),
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
PRIVATE = frozenset({"vm.mmap_rnd_bits", "vm.mmap_rnd_compat_bits"})  # others may not read them
ROWS: tuple[tuple[str, str, int, str], ...] = (
    ("vm.lowmem_reserve_ratio", "256\t256\t32\t0\t0", 5, "pages that a zone keeps from others"),
)
TEXTS: tuple[tuple[str, str, str], ...] = (
    ("kernel.printk_devkmsg", "ratelimit", "writes to the log"),
    (
        "kernel.seccomp.actions_logged",
        "kill_process kill_thread trap errno user_notif trace log",
        "actions of filters that may be logged",
    ),
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
        command=more.get("command", 0),
        mode=more.get("mode", 0),
    )


KEPT = (
    *(
        _entry(name, value, text, low=low, high=high, mode=OWN if name in PRIVATE else 0)
        for name, value, low, high, text in NUMBERS
    ),
    *(_entry(name, row, text, columns=columns) for name, row, columns, text in ROWS),
    *(_entry(name, value, text) for name, value, text in TEXTS),
    *(
        _entry(name, 0, text, low=1, high=1, mode=mode, command=int(mode == OWN))._replace(
            read_only=""
        )
        for name, mode, text in DONE
    ),
)
