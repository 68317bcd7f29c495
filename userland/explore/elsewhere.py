"""Schedules on the computers of a cluster: each part boots the machine, and runs its share of them.

Schedules of a strategy that numbers them are shared out by their numbers. Of a tree of them each
part has what differs from the usual schedule first at every n-th point, and all that follows from
it; the usual one is the first part's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pkern.userland.cluster.share import Elsewhere, Part, Share, digests
from pkern.userland.explore.points import Strategy
from pkern.userland.explore.run import Plan, Ran, Session

Numbered = tuple[int, Strategy]


def run_each(
    elsewhere: Elsewhere, plan: Plan, strategies: Iterable[Strategy], files: Sequence[str]
) -> Iterator[tuple[int, Ran]]:
    """Run a schedule for each strategy; give (its number, what came of it) as parts end.

    files: of the host, which must be the same there. Errors: as Session and Elsewhere.run.
    """
    nr, numbered, same = elsewhere.parts, list(enumerate(strategies)), digests(files)
    shares = [numbered[number::nr] for number in range(min(nr, len(numbered)))]
    for _, ended in elsewhere.run([Part(_run_some, (_alone(plan), some), same) for some in shares]):
        yield from ended


def run_tree(
    elsewhere: Elsewhere, plan: Plan, bound: int | None, files: Sequence[str]
) -> list[Ran]:
    """As Session.run_tree; each part may run as many schedules as the plan allows."""
    nr, same = elsewhere.parts, digests(files)
    parts = [Part(_run_subtrees, (_alone(plan), bound, Share(n, nr)), same) for n in range(nr)]
    found = [ran for _, some in elsewhere.run(parts) for ran in some]
    return sorted(found, key=lambda ran: (ran.switches, ran.choices))[: plan.budget]


def _alone(plan: Plan) -> Plan:
    return plan._replace(at_once=1)


def _run_some(plan: Plan, some: Sequence[Numbered]) -> list[tuple[int, Ran]]:
    with Session(plan) as session:
        ended = session.run_each([strategy for _, strategy in some])
        return sorted((some[place][0], ran) for place, ran in ended)


def _run_subtrees(plan: Plan, bound: int | None, share: Share) -> list[Ran]:
    with Session(plan) as session:
        return session.run_tree(bound, share)
