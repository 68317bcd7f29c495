"""The texts of /sys/devices/system/node: what a node holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkern.kernel.mm import nodes

if TYPE_CHECKING:
    from pkern.kernel.mm.memory import Memory

KB_PER_PAGE = 4


def meminfo(memory: Memory, nid: int) -> str:
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


def numastat(memory: Memory, nid: int) -> str:
    """Where pages came from. Source: Documentation/admin-guide/numastat.rst."""
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


def vmstat(memory: Memory, nid: int) -> str:
    """The node's part of /proc/vmstat."""
    found = nodes.values(nodes.info(memory, nid))
    return "\n".join(f"{name} {nr}" for name, nr in found.items())
