"""A command that is shown again has every option of its machine, those to come included."""

from __future__ import annotations

import argparse
import shlex

import pytest

from pkern.kernel.late import load
from pkern.userland.cli.main import COMMANDS
from pkern.userland.cli.options import BOOT, add_machine_options
from pkern.userland.cli.parser import HelpfulParser
from pkern.userland.cli.program.prepared import add_program, command_of, split_command
from pkern.userland.cli.program.run import add_files, add_who
from pkern.userland.suite.matrix import PARAMETERS

VALUES = {
    "rmap": "pte_chain",
    "nrpte": "3",
    "nodes": "2",
    "seed": "5",
    "call_ns": "100",
    "block_ns": "3",
    "uid": "0",
}


NOT_OF_THE_PROGRAM = {"help", "command", "wall", "jobs"}


def machine_options() -> list[argparse.Action]:
    parser = HelpfulParser()
    before = len(parser._actions)
    add_machine_options(parser)
    return parser._actions[before:]


def program_options() -> list[argparse.Action]:
    parser = HelpfulParser()
    add_program(parser, wall="1")
    return [action for action in parser._actions if action.dest not in NOT_OF_THE_PROGRAM]


def parsed(words: list[str]) -> argparse.Namespace:
    parser = HelpfulParser()
    add_program(parser, wall="1")
    options = parser.parse_args([*words, "./program"])
    split_command(options)
    return options


@pytest.mark.parametrize("action", program_options(), ids=lambda action: action.dest)
def test_an_option_of_the_program_or_the_machine_is_shown_again(action):
    words = [action.option_strings[0], VALUES.get(action.dest, "x=1")]
    if action.dest == "overlay":
        words = ["--root", "x", "--overlay"]
    assert shlex.split(command_of(parsed(words))) == [*words, "./program"]


@pytest.mark.parametrize(
    "command", ["explore", "inspect", "run", "shell", "suite", "sweep", "watch"]
)
def test_a_program_is_given_the_same_by_every_command(command):
    parser, given = HelpfulParser(), HelpfulParser()
    load(f"pkern.userland.{COMMANDS[command][0]}").add_arguments(parser)
    add_who(given, uid=1000)
    add_files(given)
    assert set(given.flags()) <= set(parser.flags())


def test_what_is_as_usual_is_not_shown():
    assert command_of(parsed([])) == "./program"


def test_every_option_that_boots_is_a_parameter_of_a_matrix():
    assert set(BOOT) <= set(PARAMETERS)
    assert set(BOOT) <= {action.dest for action in machine_options()}
