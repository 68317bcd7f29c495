"""Pages of the lab: one in Markdown for each experiment, an index, and the pictures beside them."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import quote

from pkern.userland.lab.bench import LEAST_ROUNDS, Spread, host_machine
from pkern.userland.lab.claims import LETTER, UNTRIED
from pkern.userland.lab.experiment import Experiment, Result, Scale, Table, Verdict, run
from pkern.userland.lab.pictures import draw, need_pictures
from pkern.userland.lab.progress import Watcher, watching
from pkern.userland.tables import markdown_table, print_table

Progress = Callable[[int, int, str], None]
See = Callable[[Experiment, Path], str]
TINY = "This is a tiny run, made for tests: it decides nothing, whatever its verdict says"
MESSAGE_ID = re.compile(r"[\w.$-]+@[\w.\[\]-]+")
ARCHIVE = "https://lore.kernel.org/r/"

_SCALES = {
    Scale.TINY: "tiny (seconds; for tests)",
    Scale.DEFAULT: "default (scaled down)",
    Scale.FULL: "full (the published parameters)",
}


def see_nothing(chosen: Experiment, folder: Path) -> str:
    """Write no view of a machine."""
    return ""


def prose(text: str) -> str:
    """Return a docstring as paragraphs."""
    return "\n\n".join(" ".join(part.split()) for part in inspect.cleandoc(text).split("\n\n"))


def linked(citation: str) -> str:
    """Return a citation whose message ids are links into the lists' archive."""
    return MESSAGE_ID.sub(
        lambda found: f"[{found[0]}]({ARCHIVE}{quote(found[0], safe='@')})", citation
    )


def print_result(result: Result) -> None:
    """Print an experiment's tables and verdict to the terminal."""
    chosen, outcome = result.experiment, result.outcome
    print(f"{chosen.name}: {chosen.title}")
    for claim in chosen.claims:
        print(f"  claim {claim.number}: {claim.text}")
    settings = ", ".join(f"{name} {value}" for name, value in outcome.parameters.items())
    print(f"  run: {settings}\n")
    for table in outcome.tables:
        print_table(table.title, table.headers, table.rows)
        print()
    for figure in chosen.published:
        print(f"published: {figure.what}: {figure.figure} ({figure.source})")
    print(f"measured: {outcome.figure}")
    for text in outcome.explanation:
        print(textwrap.fill(text, 100))
    print(f"verdict: {result.judgement}")
    if result.scale is Scale.TINY:
        print(f"{TINY}.")


def page(result: Result, view: str = "") -> str:
    """Return the experiment's page in Markdown. view: the file that shows one of its machines."""
    chosen, outcome = result.experiment, result.outcome
    parts = [
        f"# {chosen.title}",
        *([f"**{TINY}.**"] if result.scale is Scale.TINY else []),
        *(f"**Claim {claim.number}.** {claim.text}" for claim in chosen.claims),
        f"**Verdict: {result.judgement.verdict.value}**{_link(result)}{result.judgement.because}.",
        "## What was run",
        prose(chosen.method),
        markdown_table(("parameter", "value"), _parameters(result)),
        "## What was measured",
        f"In one line: {outcome.figure}.",
        *(f"![{picture.title}]({picture.name}.svg)" for picture in outcome.pictures),
        *(_table(table) for table in outcome.tables),
        *_published(chosen),
        *_explained(outcome.explanation),
        "## How the verdict follows",
        prose(chosen.rule.__doc__ or ""),
        markdown_table(
            ("measure", "value"), [(k, _measure(v)) for k, v in outcome.measures.items()]
        ),
        "The rule is this function; nothing else decides.",
        f"```python\n{inspect.getsource(chosen.rule).rstrip()}\n```",
        f"Run it again: `pkern lab run {chosen.name}{_flag(result.scale)}`.{_seen(view)}"
        " [All](index.md).",
    ]
    return "\n\n".join(parts) + "\n"


def _seen(view: str) -> str:
    return f" [Look at its first machine]({view}), event by event, at the tiny scale." * bool(view)


def _measure(value: float | Spread) -> str:
    return f"{value}, {value.rounds} rounds" if isinstance(value, Spread) else f"{value:.6g}"


