"""Strict overcommit: what a mapping takes of the limit, and what it gives back to it."""

from __future__ import annotations

import errno

import pytest

from pkern.kernel.machine import Kernel
from pkern.userland.program import Sys

PAGE = 4096
READ_WRITE = 3


def test_what_is_replaced_counts_for_what_replaces_it() -> None:
    with Kernel(ram="16M", sysctl={"vm.overcommit_memory": 2}) as kernel:
        sys = Sys(kernel.spawn())
        private = sys.MAP_PRIVATE | sys.MAP_ANONYMOUS
        size = 1 << 20
        places = []
        with pytest.raises(OSError) as refused:
            while True:
                places.append(sys.mmap(0, size, READ_WRITE, private, -1, 0))
        assert refused.value.errno == errno.ENOMEM
        committed = kernel.memory.counters.nr_committed
        place = places[0]
        assert sys.mmap(place, size, READ_WRITE, private | sys.MAP_FIXED, -1, 0) == place
        assert kernel.memory.counters.nr_committed == committed
        sys.mmap(place, size, 0, private | sys.MAP_FIXED, -1, 0)
        assert kernel.memory.counters.nr_committed == committed - size // PAGE
        with pytest.raises(OSError) as refused:
            sys.mmap(place, 2 * size, READ_WRITE, private | sys.MAP_FIXED, -1, 0)
        assert refused.value.errno == errno.ENOMEM
        assert kernel.memory.counters.nr_committed == committed - size // PAGE
        kernel.check()
