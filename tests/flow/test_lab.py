"""Every experiment of the lab at its tiny scale, and the command around them."""

import logging
from dataclasses import replace
from time import process_time

import pytest

from pkern.userland.cli.main import main
from pkern.userland.lab import MODULES, REGISTRY, Scale, Verdict, run
from pkern.userland.lab.bench import LEAST_ROUNDS, Spread
from pkern.userland.lab.claims import LETTER_ID, UNTRIED
from pkern.userland.lab.designs import DESIGNS, LIST
from pkern.userland.lab.experiments import guest_memory
from pkern.userland.lab.pictures import Panels, need_pictures
from pkern.userland.lab.progress import steps, watching
from pkern.userland.lab.report import ARCHIVE, index, linked, page, print_result, write_page
from pkern.userland.lab.rmap_runs import TESTS, ram_for, run_design, scaled
from tests.speed import second

# Verdicts that come from counts and so are the same on every machine.
CERTAIN = {
    "gate": Verdict.HOLDS,
    "many-files": Verdict.HOLDS,
}


@pytest.fixture(scope="module", params=list(REGISTRY))
def result(request):
    return run(REGISTRY[request.param], Scale.TINY)


def test_every_experiment_runs_and_is_judged(result):
    name = result.experiment.name
    assert result.judgement.verdict is CERTAIN.get(name, result.judgement.verdict)
    assert result.outcome.tables
    assert result.outcome.pictures


def test_its_page_says_all_that_a_stranger_needs(result):
    text = page(result)
    for claim in result.experiment.claims:
        assert f"**Claim {claim.number}.**" in text
    assert f"**Verdict: {result.judgement.verdict.value}**" in text
    assert "## What was run" in text
    assert "| host |" in text
    assert "def rule" in text
    assert "None" not in text.split("```python")[0]


def test_its_pictures_are_drawn(result, tmp_path):
    pytest.importorskip("matplotlib")
    write_page(result, tmp_path)
    for picture in result.outcome.pictures:
        svg = (tmp_path / f"{picture.name}.svg").read_text()
        assert picture.title in svg or "<path" in svg


PROCESSORS, BESIDE = 2, 2


@pytest.mark.parametrize("setup", TESTS, ids=lambda setup: setup.options)
def test_a_default_run_of_the_longest_is_under_a_minute(setup):
    """On two processors of today, by one run of the design that takes longest but for one.

    What runs beside it on the same processors may double what it takes.
    """
    chosen = scaled(setup, Scale.DEFAULT)
    before = second()
    began = process_time()
    run_design(LIST, chosen, ram_for(setup, chosen))
    seconds = (process_time() - began) / ((before + second()) / 2)
    assert seconds * len(DESIGNS) * setup.rounds < PROCESSORS * BESIDE * 60


def test_the_index_links_every_page(result):
    assert f"({result.experiment.name}.md)" in index([result])


def test_every_module_of_the_list_registers_an_experiment():
    programs = {chosen.program.__module__ for chosen in REGISTRY.values()}
    assert programs == {module.__name__ for module in MODULES}


def test_list_shows_all(capsys):
    assert main(["lab", "list"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in REGISTRY)


def test_run_prints_the_verdict_and_writes_the_page(capsys, tmp_path):
    assert main(["lab", "run", "gate", "--tiny", "--folder", str(tmp_path / "pages")]) == 0
    assert "verdict: holds: EPERM at (0, 0) only" in capsys.readouterr().out
    assert (tmp_path / "pages" / "gate.md").exists()


def test_a_view_of_a_machine_stands_beside_the_page(tmp_path, capsys):
    folder = tmp_path / "pages"
    assert main(["lab", "run", "gate", "--tiny", "--folder", str(folder), "--view"]) == 0
    assert "[Look at its first machine](gate.html)" in (folder / "gate.md").read_text()
    shown = (folder / "gate.html").read_text()
    assert '"raw_syscalls:sys_enter"' in shown and "(tiny)</title>" in shown
    assert main(["lab", "run", "gate", "--tiny", "--folder", str(folder)]) == 0
    assert "gate.html" not in (folder / "gate.md").read_text()
    capsys.readouterr()
    assert main(["lab", "run", "gate", "--view"]) == 2
    assert "name a folder" in capsys.readouterr().err


def test_what_the_library_of_pictures_does_at_first_is_not_told_among_our_lines(capsys):
    need_pictures()
    logging.getLogger("matplotlib.font_manager").warning("the fonts are gathered")
    assert capsys.readouterr() == ("", "")


def test_a_wrong_name_is_answered_with_the_nearest(capsys):
    assert main(["lab", "run", "gaet"]) == 2
    assert "did you mean gate?" in capsys.readouterr().err


def without_matplotlib(monkeypatch):
    import builtins

    real = builtins.__import__

    def without(name, *rest, **options):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)


