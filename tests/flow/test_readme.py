"""The README's program does what the README prints below it."""

import re
from pathlib import Path

import pytest

from pkern.userland.cli.main import main

README = (Path(__file__).parents[2] / "README.md").read_text()


def program() -> str:
    """Return the README's ten-line program."""
    (text,) = re.findall(r"```python\n(# nonlinear\.py.*?)```", README, re.DOTALL)
    return text


def session() -> tuple[list[str], str]:
    """Return the arguments and the output of the README's shell session."""
    command, output = re.findall(r"\$ pkern (run .*?)\n    (.*?)\n", README)[0]
    return command.split(), output


def test_the_program_is_ten_lines():
    assert len(program().splitlines()) <= 10


def test_the_session_prints_what_the_readme_says(tmp_path, monkeypatch, capsys):
    (tmp_path / "nonlinear.py").write_text(program())
    monkeypatch.chdir(tmp_path)
    arguments, output = session()
    assert main(arguments) == 0
    assert capsys.readouterr().out.strip() == output


def test_without_the_sysctl_the_gate_is_closed(tmp_path, monkeypatch, capsys):
    (tmp_path / "nonlinear.py").write_text(program())
    monkeypatch.chdir(tmp_path)
    assert main(["run", "nonlinear.py"]) == 1
    assert "Operation not permitted" in capsys.readouterr().err


def test_the_machine_of_ones_own_prints_what_the_readme_says(capsys):
    (text,) = re.findall(r"```python\n(# machine\.py.*?)```", README, re.DOTALL)
    (printed,) = re.findall(r"\$ python machine\.py\n    (.*?)\n\n", README)
    exec(compile(text, "machine.py", "exec"), {})
    assert capsys.readouterr().out.strip() == printed


@pytest.mark.parametrize(
    "page", sorted(set(re.findall(r"\]\(((?:docs|examples)/[^)]*|CHANGELOG\.md)\)", README)))
)
def test_every_link_leads_somewhere(page):
    assert (Path(__file__).parents[2] / page).exists()