def _link(result: Result) -> str:
    return " " if result.judgement.verdict.value.endswith("when") else ": "


def _flag(scale: Scale) -> str:
    return " --full" if scale is Scale.FULL else ""


def _parameters(result: Result) -> list[tuple[str, str]]:
    return [
        *result.outcome.parameters.items(),
        ("scale", _SCALES[result.scale]),
        ("host", host_machine()),
    ]


def _table(table: Table) -> str:
    return f"**{table.title}**\n\n{markdown_table(table.headers, table.rows)}"


def _published(chosen: Experiment) -> list[str]:
    if not chosen.published:
        return []
    rows = [(figure.what, figure.figure, linked(figure.source)) for figure in chosen.published]
    return ["## What was published", markdown_table(("of", "figure", "where"), rows)]


def _explained(texts: Sequence[str]) -> list[str]:
    return ["## Why", *texts] if texts else []


def index(results: Sequence[Result]) -> str:
    """Return the page that lists all experiments with their verdicts."""
    rows = [
        (
            ", ".join(claim.number for claim in result.experiment.claims),
            f"[{result.experiment.title}]({result.experiment.name}.md)",
            f"**{result.judgement.verdict.value}**{_condition(result)}",
            result.outcome.figure,
            "; ".join(figure.figure for figure in result.experiment.published) or "-",
        )
        for result in results
    ]
    scale = _SCALES[results[0].scale] if results else ""
    parts = [
        "# The lab",
        f"Experiments on the claims of {linked(LETTER)}. Each is a program that makes system calls "
        "on this kernel, booted with the designs that the claim is about; a rule, which is code "
        "and stands on the page, turns what was measured into a verdict. Counts are exact and the "
        "same at every run. Times are processor time, given as ratios within one run with their "
        "spread (median, smallest .. largest). A verdict on a time needs the whole spread of at "
        f"least {LEAST_ROUNDS} rounds on one side of the rule's bound, else it is not decided.",
        *([f"**{TINY}.**"] if results and results[0].scale is Scale.TINY else []),
        f"Scale: {scale}. Host: {host_machine()}.",
        markdown_table(("claim", "experiment", "verdict", "measured", "published"), rows),
        *(f"{number} has no experiment: the claim, {why}" for number, why in UNTRIED.items()),
        "A verdict is about what was run, on this kernel. The wording of the claims is a summary.",
        "Not modelled: the time of a disk, more than one processor, and a machine whose caches "
        "are smaller than its lists (rmap-test's pages say what that would change).",
    ]
    return "\n\n".join(parts) + "\n"


def _condition(result: Result) -> str:
    """Return the condition of `holds only when`, without the figures in brackets."""
    if result.judgement.verdict is not Verdict.HOLDS_ONLY_WHEN:
        return ""
    return f" {result.judgement.because.partition(' (')[0].partition(';')[0]}"


def write_report(
    experiments: Sequence[Experiment],
    scale: Scale,
    folder: Path,
    progress: Progress,
    watcher: Watcher,
    seen: See = see_nothing,
) -> list[Result]:
    """Run experiments and write their pages, pictures and the index into folder.

    progress: called with (done, all, name) before each; watcher: with its rounds. seen: writes what
    there is to see of one, machines.write_view.
    Errors: NoPictures, before anything is done; LabError, OSError.
    """
    need_pictures()
    folder.mkdir(parents=True, exist_ok=True)
    results = []
    for done, chosen in enumerate(experiments):
        progress(done, len(experiments), chosen.name)
        with watching(watcher):
            result = run(chosen, scale)
        write_page(result, folder, seen)
        results.append(result)
    progress(len(experiments), len(experiments), "done")
    (folder / "index.md").write_text(index(results))
    return results


def write_page(result: Result, folder: Path, seen: See = see_nothing) -> None:
    """Write one experiment's page and its pictures. seen: as of write_report."""
    for picture in result.outcome.pictures:
        draw(picture, folder)
    view = seen(result.experiment, folder)
    (folder / f"{result.experiment.name}.md").write_text(page(result, view))
