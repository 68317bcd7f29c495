"""C13, C14, C16: rmap-test 1, 2 and 3 in all four designs, beside what was published."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from pkern.userland.lab.bench import MIB, Spread, time_text
from pkern.userland.lab.designs import CHAIN, DESIGNS, LIST, SCAN, TREE, Compared, compare, number
from pkern.userland.lab.experiment import (
    Judgement,
    Outcome,
    Published,
    Scale,
    Table,
    experiment,
    fails,
    holds,
    only_when,
    undecided,
)
from pkern.userland.lab.pictures import MISSING, Bars, Lines, Series
from pkern.userland.lab.rmap_runs import (
    COUNTED,
    NRPTE,
    TESTS,
    Setup,
    ram_for,
    run_design,
    scaled,
    wanted,
)

SLACK = 1.25  # "at or below": the noise between runs of different designs
CLEARLY = 10  # times the visits
SOURCE_2003 = "20030405040614.66511e1e.akpm@digeo.com"
SOURCE_2004 = "Pine.GSO.4.58.0403211634350.10248@azure.engin.umich.edu"
VISIT_NS = (10, 30, 100)

# RAM over what file, tables and VMAs take together; from 1 on only chains need more.
ROOM = (0.90, 0.95, 1.00, 1.05, 1.15, 1.30)
ROOM_AT = {Scale.TINY: (0.95, 1.30), Scale.DEFAULT: ROOM, Scale.FULL: ROOM}


# ---- rules ----


def rule_linear(
    *, list_over_chain: Spread, tree_over_chain: Spread, list_visits: float, tree_visits: float
) -> Judgement:
    """list_over_chain, tree_over_chain: time over pte_chain's in paired rounds. list_visits,
    tree_visits: VMAs and ptes looked at for each page that was freed.

    Does not hold if the list looks at less than ten times what the tree does. Holds if the list is
    also slower than pte_chain and the tree at or below 1.25 of it, in every round; holds only in
    visits if one of the two is not so in any round; else it is not decided.
    """
    figures = f"list x{list_over_chain}, tree x{tree_over_chain} of pte_chain's time"
    visits = f"{list_visits:,.0f} looked at a page by the list, {tree_visits:,.0f} by the tree"
    if list_visits < CLEARLY * tree_visits:
        return fails(f"{visits}; {figures}")
    if list_over_chain.above(1) and tree_over_chain.at_most(SLACK):
        return holds(f"{figures}; {visits}")
    if list_over_chain.at_most(1) or tree_over_chain.above(SLACK):
        return only_when(f"visits are counted, not time: {visits}; {figures}")
    return undecided(f"in time {figures}; in visits it holds: {visits}")


def rule_random(
    *, list_over_chain: Spread, tree_over_chain: Spread, list_roomy: Spread, tree_roomy: Spread
) -> Judgement:
    """The published direction is the other one here: with few touches the cheap fork wins, and the
    list took 0.35 of pte_chain's time. list_over_chain, tree_over_chain: time over pte_chain's
    under the published pressure, in paired rounds. list_roomy, tree_roomy: the same on a machine
    whose RAM holds the file and its tables.

    Holds if neither takes more than pte_chain in any round under the published pressure. If one
    does in every round: holds only when RAM holds file and tables, if there neither takes more in
    any round, and does not hold if one takes more in every round. Else it is not decided.
    """
    figures = (
        f"list x{list_over_chain}, tree x{tree_over_chain} of pte_chain's time under the "
        f"published pressure; x{list_roomy}, x{tree_roomy} where RAM holds them"
    )
    pressed, roomy = (list_over_chain, tree_over_chain), (list_roomy, tree_roomy)
    if all(one.at_most(1) for one in pressed):
        return holds(figures)
    if any(one.above(1) for one in pressed) and all(one.at_most(1) for one in roomy):
        return only_when(f"RAM holds the file and the tables that map it ({figures})")
    if any(one.above(1) for one in pressed) and any(one.above(1) for one in roomy):
        return fails(figures)
    return undecided(figures)


# ---- measuring ----


def _rounds(setup: Setup, scale: Scale) -> int:
    return {Scale.TINY: 1, Scale.DEFAULT: setup.rounds, Scale.FULL: 1}[scale]


def _compare(setup: Setup, scale: Scale) -> Compared:
    chosen = scaled(setup, scale)
    work = partial(run_design, chosen=chosen, ram=ram_for(setup, chosen))
    return compare(work, _rounds(setup, scale))


def _a_page(done: Compared, design: str, name: str) -> float:
    return done.count(design, name) / max(1.0, done.count(design, "freed"))


def _visits(done: Compared, design: str) -> float:
    """Return the VMAs and ptes looked at for each page that was freed."""
    return sum(_a_page(done, design, f"rmap_{what}_visits") for what in ("vma", "pte"))


def _visit_ns(done: Compared) -> float:
    """Return what the list pays for each VMA it visits beyond those of the tree, in ns."""
    more = done.count(LIST, "rmap_vma_visits") - done.count(TREE, "rmap_vma_visits")
    return max(0.0, done.time(LIST) - done.time(TREE)) / max(1.0, more)


def _list_over_chain(done: Compared, visit_ns: float) -> float:
    """Return the list's time over pte_chain's if a visit of a VMA cost visit_ns."""
    dearer = (visit_ns - _visit_ns(done)) * done.count(LIST, "rmap_vma_visits")
    return (done.time(LIST) + dearer) / done.time(CHAIN)


def _visit_ns_for(done: Compared, ratio: float) -> float:
    """Return what a visit of a VMA would have to cost for the list to take ratio of chains'
    time.
    """
    missing = ratio * done.time(CHAIN) - done.time(LIST)
    return _visit_ns(done) + missing / max(1.0, done.count(LIST, "rmap_vma_visits"))


# ---- tables and pictures ----


def _parameters(setup: Setup, scale: Scale) -> dict[str, str]:
    chosen = scaled(setup, scale)
    ram, rounds = ram_for(setup, chosen), _rounds(setup, scale)
    return {
        "published options": setup.options,
        "run": f"-i {chosen.iterations} -n {chosen.vmas} -s {chosen.vma_pages} -t {chosen.tasks}",
        "machine": f"{ram / MIB:.1f} MiB of RAM for {wanted(chosen) / MIB:.1f} MiB of file, tables "
        f"and VMAs; NRPTE {NRPTE}",
        "rounds": f"{rounds}, every design in each",
    }


def _times(setup: Setup, done: Compared) -> Table:
    def cell(table: Mapping[str, float], design: str) -> str:
        if design not in table:
            return "-"
        return f"{table[design]:,.2f} s (x{table[design] / table[CHAIN]:.3g})"

    rows = [
        (
            design,
            time_text(done.time(design)),
            f"x{done.over(design, CHAIN)}",
            time_text(done.count(design, "walking")),
            "out of memory" if done.count(design, "killed") else "ended well",
            cell(setup.y2003, design),
            cell(setup.y2004, design),
        )
        for design in DESIGNS
    ]
    headers = (
        "reverse map",
        "time here",
        "over pte_chain's",
        "the children's walks alone",
        "the test",
        "2003: system time",
        "2004: system time",
    )
    return Table("Time, and its ratio to pte_chain's", headers, rows)


def _counts(done: Compared) -> Table:
    def row(design: str) -> tuple[str, ...]:
        freed, walks = done.count(design, "freed"), done.count(design, "rmap_walks")
        a_walk = done.count(design, "rmap_vma_visits") / walks if walks else 0
        return (
            design,
            number(freed),
            number(done.count(design, "pgmajfault")),
            number(walks / max(1, freed)),
            *(number(_a_page(done, design, name)) for name in COUNTED),
            number(a_walk) if walks else "-",
            f"{done.count(design, 'peak') / 1024:,.0f} KiB",
        )

    headers = (
        "reverse map",
        "pages reclaimed",
        "major faults",
        "walks a page",
        "VMA visits a page",
        "pte visits a page",
        "chain blocks a page",
        "ptes scanned a page",
        "VMA visits a walk",
        "metadata, peak",
    )
    return Table("Work for each page that was reclaimed", headers, [row(d) for d in DESIGNS])


def _visit_table(setup: Setup, done: Compared) -> Table:
    ratio = setup.y2003[LIST] / setup.y2003[CHAIN]
    rows = [(f"{_visit_ns(done):.3g} ns, measured", f"x{done.over(LIST, CHAIN)}")]
    rows += [(f"{ns} ns", f"x{_list_over_chain(done, ns):.3g}") for ns in VISIT_NS]
    rows.append((f"{_visit_ns_for(done, ratio):.3g} ns", f"x{ratio:.3g}, as published"))
    headers = ("if a visit of a VMA costs", "list, of pte_chain's time")
    return Table("The list's ratio by the price of a visit", headers, rows)


def _ratios(table: Mapping[str, float]) -> dict[str, float]:
    return {design: seconds / table[CHAIN] for design, seconds in table.items()}


def _picture(setup: Setup, done: Compared) -> Bars:
    tables = (_ratios(setup.y2003), _ratios(setup.y2004))

    def series(design: str) -> Series:
        here = done.over(design, CHAIN)
        told = [table.get(design, MISSING) for table in tables]
        none = [MISSING, MISSING]
        return Series(design, [here.median, *told], [here.low, *none], [here.high, *none])

    return Bars(
        f"rmap-test-{setup.number}",
        f"rmap-test {setup.number}: time of each reverse map",
        "time, pte_chain = 1",
        ["here", "published 2003", "published 2004"],
        [series(design) for design in DESIGNS],
        "log",
    )


# ---- what the figures say ----


def _memory_text(done: Compared) -> str:
    return (
        f"Chains hold {done.count(CHAIN, 'peak') / 1024:,.0f} KiB at their peak, memory that the "
        f"file's pages then lack: {done.count(CHAIN, 'pgmajfault'):,.0f} major faults against "
        f"{done.count(TREE, 'pgmajfault'):,.0f} with the tree. Their blocks have 64-bit pointers, "
        "twice the size of the published ones."
    )


def _linear_text(setup: Setup, done: Compared) -> tuple[str, ...]:
    walks = done.count(LIST, "rmap_walks")
    ratio = setup.y2003[LIST] / setup.y2003[CHAIN]
    return (
        f"Each time that a page's ptes are wanted the list looks at "
        f"{done.count(LIST, 'rmap_vma_visits') / max(1.0, walks):,.0f} VMAs and the tree at "
        f"{done.count(TREE, 'rmap_vma_visits') / max(1.0, done.count(TREE, 'rmap_walks')):,.1f}, "
        "and they find the same ptes. (The list here stands in file order, as fork puts a copy "
        "beside its original, and a walk ends when all ptes are found: about half of the VMAs.)",
        f"A visit costs {_visit_ns(done):.3g} ns here, where all VMAs lie in the processor's "
        f"cache; the published x{ratio:.3g} is what a visit of "
        f"{_visit_ns_for(done, ratio):.3g} ns gives with these counts. The direction is the "
        "published one; the size of the ratio is the price of a visit beside that of a fault.",
        _memory_text(done),
        f"The scan, which goes through address spaces instead, reads "
        f"{done.count(SCAN, 'scan_ptes'):,.0f} ptes where the tree visits "
        f"{done.count(TREE, 'rmap_pte_visits'):,.0f}.",
    )


def _random_text(done: Compared, roomy: Mapping[float, Compared]) -> tuple[str, ...]:
    tight, enough = min(roomy), _enough(roomy)
    return (
        f"Under the published pressure the list pays for "
        f"{done.count(LIST, 'rmap_walks') / max(1.0, done.count(LIST, 'freed')):,.0f} walks of "
        f"{done.count(LIST, 'rmap_vma_visits') / max(1.0, done.count(LIST, 'rmap_walks')):,.0f} "
        f"VMAs for each page that it frees ({done.count(LIST, 'freed'):,.0f} pages): all pages are "
        "young after the parent's pass, and each is asked again and again before one is old.",
        f"With RAM for {tight:g} of file, tables and VMAs the list takes "
        f"x{roomy[tight].over(LIST, CHAIN).median:.3g} of pte_chain's time, with {enough:g} "
        f"x{roomy[enough].over(LIST, CHAIN).median:.3g}: there it frees "
        f"{roomy[enough].count(LIST, 'freed'):,.0f} pages, while chains, which hold memory of "
        f"their own, free {roomy[enough].count(CHAIN, 'freed'):,.0f} and pay at each fork besides. "
        "The published x0.347 comes from that side of the line.",
        _memory_text(done),
    )


# ---- the experiments ----


def _published(setup: Setup) -> tuple[Published, ...]:
    old = setup.y2003[LIST] / setup.y2003[CHAIN]
    new = setup.y2004[TREE] / setup.y2004[CHAIN]
    return (
        Published("system time, objrmap list : pte_chain", f"x{old:.3g}", SOURCE_2003),
        Published("system time, tree : pte_chain", f"x{new:.3g}", SOURCE_2004),
    )


def _figure(done: Compared) -> str:
    parts = [f"{design} x{done.over(design, CHAIN)}" for design in (LIST, TREE, SCAN)]
    return ", ".join(parts) + " of pte_chain's time"


def _linear(setup: Setup, scale: Scale) -> Outcome:
    done = _compare(setup, scale)
    return Outcome(
        parameters=_parameters(setup, scale),
        measures={
            "list_over_chain": done.over(LIST, CHAIN),
            "tree_over_chain": done.over(TREE, CHAIN),
            "list_visits": _visits(done, LIST),
            "tree_visits": _visits(done, TREE),
        },
        figure=_figure(done),
        tables=(_times(setup, done), _counts(done), _visit_table(setup, done)),
        pictures=(_picture(setup, done),),
        explanation=_linear_text(setup, done),
    )


def _with_room(setup: Setup, scale: Scale) -> dict[float, Compared]:
    """Run the test on machines with more and more RAM: once each, and on the largest in rounds."""
    chosen, largest = scaled(setup, scale), max(ROOM_AT[scale])
    return {
        room: compare(
            partial(run_design, chosen=chosen, ram=int(room * wanted(chosen))),
            _rounds(setup, scale) if room == largest else 1,
        )
        for room in ROOM_AT[scale]
    }


def _room_table(roomy: Mapping[float, Compared]) -> Table:
    rows = [
        (
            f"{room:g}",
            *(f"x{done.over(design, CHAIN).median:.3g}" for design in (SCAN, LIST, TREE)),
            *(number(done.count(design, "freed")) for design in (CHAIN, LIST)),
        )
        for room, done in roomy.items()
    ]
    headers = (
        "RAM over file, tables, VMAs",
        SCAN,
        LIST,
        TREE,
        "pages reclaimed: pte_chain",
        "pages reclaimed: objrmap",
    )
    return Table("Time of pte_chain's, by how much memory there is", headers, rows)


def _room_picture(setup: Setup, roomy: Mapping[float, Compared]) -> Lines:
    return Lines(
        f"rmap-test-{setup.number}-memory",
        f"rmap-test {setup.number}: who is cheaper depends on how much memory there is",
        "RAM over what file, page tables and VMAs take together",
        "time, pte_chain = 1",
        list(roomy),
        [
            Series(design, [done.over(design, CHAIN).median for done in roomy.values()])
            for design in DESIGNS
        ],
        yscale="log",
    )


def _enough(roomy: Mapping[float, Compared]) -> float:
    """Return the least RAM with which the list has nothing to reclaim, else the most there was."""
    idle = (room for room, done in roomy.items() if done.count(LIST, "freed") == 0)
    return next(idle, max(roomy))


def _random(setup: Setup, scale: Scale) -> Outcome:
    done, roomy = _compare(setup, scale), _with_room(setup, scale)
    return Outcome(
        parameters=_parameters(setup, scale),
        measures={
            "list_over_chain": done.over(LIST, CHAIN),
            "tree_over_chain": done.over(TREE, CHAIN),
            "list_roomy": roomy[max(roomy)].over(LIST, CHAIN),
            "tree_roomy": roomy[max(roomy)].over(TREE, CHAIN),
        },
        figure=_figure(done),
        tables=(_times(setup, done), _room_table(roomy), _counts(done)),
        pictures=(_picture(setup, done), _room_picture(setup, roomy)),
        explanation=_random_text(done, roomy),
    )


METHOD = """on a machine of each reverse map: a file on disk, mapped in many VMAs with a page of the
file between any two; the parent increments the first byte of every page, calls msync(MS_ASYNC) and
forks (which copies the ptes, as until 2.6.13), and the children walk the file. Pages are reclaimed
all the time. The published machine had 256 MB; RAM here is 256 MB and what the tables and VMAs of a
64-bit machine take beyond a 32-bit one's, or the same share of a smaller run.
"""
SWEEP = """
Then the test runs once more on machines with more and more RAM, from less than the file and the
tables that map it need to well beyond.
"""


def _title(setup: Setup) -> str:
    return f"rmap-test {setup.number}: {setup.options}"


def rmap_test_1(scale: Scale) -> Outcome:
    """Run the first test."""
    return _linear(TESTS[0], scale)


def rmap_test_2(scale: Scale) -> Outcome:
    """Run the second test."""
    return _random(TESTS[1], scale)


def rmap_test_3(scale: Scale) -> Outcome:
    """Run the third test."""
    return _linear(TESTS[2], scale)


rmap_test_1.__doc__ = f"Run rmap-test 1 {METHOD}"
rmap_test_2.__doc__ = f"Run rmap-test 2 {METHOD}{SWEEP}"
rmap_test_3.__doc__ = f"Run rmap-test 3 {METHOD}"

for _setup, _program, _rule, _claims in (
    (TESTS[0], rmap_test_1, rule_linear, ("C13", "C16")),
    (TESTS[1], rmap_test_2, rule_random, ("C14",)),
    (TESTS[2], rmap_test_3, rule_linear, ("C13", "C16")),
):
    experiment(
        f"rmap-test-{_setup.number}",
        title=_title(_setup),
        claims=_claims,
        rule=_rule,
        published=_published(_setup),
    )(_program)
