"""/sys/devices/system: the one processor and the nodes of memory."""

from __future__ import annotations

from pkern.kernel import late
from pkern.kernel.lean import partial
from pkern.kernel.mm.policy import node_list
from pkern.kernel.typed import TYPE_CHECKING
from pkern.kernel.vfs.sysfs import fs, mm
from pkern.kernel.vfs.sysfs.fs import Attribute, Link, Tree, fixed, number
from pkern.kernel.vfs.sysfs.ksm import tree as ksm_tree

if TYPE_CHECKING:
    from pkern.kernel.mm.ksm import Ksm
    from pkern.kernel.mm.memory import Memory
    from pkern.kernel.vfs.fs.latedir import Plan
    from pkern.kernel.vfs.inode import Inode
    from pkern.kernel.vfs.machine import Machine

LOCAL_DISTANCE, REMOTE_DISTANCE = 10, 20
TEXTS = "pkern.kernel.vfs.sysfs.node"
MEMINFO, NUMASTAT = late.function(TEXTS, "meminfo"), late.function(TEXTS, "numastat")
VMSTAT = late.function(TEXTS, "vmstat")
ALL = "0"  # the processors, as a list
MASK = "1"
LARGE = ("free_hugepages", "nr_hugepages", "surplus_hugepages")
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


def _distances(memory: Memory, nid: int) -> str:
    return " ".join(
        str(LOCAL_DISTANCE if other == nid else REMOTE_DISTANCE) for other in range(memory.nr_nodes)
    )


def _large_pages(memory: Memory, nid: int, size: str, pool: dict[str, Attribute]) -> Tree:
    found: Tree = {name: pool[name] for name in LARGE}
    found.update(mm.own_pool(memory, nid, size))
    return found


def _node(memory: Memory, nid: int) -> Tree:
    """One node: the processor is near the first."""
    near: Tree = {"cpu0": Link("../../cpu/cpu0")} if nid == 0 else {}
    return near | {
        "compact": Attribute(None, _now),
        "cpulist": fixed(ALL if nid == 0 else ""),
        "cpumap": fixed(MASK if nid == 0 else "0"),
        "distance": fixed(_distances(memory, nid)),
        "hugepages": {
            size: _large_pages(memory, nid, size, pool) for size, pool in mm.pools(memory).items()
        },
        "meminfo": Attribute(partial(MEMINFO, memory, nid)),
        "numastat": Attribute(partial(NUMASTAT, memory, nid)),
        "vmstat": Attribute(partial(VMSTAT, memory, nid)),
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


def tree(memory: Memory, ksm: Ksm, tracing: Inode) -> Tree:
    """Return all of /sys. Source: Documentation/ABI of Linux 6.18."""
    return {
        "block": {},
        "bus": {},
        "class": {},
        "dev": {},
        "devices": {"system": {"cpu": cpu(), "node": node(memory)}},
        "firmware": {},
        "fs": {},
        "kernel": {"mm": mm.tree(memory) | {"ksm": ksm_tree(ksm)}, "tracing": tracing},
        "module": {},
        "power": {},
    }


def plan(kernel: Machine, memory: Memory, ksm: Ksm, tracing: Inode) -> Plan:
    """Return what makes the inodes of /sys."""
    return fs.plan(kernel, tree(memory, ksm, tracing))
