"""/sys/devices/system: the one processor and the one node of memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pkern.kernel.vfs.sysfs import mm
from pkern.kernel.vfs.sysfs.fs import Attribute, Link, Tree, fixed, number

if TYPE_CHECKING:
    from pkern.kernel.mm.memory import Memory

KB_PER_PAGE = 4
HUGE_KB = 2048
ALL = "0"  # the processors, and the nodes, as a list
MASK = "1"
NOT_AFFECTED = (
    "gather_data_sampling ghostwrite indirect_target_selection itlb_multihit l1tf mds meltdown "
    "mmio_stale_data old_microcode reg_file_data_sampling retbleed spec_rstack_overflow "
    "spec_store_bypass spectre_v1 spectre_v2 srbds tsa tsx_async_abort vmscape"
)
TOPOLOGY = {
    "cluster_cpus": MASK,
    "cluster_cpus_list": ALL,
    "cluster_id": "0",
    "core_cpus": MASK,
    "core_cpus_list": ALL,
    "core_id": "0",
    "core_siblings": MASK,
    "core_siblings_list": ALL,
    "die_cpus": MASK,
    "die_cpus_list": ALL,
    "die_id": "0",
    "package_cpus": MASK,
    "package_cpus_list": ALL,
    "physical_package_id": "0",
    "thread_siblings": MASK,
    "thread_siblings_list": ALL,
}


def _now(text: str) -> None:
    """Compact memory, of which every page serves as well as another."""
    number(text)


def cpu() -> Tree:
    """The processors."""
    return {
        "cpu0": {
            "node0": Link("../../node/node0"),
            "topology": {name: fixed(text) for name, text in TOPOLOGY.items()},
        },
        "enabled": fixed(ALL),
        "isolated": fixed(""),
        "kernel_max": fixed("0"),
        "offline": fixed(""),
        "online": fixed(ALL),
        "possible": fixed(ALL),
        "present": fixed(ALL),
        "smt": {"active": fixed("0"), "control": fixed("notsupported")},
        "vulnerabilities": {name: fixed("Not affected") for name in NOT_AFFECTED.split()},
    }


def _meminfo(memory: Memory) -> str:
    """The node's part of /proc/meminfo, which is all of it. Source: drivers/base/node.c."""
    c: Any = memory.counters
    total, free = int(c.nr_total), int(c.nr_free)
    anon, file = int(c.nr_inactive_anon), int(c.nr_inactive_file)
    active_anon, active_file = int(c.nr_active_anon), int(c.nr_active_file)
    locked = int(c.nr_unevictable)
    rows = {
        "MemTotal": total, "MemFree": free, "MemUsed": total - free,
        "SwapCached": int(c.nr_swapcached), "Active": active_anon + active_file,
        "Inactive": anon + file, "Active(anon)": active_anon, "Inactive(anon)": anon,
        "Active(file)": active_file, "Inactive(file)": file,
        "Unevictable": locked + int(c.nr_special), "Mlocked": locked, "Dirty": int(c.nr_dirty),
        "Writeback": 0, "FilePages": int(c.nr_file), "Mapped": int(c.nr_mapped),
        "AnonPages": int(c.nr_anon), "Shmem": int(c.nr_shmem), "KernelStack": 0,
        "PageTables": int(c.nr_pagetable), "SecPageTables": 0, "NFS_Unstable": 0, "Bounce": 0,
        "WritebackTmp": 0, "KReclaimable": 0, "Slab": int(c.nr_slab), "SReclaimable": 0,
        "SUnreclaim": int(c.nr_slab), "AnonHugePages": 0, "ShmemHugePages": 0,
        "ShmemPmdMapped": 0, "FileHugePages": 0, "FilePmdMapped": 0,
    }  # fmt: skip
    lines = [f"Node 0 {name + ':':<15} {pages * KB_PER_PAGE:8d} kB" for name, pages in rows.items()]
    pool = {
        "Total": int(c.nr_huge) + int(c.nr_huge_surplus),
        "Free": int(c.nr_huge_free),
        "Surp": int(c.nr_huge_surplus),
    }
    lines += [f"Node 0 {f'HugePages_{name}:':<16} {nr:5d}" for name, nr in pool.items()]
    return "\n".join(lines)


def _numastat(memory: Memory) -> str:
    taken = int(memory.counters.pgalloc)
    rows = {
        "numa_hit": taken,
        "numa_miss": 0,
        "numa_foreign": 0,
        "interleave_hit": 0,
        "local_node": taken,
        "other_node": 0,
    }
    return "\n".join(f"{name} {nr}" for name, nr in rows.items())


def node(memory: Memory) -> Tree:
    """The nodes of memory."""
    large = ("free_hugepages", "nr_hugepages", "surplus_hugepages")
    pools = mm.pools(memory)
    return {
        "has_cpu": fixed(ALL),
        "has_generic_initiator": fixed(""),
        "has_memory": fixed(ALL),
        "has_normal_memory": fixed(ALL),
        "node0": {
            "compact": Attribute(None, _now),
            "cpu0": Link("../../cpu/cpu0"),
            "cpulist": fixed(ALL),
            "cpumap": fixed(MASK),
            "distance": fixed("10"),
            "hugepages": {
                size: {name: pool[name] for name in large} for size, pool in pools.items()
            },
            "meminfo": Attribute(lambda: _meminfo(memory)),
            "numastat": Attribute(lambda: _numastat(memory)),
        },
        "online": fixed(ALL),
        "possible": fixed(ALL),
    }


def tree(memory: Memory) -> Tree:
    """Return all of /sys. Source: Documentation/ABI of Linux 6.18."""
    return {
        "block": {},
        "bus": {},
        "class": {},
        "dev": {},
        "devices": {"system": {"cpu": cpu(), "node": node(memory)}},
        "firmware": {},
        "fs": {},
        "kernel": {"mm": mm.tree(memory)},
        "module": {},
        "power": {},
    }
