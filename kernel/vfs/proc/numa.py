"""/proc/PID/numa_maps: the memory policy and the pages of each VMA, in Linux's words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pkern.kernel.core import ffi, lib
from pkern.kernel.mm.policy import DEFAULT
from pkern.kernel.vfs.proc.maps import columns

if TYPE_CHECKING:
    from pkern.kernel.mm.mm import Vma
    from pkern.kernel.tasks.task import Task

ESCAPES = {" ": "\\040", "\t": "\\011", "\n": "\\012", "=": "\\075", "\\": "\\134"}
PLACES = {"[heap]": " heap", "[stack]": " stack"}


def _where(task: Task, vma: Vma) -> str:
    name = columns(task, vma._replace(name=0)).name
    if vma.mapping_cookie or vma.file_cookie:
        return " file=" + "".join(ESCAPES.get(letter, letter) for letter in name)
    return PLACES.get(name, "")


def _counts(info: Any) -> list[tuple[str, int]]:
    """Return (word, pages) of what there is to say."""
    pages = int(info.pages)
    mapped = pages if pages not in (info.anon, info.dirty) else 0
    rows = [
        ("anon", info.anon),
        ("dirty", info.dirty),
        ("mapped", mapped),
        ("mapmax", info.mapmax if info.mapmax > 1 else 0),
        ("swapcache", info.swapcache),
    ]
    return [(name, int(nr)) for name, nr in rows if nr]


def _line(task: Task, vma: Vma) -> str:
    info = ffi.new("struct numa_info *")
    lib.mm_numa(task.mm.handle, vma.start, info)
    large = vma.flags & lib.VM_HUGETLB
    policy = task.mm.policy_at(vma.start) or DEFAULT
    word = policy if policy.mode else task.mm.policy
    line = f"{vma.start:08x} {word}{_where(task, vma)}" + (" huge" if large else "")
    if not info.pages:
        return line + "\n"
    line += "".join(f" {name}={nr}" for name, nr in _counts(info))
    if info.active < info.pages and not large:
        line += f" active={int(info.active)}"
    line += "".join(f" N{node}={int(nr)}" for node, nr in enumerate(info.nodes) if nr)
    return f"{line} kernelpagesize_kB={vma.page_size >> 10}\n"


def numa_maps(task: Task) -> str:
    """Policy, place and pages of each VMA. Source: numa_maps(5)."""
    return "".join(_line(task, vma) for vma in task.mm.vmas()) if task.alive else ""
