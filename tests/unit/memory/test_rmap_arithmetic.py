"""rmap-test's published arithmetic: 10,100 VMAs, 101 ptes a page, 4 blocks of 31, visits."""

from __future__ import annotations

import pytest

from pkern.kernel.core import ffi, lib
from pkern.kernel.machine import Kernel
from pkern.userland.lab.rmap_test import Options, RmapTest
from pkern.userland.program import Sys

VMAS, TASKS, NRPTE, PAGES_A_VMA = 100, 100, 31, 2
TOUCHED = VMAS * PAGES_A_VMA
PTES = TASKS + 1


def test_the_published_sizes_follow_from_the_options() -> None:
    one = Options("/file", "linear", 10, 100, 600, 100, 100)
    assert (one.touched_pages, one.file_pages) == (60_000, 60_099)
    three = Options("/file", "linear", 10, 10_000, 7, 1, 10_000)
    assert three.touched_pages == 70_000
    assert three.vmas * (three.tasks + 1) == 20_000


def forked(design: str) -> Kernel:
    """Return a machine on which rmap-test 1 has forked all its tasks, with fewer pages a VMA."""
    sysctl = {"vm.fork_file_ptes": 1, "vm.overcommit_memory": 1}
    kernel = Kernel("64M", rmap=design, nrpte=NRPTE, swap="1M", sysctl=sysctl)
    options = Options("/tmp/file", "linear", 10, VMAS, PAGES_A_VMA, TASKS, VMAS)
    RmapTest(Sys(kernel.spawn("rmap-test")), options).start()
    return kernel


def look_once(kernel: Kernel) -> tuple[int, int, int]:
    """Let reclaim ask for every page's ptes once; return walks, VMA visits and pte visits."""
    before = [int(getattr(kernel.counters, f"rmap_{n}")) for n in COUNTED]
    lib.machine_reclaim(kernel.core, ffi.new("struct reclaim *", {"nr_to_free": 1 << 20}))
    walks, vmas, ptes = (
        int(getattr(kernel.counters, f"rmap_{n}")) - was
        for n, was in zip(COUNTED, before, strict=True)
    )
    return walks, vmas, ptes


COUNTED = ("walks", "vma_visits", "pte_visits")


def test_a_page_has_101_ptes_in_4_chain_blocks() -> None:
    with forked("pte_chain") as kernel:
        assert kernel.counters.nr_chain_blocks == 4 * TOUCHED
        walks, vmas, ptes = look_once(kernel)
        assert (walks, vmas, ptes) == (TOUCHED, 0, PTES * TOUCHED)
        assert kernel.counters.rmap_bytes == 4 * TOUCHED * 8 * (NRPTE + 1)


def test_the_list_visits_half_of_the_10_100_vmas_and_all_of_them_at_worst() -> None:
    with forked("objrmap") as kernel:
        mapping = kernel.vfs.resolve(kernel.tasks[1], "/tmp/file").mapping
        assert lib.mapping_nr_vmas(mapping) == VMAS * PTES == 10_100
        walks, vmas, ptes = look_once(kernel)
        assert (walks, ptes) == (TOUCHED, PTES * TOUCHED)
        assert vmas / walks == pytest.approx(5_050, rel=0.02)
        assert vmas == PAGES_A_VMA * sum(PTES * (place + 1) for place in range(VMAS))
        assert PTES * VMAS == 10_100  # the walk for a page of the last VMA


def test_the_tree_visits_101_vmas() -> None:
    with forked("objrmap_tree") as kernel:
        assert look_once(kernel) == (TOUCHED, PTES * TOUCHED, PTES * TOUCHED)
        assert kernel.counters.rmap_bytes == 0


def test_the_scan_never_walks_a_page_but_unmaps_as_many_ptes_as_it_meets_mapped_pages() -> None:
    with forked("virtual_scan") as kernel:
        assert kernel.counters.rmap_vma_visits == 0
        assert look_once(kernel)[0] == 0
        assert kernel.counters.scan_ptes == TOUCHED  # none was touched since the fork
