"""What an experiment is: a claim, a program, a rule; and the registry of all of them.

Owns the values that flow from an experiment to the page: Outcome (what was seen) goes through the
experiment's rule and becomes a Judgement. A verdict comes from the rule alone; one on a time needs
an interval that excludes the other answer; one that is not for the claim must be explained by what
was measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from pkern.userland.lab.bench import Spread
from pkern.userland.lab.claims import CLAIMS, Claim
from pkern.userland.lab.pictures import Picture


class Scale(Enum):
    """How much is run. TINY: seconds in all, for tests; FULL: the published parameters."""

    TINY = "tiny"
    DEFAULT = "default"
    FULL = "full"


class Verdict(Enum):
    """What a rule may say of a claim."""

    HOLDS = "holds"
    DOES_NOT_HOLD = "does not hold"
    HOLDS_ONLY_WHEN = "holds only when"
    NOT_DECIDED = "not decided here"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict; because: the condition of `holds only when`, else the reason, with figures."""

    verdict: Verdict
    because: str

    def __str__(self) -> str:
        link = " " if self.verdict is Verdict.HOLDS_ONLY_WHEN else ": "
        return f"{self.verdict.value}{link}{self.because}"


def holds(because: str) -> Judgement:
    """Return the verdict that the claim holds."""
    return Judgement(Verdict.HOLDS, because)


def fails(because: str) -> Judgement:
    """Return the verdict that the claim does not hold."""
    return Judgement(Verdict.DOES_NOT_HOLD, because)


def only_when(condition: str) -> Judgement:
    """Return the verdict that the claim holds under a condition."""
    return Judgement(Verdict.HOLDS_ONLY_WHEN, condition)


def undecided(figures: str) -> Judgement:
    """Return the verdict that a measured interval holds both answers."""
    return Judgement(Verdict.NOT_DECIDED, figures)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under headers."""

    title: str
    headers: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Published:
    """A figure that others published: what of, the figure, and where."""

    what: str
    figure: str
    source: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run of an experiment saw.

    parameters: what was run. measures: what the rule takes, by its argument names:
    counts as numbers, times as ratios with their spread.
    figure: the one line that stands beside the published one. explanation: where the verdict is not
    `holds`, or the published direction is not ours: what was measured that says why.
    """

    parameters: Mapping[str, str]
    measures: Mapping[str, float | Spread]
    figure: str
    tables: tuple[Table, ...]
    pictures: tuple[Picture, ...] = ()
    explanation: tuple[str, ...] = ()


Rule = Callable[..., Judgement]
Program = Callable[[Scale], Outcome]


@dataclass(frozen=True, slots=True)
class Experiment:
    """One experiment. method: what is run, for the page; rule: its docstring is on the page."""

    name: str
    title: str
    claims: tuple[Claim, ...]
    method: str
    published: tuple[Published, ...]
    rule: Rule
    program: Program


@dataclass(frozen=True, slots=True)
class Result:
    """An experiment that has been run, and judged."""

    experiment: Experiment
    scale: Scale
    outcome: Outcome
    judgement: Judgement = field(compare=False)


class LabError(RuntimeError):
    """An experiment is wrong in itself; the text says what is missing."""


REGISTRY: dict[str, Experiment] = {}


def experiment(
    name: str,
    *,
    title: str,
    claims: tuple[str, ...],
    rule: Rule,
    published: tuple[Published, ...] = (),
) -> Callable[[Program], Program]:
    """Register a program as the experiment `name`; its docstring is the page's method.

    claims: numbers of CLAIMS, as ("C13",). rule: takes Outcome.measures, gives a Judgement.
    """

    def register(program: Program) -> Program:
        told = _text(program)
        found = tuple(CLAIMS[number] for number in claims)
        _text(rule)
        REGISTRY[name] = Experiment(name, title, found, told, published, rule, program)
        return program

    return register


def by_claim() -> list[Experiment]:
    """Return all experiments in the order of their claims' numbers."""
    return sorted(REGISTRY.values(), key=lambda chosen: [c.order for c in chosen.claims])


def _text(function: Callable[..., object]) -> str:
    if not function.__doc__:
        raise LabError(f"{function.__name__} needs a docstring: it is printed on the page")
    return function.__doc__


def run(chosen: Experiment, scale: Scale) -> Result:
    """Run an experiment and let its rule judge.

    Errors: LabError where a verdict other than `holds` comes without an explanation.
    """
    outcome = chosen.program(scale)
    judgement = chosen.rule(**outcome.measures)
    settled = judgement.verdict not in (Verdict.HOLDS, Verdict.NOT_DECIDED)
    if settled and not outcome.explanation:
        raise LabError(f"{chosen.name}: '{judgement}' is not explained by a measurement")
    return Result(chosen, scale, outcome, judgement)
