"""A command that is shown again has every option of its machine, those to come included."""

from __future__ import annotations

import argparse
import shlex

import pytest

from pkern.userland.cli.options import BOOT, add_machine_options
from pkern.userland.cli.parser import HelpfulParser
from pkern.userland.cli.program.prepared import add_program, command_of, split_command
from pkern.userland.suite.matrix import PARAMETERS

VALUES = {
    "rmap": "pte_chain",
    "nrpte": "3",
    "nodes": "2",
    "seed": "5",
    "call_ns": "100",
    "block_ns": "3",
}


def machine_options() -> list[argparse.Action]:
    parser = HelpfulParser()
    before = len(parser._actions)
    add_machine_options(parser)
    return parser._actions[before:]


def parsed(words: list[str]) -> argparse.Namespace:
    parser = HelpfulParser()
    add_program(parser, wall="1")
    options = parser.parse_args([*words, "./program"])
    split_command(options)
    return options


@pytest.mark.parametrize("action", machine_options(), ids=lambda action: action.dest)
def test_a_machines_option_is_shown_again(action):
    words = [action.option_strings[0], VALUES.get(action.dest, "x=1")]
    assert shlex.split(command_of(parsed(words))) == [*words, "./program"]


def test_what_is_as_usual_is_not_shown():
    assert command_of(parsed([])) == "./program"


def test_every_option_that_boots_is_a_parameter_of_a_matrix():
    assert set(BOOT) <= set(PARAMETERS)
    assert set(BOOT) <= {action.dest for action in machine_options()}
