"""Tables on a terminal and elsewhere."""

from __future__ import annotations

import io
import os

import pytest

from pkern.userland import tables

HEADERS = ("name", "what it does")
NAME = "vm.a_name_that_is_twenty_eight"
ROWS = [(NAME, "a sentence that is much longer than what stands before it " * 2)]


class Screen(io.StringIO):
    """A terminal as far as tables look."""

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return 1


@pytest.mark.parametrize("width", [20, 40, 64, 65, 80, 200])
def test_no_name_is_cut_whatever_the_terminals_width(
    monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    screen = Screen()
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setattr(os, "get_terminal_size", lambda fd=1: os.terminal_size((width, 24)))
    monkeypatch.setenv("COLUMNS", str(width))
    tables.print_table("", HEADERS, ROWS)
    text = screen.getvalue()
    assert NAME in text
    assert ("─" in text) == ("━" in text) == (width > 66)


def test_without_a_terminal_it_is_plain(capsys: pytest.CaptureFixture[str]) -> None:
    tables.print_table("", HEADERS, ROWS)
    assert capsys.readouterr().out.splitlines()[2].startswith(f"{NAME}  a sentence")
