"""tests.commands: what the tests themselves trust in when they run commands."""

from __future__ import annotations

import pytest

from tests import commands
from tests.commands import pkern


def _interrupted(connection: object) -> None:
    raise KeyboardInterrupt


def test_an_answer_that_nobody_read_is_not_the_next_commands(monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(commands, "receive", _interrupted)
        pkern("--version")
    assert [pkern(word).returncode for word in ("nosuch", "--version", "nosuch")] == [2, 0, 2]