@pytest.mark.parametrize("action", [("run", "gate", "--tiny", "--folder"), ("report", "--tiny")])
def test_without_matplotlib_nothing_is_begun(capsys, tmp_path, monkeypatch, action):
    without_matplotlib(monkeypatch)
    folder = tmp_path / "pages"
    assert main(["lab", *action, str(folder)]) == 2
    seen = capsys.readouterr()
    assert "pip install '.[pictures]'" in seen.err
    assert seen.out == "" and not folder.exists()


# ---- verdicts ----


def spread(low, high, rounds=5):
    return Spread((low + high) / 2, low, high, rounds)


@pytest.mark.parametrize(
    ("slowdown", "verdict"),
    [
        (spread(1.01, 1.2), Verdict.HOLDS),
        (spread(0.8, 1.0), Verdict.HOLDS_ONLY_WHEN),
        (spread(0.9, 1.3), Verdict.NOT_DECIDED),
        (spread(1.4, 1.5, rounds=4), Verdict.NOT_DECIDED),
    ],
)
def test_a_time_decides_only_with_all_of_its_range(slowdown, verdict):
    judged = guest_memory.rule(same=1, vmas_nonlinear=1, vmas_mmap=100, slowdown=slowdown)
    assert judged.verdict is verdict


def test_every_rule_over_times_can_leave_it_open(result):
    """No rule draws a verdict from times whose range holds every answer."""
    measures = result.outcome.measures
    if not any(isinstance(value, Spread) for value in measures.values()):
        return
    wide = {
        k: Spread(1, 1e-6, 1e6, 99) if isinstance(v, Spread) else v for k, v in measures.items()
    }
    judged = result.experiment.rule(**wide)
    open_or_counted = (Verdict.NOT_DECIDED, Verdict.DOES_NOT_HOLD, Verdict.HOLDS)
    assert judged.verdict in open_or_counted
    if judged.verdict is not Verdict.NOT_DECIDED:  # then counts alone have decided
        sure = {k: spread(2e6, 2e6) if isinstance(v, Spread) else v for k, v in wide.items()}
        assert result.experiment.rule(**sure).verdict is judged.verdict


def test_the_quotient_of_two_ranges_is_as_wide_as_it_may_be():
    over = Spread(6, 4, 8, 5).over(Spread(2, 1, 4, 9))
    assert (over.median, over.low, over.high, over.rounds) == (3, 1, 8, 5)


def test_every_default_experiment_over_times_has_rounds_enough():
    assert all(setup.rounds >= LEAST_ROUNDS for setup in TESTS)


# ---- pages ----


def test_a_tiny_page_says_that_it_decides_nothing(result, capsys):
    assert "decides nothing" in page(result)
    assert "decides nothing" in index([result])
    print_result(result)
    assert "decides nothing" in capsys.readouterr().out


def test_a_page_of_another_scale_does_not_say_so(result):
    assert "decides nothing" not in page(replace(result, scale=Scale.DEFAULT))


def test_the_claim_without_an_experiment_has_its_sentence(result):
    tried = {claim.number for chosen in REGISTRY.values() for claim in chosen.claims}
    assert tried | set(UNTRIED) == {f"C{number}" for number in range(1, 20)}
    assert "C11 has no experiment" in index([result])


def test_citations_lead_to_the_archive(result):
    text = page(result)
    for figure in result.experiment.published:
        if "@" in figure.source:
            assert f"({ARCHIVE}" in text
    assert f"]({ARCHIVE}{LETTER_ID})" in index([result])


def test_a_message_id_with_brackets_is_a_link():
    assert linked("1@[10.2]") == f"[1@[10.2]]({ARCHIVE}1@%5B10.2%5D)"


def test_no_axis_has_two_units(result):
    for picture in result.outcome.pictures:
        for part in picture.panels if isinstance(picture, Panels) else [picture]:
            label = getattr(part, "ylabel", "")
            assert ";" not in label and " or " not in label


# ---- progress ----


def test_rounds_are_told_to_who_watches():
    told = []
    with watching(lambda done, total: told.append((done, total))):
        assert list(steps(2)) == [0, 1]
    assert told == [(0, 2), (1, 2), (2, 2)]
    assert list(steps(1)) == [0]
    assert len(told) == 3
