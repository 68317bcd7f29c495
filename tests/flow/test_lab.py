"""Every experiment of the lab at its tiny scale, and the command around them."""

import pytest

from pkern.userland.cli.main import main
from pkern.userland.lab import MODULES, REGISTRY, Scale, Verdict, run
from pkern.userland.lab.report import index, page, write_page

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


def test_a_wrong_name_is_answered_with_the_nearest(capsys):
    assert main(["lab", "run", "gaet"]) == 2
    assert "did you mean gate?" in capsys.readouterr().err


def test_without_matplotlib_the_command_says_what_to_install(capsys, tmp_path, monkeypatch):
    import builtins

    real = builtins.__import__

    def without(name, *rest, **options):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    assert main(["lab", "run", "gate", "--tiny", "--folder", str(tmp_path)]) == 2
    assert "pkern[pictures]" in capsys.readouterr().err
