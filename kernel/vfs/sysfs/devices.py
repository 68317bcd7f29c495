"""/sys/devices/system: the one processor and the nodes of memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkern.kernel.mm import nodes
from pkern.kernel.mm.policy import node_list
from pkern.kernel.vfs.sysfs import mm
from pkern.kernel.vfs.sysfs.fs import Attribute, Link, Tree, fixed, number

if TYPE_CHECKING:
    from pkern.kernel.mm.memory import Memory

KB_PER_PAGE = 4
HUGE_KB = 2048
ALL = "0"  # the processors, as a list
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


def _meminfo(memory: Memory, nid: int) -> str:
    """The node's part of /proc/meminfo. Source: drivers/base/node.c."""
    n = nodes.info(memory, nid)
    total, free = n["nr_total"], n["nr_free"]
    anon, file = n["nr_inactive_anon"], n["nr_inactive_file"]
    active_anon, active_file = n["nr_active_anon"], n["nr_active_file"]
    rows = {
        "MemTotal": total, "MemFree": free, "MemUsed": total - free,
        "SwapCached": n["nr_swapcached"], "Active": active_anon + active_file,
        "Inactive": anon + file, "Active(anon)": active_anon, "Inactive(anon)": anon,
        "Active(file)": active_file, "Inactive(file)": file,
        "Unevictable": n["pinned"], "Mlocked": n["mlocked"], "Dirty": n["nr_dirty"],
        "Writeback": 0, "FilePages": n["nr_file"], "Mapped": n["nr_mapped"],
        "AnonPages": n["nr_anon"], "Shmem": n["nr_shmem"], "KernelStack": 0,
        "PageTables": n["nr_pagetable"], "SecPageTables": 0, "NFS_Unstable": 0, "Bounce": 0,
        "WritebackTmp": 0, "KReclaimable": 0, "Slab": n["nr_slab"], "SReclaimable": 0,
        "SUnreclaim": n["nr_slab"], "AnonHugePages": 0, "ShmemHugePages": 0,
        "ShmemPmdMapped": 0, "FileHugePages": 0, "FilePmdMapped": 0,
    }  # fmt: skip
    lines = [
        f"Node {nid} {name + ':':<15} {pages * KB_PER_PAGE:8d} kB" for name, pages in rows.items()
    ]
    pool = _pool(memory, nid, n)
    lines += [f"Node {nid} {f'HugePages_{name}:':<16} {nr:5d}" for name, nr in pool.items()]
    return "\n".join(lines)


def _pool(memory: Memory, nid: int, n: dict[str, int]) -> dict[str, int]:
    """The large pages of a node; the surplus is counted with the first."""
    surplus = int(memory.counters.nr_huge_surplus) if nid == 0 else 0
    return {"Total": n["nr_huge"], "Free": n["nr_huge_free"], "Surp": surplus}


def _numastat(memory: Memory, nid: int) -> str:
    n = nodes.info(memory, nid)
    rows = {
        "numa_hit": n["hit"],
        "numa_miss": n["miss"],
        "numa_foreign": n["foreign"],
        "interleave_hit": n["interleave_hit"],
        "local_node": n["local"],
        "other_node": n["other"],
    }
    return "\n".join(f"{name} {nr}" for name, nr in rows.items())


def _vmstat(memory: Memory, nid: int) -> str:
    found = nodes.values(nodes.info(memory, nid))
    return "\n".join(f"{name} {nr}" for name, nr in found.items())


def _distances(memory: Memory, nid: int) -> str:
    return " ".join(
        str(nodes.LOCAL_DISTANCE if other == nid else nodes.REMOTE_DISTANCE)
        for other in range(memory.nr_nodes)
    )


def _node(memory: Memory, nid: int) -> Tree:
    """One node: the processor is near the first."""
    large = ("free_hugepages", "nr_hugepages", "surplus_hugepages")
    near: Tree = {"cpu0": Link("../../cpu/cpu0")} if nid == 0 else {}
    return near | {
        "compact": Attribute(None, _now),
        "cpulist": fixed(ALL if nid == 0 else ""),
        "cpumap": fixed(MASK if nid == 0 else "0"),
        "distance": fixed(_distances(memory, nid)),
        "hugepages": {
            size: {name: pool[name] for name in large} for size, pool in mm.pools(memory).items()
        },
        "meminfo": Attribute(lambda: _meminfo(memory, nid)),
        "numastat": Attribute(lambda: _numastat(memory, nid)),
        "vmstat": Attribute(lambda: _vmstat(memory, nid)),
    }


def node(memory: Memory) -> Tree:
    """The nodes of memory."""
    there = fixed(node_list(memory.all_nodes))
    each: Tree = {f"node{nid}": _node(memory, nid) for nid in range(memory.nr_nodes)}
    return each | {
        "has_cpu": fixed(ALL),
        "has_generic_initiator": fixed(""),
        "has_memory": there,
        "has_normal_memory": there,
        "online": there,
        "possible": there,
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
