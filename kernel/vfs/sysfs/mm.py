"""/sys/kernel/mm: the pools of large pages, and what else can be set about memory."""

from __future__ import annotations

import errno

from pkern.kernel import late
from pkern.kernel.errors import SyscallError
from pkern.kernel.typed import TYPE_CHECKING
from pkern.kernel.vfs.sysfs.fs import Attribute, Tree, fixed, number

if TYPE_CHECKING:
    from pkern.kernel.mm.memory import Memory

PMD_BYTES = 2 << 20
NODES = "pkern.kernel.mm.nodes"
MOST_WEIGHT = 255
INT_MAX, UINT_MAX = (1 << 31) - 1, (1 << 32) - 1
BOOLEANS = {"1": "true", "true": "true", "y": "true", "0": "false", "false": "false", "n": "false"}


def _pool(memory: Memory) -> dict[str, Attribute]:
    """The pool of 2 MiB pages, as vm.nr_hugepages sees it."""
    counters, tunables = memory.counters, memory.tunables

    def resize(text: str) -> None:
        memory.nr_hugepages = number(text)

    def overcommit(text: str) -> None:
        tunables.nr_overcommit_hugepages = number(text)

    size = Attribute(lambda: str(int(counters.nr_huge) + int(counters.nr_huge_surplus)), resize)
    return {
        "free_hugepages": Attribute(lambda: str(int(counters.nr_huge_free))),
        "nr_hugepages": size,
        "nr_hugepages_mempolicy": size,
        "nr_overcommit_hugepages": Attribute(
            lambda: str(int(tunables.nr_overcommit_hugepages)), overcommit
        ),
        "resv_hugepages": Attribute(lambda: str(int(counters.nr_huge_reserved))),
        "surplus_hugepages": Attribute(lambda: str(int(counters.nr_huge_surplus))),
    }


def _no_more(text: str) -> None:
    """Take a size that a pool without memory for a single page cannot have."""
    number(text)


def _refused(text: str) -> None:
    raise SyscallError(errno.EINVAL)


def _empty_pool() -> dict[str, Attribute]:
    """The pool of 1 GiB pages, for which memory never lies together."""
    nothing = Attribute(lambda: "0")
    return {
        "free_hugepages": nothing,
        "nr_hugepages": Attribute(lambda: "0", _no_more),
        "nr_hugepages_mempolicy": Attribute(lambda: "0", _no_more),
        "nr_overcommit_hugepages": Attribute(lambda: "0", _refused),
        "resv_hugepages": nothing,
        "surplus_hugepages": nothing,
    }


def own_pool(memory: Memory, nid: int, size: str) -> dict[str, Attribute]:
    """Return what a node's large pages say of themselves, where there are several nodes.

    The pool is grown and shrunk as a whole, and its surplus is counted with the first node.
    """
    if memory.nr_nodes == 1 or size != "hugepages-2048kB":
        return {}

    def count(name: str) -> Attribute:
        return Attribute(lambda: str(late.load(NODES).info(memory, nid)[name]))

    return {"free_hugepages": count("nr_huge_free"), "nr_hugepages": count("nr_huge")}


def pools(memory: Memory) -> dict[str, dict[str, Attribute]]:
    """Return the pools by the names of their directories."""
    return {"hugepages-1048576kB": _empty_pool(), "hugepages-2048kB": _pool(memory)}


class Kept:
    """Values that are kept as they are written, where nothing here has a use for them."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    def number(self, name: str, default: int, high: int = UINT_MAX, low: int = 0) -> Attribute:
        """Return an attribute for a number low..high."""
        self._values[name] = str(default)

        def store(text: str) -> None:
            value = number(text, high)
            if value < low:
                raise SyscallError(errno.EINVAL)
            self._values[name] = str(value)

        return Attribute(lambda: self._values[name], store)

    def choice(self, name: str, words: str, default: str) -> Attribute:
        """Return an attribute for one of several words; the chosen one is shown in brackets."""
        self._values[name] = default

        def show() -> str:
            chosen = self._values[name]
            return " ".join(f"[{word}]" if word == chosen else word for word in words.split())

        def store(text: str) -> None:
            if text.strip() not in words.split():
                raise SyscallError(errno.EINVAL)
            self._values[name] = text.strip()

        return Attribute(show, store)

    def boolean(self, name: str, default: str) -> Attribute:
        """Return an attribute that is true or false."""
        self._values[name] = default

        def store(text: str) -> None:
            word = BOOLEANS.get(text.strip().lower())
            if word is None:
                raise SyscallError(errno.EINVAL)
            self._values[name] = word

        return Attribute(lambda: self._values[name], store)


def _transparent(kept: Kept) -> Tree:
    """Transparent large pages, which nobody gets: the choice is kept."""
    return {
        "defrag": kept.choice("defrag", "always defer defer+madvise madvise never", "madvise"),
        "enabled": kept.choice("enabled", "always madvise never", "madvise"),
        "hpage_pmd_size": fixed(str(PMD_BYTES)),
        "khugepaged": {
            "alloc_sleep_millisecs": kept.number("alloc_sleep_millisecs", 60000),
            "defrag": kept.number("khugepaged_defrag", 1, 1),
            "full_scans": fixed("0"),
            "max_ptes_none": kept.number("max_ptes_none", 511, 511),
            "max_ptes_shared": kept.number("max_ptes_shared", 256, 511),
            "max_ptes_swap": kept.number("max_ptes_swap", 64, 511),
            "pages_collapsed": fixed("0"),
            "pages_to_scan": kept.number("pages_to_scan", 4096, UINT_MAX, 1),
            "scan_sleep_millisecs": kept.number("scan_sleep_millisecs", 10000),
        },
        "shmem_enabled": kept.choice(
            "shmem_enabled", "always within_size advise never deny force", "never"
        ),
        "use_zero_page": kept.number("use_zero_page", 1, 1),
    }


def _weights(memory: Memory) -> Tree:
    """The weights of weighted interleaving, all 1 while "auto" is true."""
    kept, weights = {"auto": "true"}, memory.tunables.interleave_weights

    def store_auto(text: str) -> None:
        word = BOOLEANS.get(text.strip().lower())
        if word is None:
            raise SyscallError(errno.EINVAL)
        kept["auto"] = word
        if word == "true":
            for nid in range(memory.nr_nodes):
                weights[nid] = 1

    def attribute(nid: int) -> Attribute:
        def store(text: str) -> None:
            weight = number(text or "0") if text.strip() else 1
            if not 1 <= weight <= MOST_WEIGHT:
                raise SyscallError(errno.EINVAL)
            weights[nid], kept["auto"] = weight, "false"

        return Attribute(lambda: str(int(weights[nid])), store)

    found: Tree = {f"node{nid}": attribute(nid) for nid in range(memory.nr_nodes)}
    # "auto" by its name in 6.18, where a macro of the compiler's got hold of it.
    return found | {"__auto_type": Attribute(lambda: kept["auto"], store_auto)}


def tree(memory: Memory) -> Tree:
    """Return what stands below /sys/kernel/mm. Source: Documentation/ABI of Linux 6.18."""
    kept = Kept()
    return {
        "hugepages": {size: {**pool} for size, pool in pools(memory).items()},
        "mempolicy": {"weighted_interleave": _weights(memory)},
        "numa": {"demotion_enabled": kept.boolean("demotion_enabled", "false")},
        "swap": {"vma_ra_enabled": kept.boolean("vma_ra_enabled", "false")},
        "transparent_hugepage": _transparent(kept),
    }
