"""Memory policies by value: what a mode and a mask of nodes mean, and how a policy is shown.

A policy that is in force is the core's (policy.c); policy_asked.py makes one from what a program
asked for. Source: mm/mempolicy.c of Linux 6.18.
"""

from __future__ import annotations

from pkern.kernel.core import ffi, lib
from pkern.kernel.typed import Any, Iterator
from pkern.kernel.values import NamedTuple

STATIC, RELATIVE, BALANCING = 1 << 15, 1 << 14, 1 << 13
MODE_FLAGS = STATIC | RELATIVE | BALANCING
WORDS = (
    "default",
    "prefer",
    "bind",
    "interleave",
    "local",
    "prefer (many)",
    "weighted interleave",
)
FLAG_WORDS = {"static": STATIC, "relative": RELATIVE}
INTERLEAVED = frozenset({lib.MPOL_INTERLEAVE, lib.MPOL_WEIGHTED_INTERLEAVE})
NODES = 1024  # numbers that a list may have
BALANCED = frozenset({lib.MPOL_BIND, lib.MPOL_PREFERRED_MANY})
WORD = (1 << 64) - 1


class Policy(NamedTuple):
    """A policy by value: enum mpol_mode, MPOL_F_* flags, masks of nodes, the home node."""

    mode: int = lib.MPOL_DEFAULT
    flags: int = 0
    nodes: int = 0
    user_nodes: int = 0
    home: int = lib.NO_NODE

    @property
    def shown_nodes(self) -> int:
        """The mask that get_mempolicy tells: as it was given, where the flags say so."""
        return self.user_nodes if self.flags else self.nodes

    @property
    def preferred_node(self) -> int | None:
        """The one node that it would rather have, if there is one."""
        if self.mode == lib.MPOL_PREFERRED:
            return next(nodes_in(self.nodes))
        return None if self.home == lib.NO_NODE else self.home

    def __str__(self) -> str:
        """Return the word of /proc/PID/numa_maps."""
        text = WORDS[self.mode]
        if self.flags:
            named = [word for word, bit in FLAG_WORDS.items() if self.flags & bit]
            text += "=" + "|".join(named + ["balancing"] * bool(self.flags & BALANCING))
        return text + (f":{node_list(self.nodes)}" if self.nodes else "")


DEFAULT = Policy()


def nodes_in(mask: int) -> Iterator[int]:
    """Yield the numbers of the bits that are set, in order."""
    return (node for node in range(mask.bit_length()) if mask >> node & 1)


def node_list(mask: int) -> str:
    """Return a mask as Linux lists one: 0-1,3."""
    parts: list[list[int]] = []
    for node in nodes_in(mask):
        if parts and node == parts[-1][-1] + 1:
            parts[-1] = [parts[-1][0], node]
        else:
            parts.append([node])
    return ",".join("-".join(map(str, part)) for part in parts)


def of_core(value: Any) -> Policy:
    """Return the policy in a struct policy of the core."""
    fields = (value.mode, value.flags, value.nodes, value.user_nodes, value.home)
    return Policy(*map(int, fields))


def to_core(policy: Policy) -> Any:
    """Return a struct policy for the core."""
    return ffi.new("struct policy *", policy)
