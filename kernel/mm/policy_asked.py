"""Memory policies as they are asked for: by numbers of calls, and by the words of a tmpfs's option.

Source: mm/mempolicy.c of Linux 6.18.
"""

from __future__ import annotations

import errno

from pkern.kernel.core import lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.mm.policy import (
    BALANCED,
    BALANCING,
    DEFAULT,
    FLAG_WORDS,
    INTERLEAVED,
    MODE_FLAGS,
    NODES,
    RELATIVE,
    STATIC,
    WORD,
    WORDS,
    Policy,
    nodes_in,
)
from pkern.kernel.numbers import is_decimal


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
