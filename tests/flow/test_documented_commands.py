"""Every command line of README and docs does what it says: it is run, or its arguments are read.

A command is a line of a code block that begins with pkern or make, or a piece of code in a text
that does. Those in blocks run in a folder that has what they name; the long ones, and those in a
text, which are often a mere form, are read by the real parser. Whatever is neither fails here.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest

from pkern.userland.cli.main import COMMANDS
from pkern.userland.cli.parser import HelpfulParser
from tests.commands import pkern

ROOT = Path(__file__).parents[2]
SESSIONS = ROOT / "docs/look-inside.md"  # test_look_inside.py runs it
PAGES = [ROOT / "README.md", *sorted({*(ROOT / "docs").rglob("*.md")} - {SESSIONS})]
LONG = {
    "lab",
    "bench",
    "conform",
    "uml",
    "story",
    "shell",
    "console",
    "docs",
    "bochs",
    "suite",
    "explore",
    "sweep",
    "mount",
    "host-shell",
}
WITH_OTHERS = {"--mount", "--gdb"}  # need what not every host has, or somebody who comes
BUSYBOX = Path("/bin/busybox")
PYTHON = """
def main(sys):
    at = sys.mmap(0, 4096, sys.PROT_READ, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS, -1, 0)
    return sys.munmap(at, 4096)
"""
# What a word of a command stands for in the folder.
NAMES = {
    "PROGRAM": "./program",
    "PROGRAM.py": "prog.py",
    "DIR": "root",
    "FILE": "file",
    "PATH": "file",
}
NUMBER = "N"  # what a page writes for one


@dataclass(frozen=True)
class Command:
    """A command line of a page. in_block: not a piece of code in a text."""

    page: str
    line: int
    words: tuple[str, ...]
    in_block: bool

    def __str__(self) -> str:
        return f"{self.page}:{self.line} {shlex.join(self.words)}"


def split(text: str) -> tuple[str, ...]:
    """Return a command's words, without a comment and the prompt."""
    words = shlex.split(text.removeprefix("$ "), comments=True)
    return tuple(word for word in words if word not in ("ARGS",))


def commands() -> list[Command]:
    """Return every command line of every page."""
    found = []
    for page in PAGES:
        name, fenced, prompt = str(page.relative_to(ROOT)), False, False
        for number, line in enumerate(page.read_text().splitlines(), 1):
            if line.startswith("```"):
                fenced, prompt = not fenced, False
                continue
            text = line.strip()
            prompt = prompt or (fenced and line.startswith("$ "))
            if prompt and not line.startswith("$ "):
                continue  # what a session prints
            if (fenced or line.startswith("    ")) and re.match(r"(\$ )?(pkern|make) ", text):
                found.append(Command(name, number, split(text), True))
            elif not fenced and not line.startswith("    "):
                pieces = re.findall(r"`((?:pkern|make) [^`]*)`", line)
                found += [Command(name, number, split(piece), False) for piece in pieces]
    return found


ALL = commands()


def is_run(command: Command) -> bool:
    if not command.in_block or command.words[0] != "pkern":
        return False
    return command.words[1] not in LONG and not WITH_OTHERS.intersection(command.words)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder that has what the commands name."""
    made = tmp_path_factory.mktemp("documented")
    if BUSYBOX.exists():
        (made / "root/bin").mkdir(parents=True)
        shutil.copy(BUSYBOX, made / "root/bin/busybox")
    for name in ("src", "out"):
        (made / name).mkdir()
    (made / "prog.py").write_text(PYTHON)
    (made / "hooks.py").write_text("def on_fault(task, addr, access):\n    assert task.regs\n")
    (made / "file").write_text("text\n")
    readme = PAGES[0].read_text()
    (made / "nonlinear.py").write_text(
        re.search(r"```python\n(# nonlinear.*?)```", readme, re.S)[1]
    )
    source = made / "program.c"
    source.write_text("int main(void) { return 0; }\n")
    if shutil.which("gcc"):
        subprocess.run(["gcc", "-static", "-o", made / "program", source], check=True)
    made.chmod(0o755)
    return made


def test_there_are_commands_and_each_is_known():
    assert sum(is_run(command) for command in ALL) > 20
    for command in ALL:
        assert command.words[0] in ("pkern", "make"), command
        if command.words[0] == "pkern":
            name = command.words[1]
            assert name in COMMANDS or name.startswith("-") or name == "COMMAND", command


@pytest.mark.parametrize("command", [c for c in ALL if is_run(c)], ids=str)
def test_a_command_in_a_block_runs(command, folder):
    words = [NAMES.get(word, word) for word in command.words[1:]]
    words = [re.sub(r"^DIR(?=:)", "root", word) for word in words]
    needs = [word for word in words if word in ("./program", "root") or "python3" in word]
    for word in needs:
        if not (folder / word).exists() and not Path(word).exists():
            pytest.skip(f"this host has not what makes {word}")
    done = pkern(*words, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "stands behind the program's name" not in done.stderr


@pytest.mark.parametrize(
    "command", [c for c in ALL if c.words[0] == "pkern" and not is_run(c)], ids=str
)
def test_the_other_commands_arguments_are_read(command, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    name, *words = command.words[1:]
    if name.startswith("-") or name == "COMMAND":
        return  # the options of all: test_cli.py
    room, _ = COMMANDS[name]
    module = import_module(f"pkern.userland.{room}")
    parser = HelpfulParser(prog=f"pkern {name}")
    module.add_arguments(parser)
    words = ["1" if word == NUMBER else word for word in words]
    try:
        options = parser.parse_args(words)
    except SystemExit:
        told = capsys.readouterr().err
        assert not command.in_block and "are required" in told, told  # no more than its name
        return
    late = [word for word in getattr(options, "command", [])[1:] if word in parser.flags()]
    assert not late, f"{late} stand behind the program's name"


@pytest.mark.parametrize("command", [c for c in ALL if c.words[0] == "make"], ids=str)
def test_make_knows_its_target(command):
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {word for word in command.words[1:] if "=" not in word} <= set(targets)


@pytest.mark.skipif(not BUSYBOX.exists(), reason="needs a static busybox")
def test_the_report_of_a_deadlock_is_the_page_s():
    page = (ROOT / "docs/programs.md").read_text()
    command, report = re.search(
        r"`(/bin/busybox sh [^`]*)` ends with\n\n```\n(.*?)```", page, re.S
    ).groups()
    done = pkern("run", *shlex.split(command))
    assert (done.returncode, done.stdout, done.stderr) == (1, "", report)
