"""Memory policies: what a mode and a mask of nodes mean, and how a policy is written.

A policy that is in force is the core's (policy.c); here one is made from what a program asked for,
and shown. Source: mm/mempolicy.c of Linux 6.18.
"""

from __future__ import annotations

import errno

from pkern.kernel.core import ffi, lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.numbers import is_decimal
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


def split_mode(mode: int) -> tuple[int, int]:
    """Return mode and flags of a call's mode argument. Errors: EINVAL."""
    flags, mode = mode & MODE_FLAGS, mode & ~MODE_FLAGS
    both = flags & (STATIC | RELATIVE) == STATIC | RELATIVE
    if not 0 <= mode < lib.MPOL_MAX or both or (flags & BALANCING and mode not in BALANCED):
        raise SyscallError(errno.EINVAL)
    return mode, flags


def folded(mask: int, allowed: int) -> int:
    """Return the allowed nodes that a relative mask means: bit n is the n-th of them, and so on."""
    there = list(nodes_in(allowed))
    return sum({1 << there[node % len(there)] for node in nodes_in(mask)})


def make(mode: int, flags: int, nodes: int, allowed: int) -> Policy:
    """Return the policy that was asked for. allowed: mask of what there is. Errors: EINVAL."""
    kept = flags & (STATIC | RELATIVE)
    if mode == lib.MPOL_PREFERRED and not nodes and not kept:
        mode = lib.MPOL_LOCAL
    wants_nodes = mode not in (lib.MPOL_DEFAULT, lib.MPOL_LOCAL)
    if bool(nodes) != wants_nodes or (mode == lib.MPOL_LOCAL and kept):
        raise SyscallError(errno.EINVAL)
    if mode == lib.MPOL_DEFAULT:
        return DEFAULT
    there = folded(nodes, allowed) if flags & RELATIVE else nodes & allowed
    if wants_nodes and not there:
        raise SyscallError(errno.EINVAL)
    if mode == lib.MPOL_PREFERRED:
        there &= -there
    return Policy(mode, flags, there, nodes & WORD if flags else 0)


def parse(text: str, allowed: int) -> Policy:
    """Return the policy of a tmpfs's mpol=, mode[=flag][:nodes]. Errors: EINVAL.

    Source: mpol_parse_str() of Linux 6.18.
    """
    words, has_nodes, listed = text.partition(":")
    word, has_flag, flag = words.partition("=")
    nodes = parse_nodes(listed) if has_nodes else 0
    if word not in WORDS or nodes & ~allowed or (has_nodes and not nodes):
        raise SyscallError(errno.EINVAL)
    mode = WORDS.index(word)
    if mode == lib.MPOL_DEFAULT and not has_nodes:
        return DEFAULT
    if mode == lib.MPOL_PREFERRED and has_nodes and not is_decimal(listed):
        raise SyscallError(errno.EINVAL)
    if mode in INTERLEAVED and not has_nodes:
        nodes = allowed
    if has_flag and flag not in FLAG_WORDS:
        raise SyscallError(errno.EINVAL)
    return make(mode, FLAG_WORDS[flag] if has_flag else 0, nodes, allowed)


def parse_nodes(text: str) -> int:
    """Return the mask of a list as node_list() makes one. Errors: EINVAL."""
    mask = 0
    for part in text.split(","):
        first, dash, last = part.partition("-")
        last = last if dash else first
        if not (is_decimal(first) and is_decimal(last)) or not int(first) <= int(last) < NODES:
            raise SyscallError(errno.EINVAL)
        mask |= (2 << int(last)) - (1 << int(first))
    return mask


def of_core(value: Any) -> Policy:
    """Return the policy in a struct policy of the core."""
    fields = (value.mode, value.flags, value.nodes, value.user_nodes, value.home)
    return Policy(*map(int, fields))


def to_core(policy: Policy) -> Any:
    """Return a struct policy for the core."""
    return ffi.new("struct policy *", policy)
