"""docs/look-inside.md: every command on it prints what the page says.

A block of kind `console` is a session: "$ " a command of the shell, "(gdb) " one of gdb's, and what
comes. "..." stands for anything; alone in a line for any lines. A command with --mount runs on, and
waits for its input; a block that begins without a prompt is what it prints after Enter.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.commands import SECONDS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/look-inside.md"
SECTION = re.compile(r"^## (.*?)$(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STEP = re.compile(r"^(\$|\(gdb\)) (.*)\n((?:(?!\$ |\(gdb\) ).*\n)*)", re.MULTILINE)
GDB, SHELL = "(gdb)", "$"


class Step(NamedTuple):
    """A command and what it prints. prompt: "" is Enter, for the one that waits."""

    prompt: str
    command: str
    printed: str


def sections() -> dict[str, list[Step]]:
    """Return the steps of each section, by its first word."""
    return {
        title.split(":")[0]: [step for block in BLOCK.findall(text) for step in steps(block)]
        for title, text in SECTION.findall(PAGE.read_text())
    }


def steps(block: str) -> Iterator[Step]:
    found = list(STEP.finditer(block))
    first = found[0].start() if found else len(block)
    if first:
        yield Step("", "", block[:first])
    for one in found:
        yield Step(one[1], one[2], one[3])


SECTIONS = sections()


def is_as_told(printed: str, told: str) -> bool:
    """Tell whether something was printed as a page says."""
    lines = told.strip("\n").splitlines()
    parts = [
        r"(?:.*\n)*?" if line == "..." else ".*".join(map(re.escape, line.split("..."))) + "\n"
        for line in lines
    ]
    text = "".join(f"{line.rstrip()}\n" for line in printed.strip("\n").splitlines())
    return re.fullmatch("".join(parts), text) is not None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with examples/, and a program `pkern` that is this one."""
    made = tmp_path_factory.mktemp("look")
    shutil.copytree(ROOT / "examples", made / "examples")
    pkern = made / "pkern"
    pkern.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m pkern "$@"\n')
    pkern.chmod(0o755)
    made.chmod(0o755)
    return made


class Terminal:
    """Runs a section's steps, as somebody would who reads the page."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._env = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "TERM": "dumb"}
        self._gdb: subprocess.Popen[str] | None = None
        self._waits: subprocess.Popen[str] | None = None

    def start(self, command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["/bin/bash", "-c", f"exec {command}"], cwd=self._folder, env=self._env, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def run(self, step: Step) -> str:
        """Make a step; return what it prints."""
        if step.prompt == GDB:
            return self._ask_gdb(step.command)
        if not step.prompt:
            return self._enter()
        if step.command.startswith("gdb "):
            self._gdb = self.start(step.command)
            # Beside others a machine starts in more than the two seconds that gdb waits for it.
            return self._until_prompt() + self._ask_gdb(f"set remotetimeout {SECONDS:.0f}")
        if "--mount" in step.command:
            self._waits = self.start(step.command)
            return read_until(self._waits, "\n")
        done = subprocess.run(
            ["/bin/bash", "-c", step.command], cwd=self._folder, env=self._env, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=SECONDS, check=False,
        )  # fmt: skip
        return done.stdout

    def _ask_gdb(self, command: str) -> str:
        assert self._gdb is not None and self._gdb.stdin is not None
        self._gdb.stdin.write(command + "\n")
        self._gdb.stdin.flush()
        said = self._until_prompt()
        return said.replace("[answered Y; input not from terminal]", "y")

    def _until_prompt(self) -> str:
        assert self._gdb is not None
        return read_until(self._gdb, "(gdb) ").removesuffix("(gdb) ")

    def _enter(self) -> str:
        assert self._waits is not None
        return self._waits.communicate("\n", timeout=SECONDS)[0]

    def close(self) -> None:
        for process in (self._gdb, self._waits):
            if process is not None and process.poll() is None:
                process.terminate()
                process.communicate(timeout=SECONDS)


def read_until(process: subprocess.Popen[str], end: str) -> str:
    """Return what a process prints until it has printed an end."""
    assert process.stdout is not None
    said, until = "", time.monotonic() + SECONDS
    while not said.endswith(end):
        assert time.monotonic() < until, said
        part = process.stdout.read(1)
        assert part, said
        said += part
    return said


def missing(steps: list[Step]) -> str:
    """Return what this host has not that a section's commands need."""
    words = {word for step in steps for word in step.command.split()}
    tools = [tool for tool in ("gcc", "gdb") if tool in words and shutil.which(tool) is None]
    if "--mount" in words and (os.geteuid() or not Path("/dev/fuse").exists()):
        tools.append("FUSE, as root")
    return ", ".join(tools)


@pytest.mark.parametrize("section", [name for name, found in SECTIONS.items() if found])
def test_a_section_prints_what_the_page_says(section: str, folder: Path) -> None:
    steps = SECTIONS[section]
    if missing(steps):
        pytest.skip(f"needs {missing(steps)}")
    if any("./letter" in step.command for step in steps) and not (folder / "letter").exists():
        subprocess.run(
            ["gcc", "-static", "-g", "-o", "letter", "examples/letter.c"], cwd=folder, check=True
        )
    terminal = Terminal(folder)
    try:
        for step in steps:
            printed = terminal.run(step)
            assert is_as_told(printed, step.printed), f"{step}\nprinted:\n{printed}"
    finally:
        terminal.close()


def test_the_page_has_a_session_for_every_door() -> None:
    commands = " ".join(step.command for found in SECTIONS.values() for step in found)
    for door in ("--events", "inspect", "--view", "watch", "--gdb", "reverse-continue", "--mount"):
        assert door in commands
    assert len(PAGE.read_text().split()) < 2000  # a quarter of an hour, with what is printed


@pytest.mark.parametrize(
    ("printed", "told", "same"),
    [
        ("a\nb\n", "a\nb", True),
        ("a\nb\nc\n", "a\n...\nc\n", True),
        ("a\nc\n", "a\n...\nc\n", True),
        ("a 17 b\n", "a ... b\n", True),
        ("a\nb\n", "a\n", False),
        ("a\n", "b\n", False),
        ("", "a\n", False),
    ],
)
def test_what_is_as_told(printed: str, told: str, same: bool) -> None:
    assert is_as_told(printed, told) is same
