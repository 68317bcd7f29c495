"""`pkern run --hook`, `-k`, names of addresses: what they tell, and that they change nothing."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

import pkern
from pkern import Kernel
from tests import commands

SOURCE = """
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

__attribute__((noinline)) int inner(int n, const char *text) { return write(1, text, n); }
__attribute__((noinline)) int middle(int n) { return inner(n + 1, "xyz\\n") + 1; }
__attribute__((noinline)) void crash(int *at) { *(volatile int *)at = 1; }
char area[1 << 20];

int main(int argc, char **argv)
{
    int r = middle(3);
    memset(area, 7, sizeof(area));
    if (!fork()) {
        middle(3);
        _exit(0);
    }
    wait(0);
    if (argc > 1)
        crash(0);
    for (volatile int i = 0; i < 100000; i++)
        ;
    return r + area[5];
}
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hooked")
    (folder / "prog.c").write_text(SOURCE)
    for name, flags in (("static", ["-static"]), ("dynamic", [])):
        command = ["gcc", "-O1", "-o", str(folder / name), str(folder / "prog.c"), *flags]
        subprocess.run(command, check=True)
    return folder


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return commands.pkern("run", *arguments)


def hooked(programs: Path, hooks: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    (programs / "hooks.py").write_text(hooks)
    return run("--hook", programs / "hooks.py", *arguments)


OF_HOST = ["--uid", "0", "--root", "/", "--bind"]
AT = """
@at("inner")
def inner(task):
    regs = task.regs
    names = [frame.place.name for frame in task.stack()]
    print(task.pid, regs["rdi"], repr(task.text(regs["rsi"])), names[:3], task.name)
    assert regs["rip"] == task.address("inner")
    assert str(task.symbol(regs["rip"] + 2)) == "inner+0x2"
"""
TOLD = [
    "2 4 'xyz\\n' ['inner', 'middle', 'main'] {}",
    "3 4 'xyz\\n' ['inner', 'middle', 'main'] {}",
]


@pytest.mark.parametrize("kind", ["static", "dynamic"])
def test_at_a_symbol(programs: Path, kind: str) -> None:
    """In parent and child, in a static program and in one that its loader maps."""
    root = [*OF_HOST, programs] if kind == "dynamic" else []
    done = hooked(programs, AT, *root, programs / kind)
    told = [line for line in done.stdout.splitlines() if "xyz\\n" in line]
    assert told == [line.format(kind) for line in TOLD]
    assert (done.returncode, done.stderr) == (5 + 7, "")


CALLS = """
def on_syscall(task, name, args):
    if name in ("write", "wait4"):
        print("call", task.pid, name, args[2], task.stack()[1].place.name)
def on_return(task, name, result):
    if name in ("write", "wait4"):
        print("return", task.pid, name, result)
"""


def test_calls(programs: Path) -> None:
    """A call that sleeps is told of once."""
    done = hooked(programs, CALLS, programs / "static")
    told = [line for line in done.stdout.splitlines() if not line.startswith("xy")]
    assert told == [
        "call 2 write 4 inner",
        "return 2 write 4",
        "call 2 wait4 0 main",
        "call 3 write 4 inner",
        "return 3 write 4",
        "return 2 wait4 3",
    ]


FAULTS = """
def on_fault(task, addr, access):
    with open(PATH, "a") as file:
        print(hex(addr), access, hex(task.regs["rip"]), file=file)
"""


def test_faults_are_those_that_events_tell_of(programs: Path) -> None:
    told, events = programs / "faults", programs / "faults.jsonl"
    told.unlink(missing_ok=True)
    done = hooked(
        programs,
        f"PATH = {str(told)!r}\n{FAULTS}",
        "--events", events, "-E", "exceptions:page_fault_user", programs / "static",
    )  # fmt: skip
    assert done.returncode == 12
    rows = [json.loads(line)["args"] for line in events.read_text().splitlines()]
    access = {0: "read", 2: "write", 16: "exec"}
    expected = [(hex(r["address"]), access[r["error_code"] & 18]) for r in rows]
    lines = [line.split() for line in told.read_text().splitlines()]
    assert [(addr, how) for addr, how, _ in lines] == expected
    assert len(lines) > 256  # the area's pages
    assert {rip for _, how, rip in lines if how == "write"} <= {hex(r["ip"]) for r in rows}


EVERYTHING = """
def on_fault(task, addr, access): task.stack()
def on_syscall(task, name, args): task.stack(), task.read(args[1], 64)
def on_return(task, name, result): task.regs
@at("middle")
@at("inner")
def here(task): task.stack()
"""


@pytest.mark.parametrize("more", [[], ["--events", "all.json"], ["--ram", "4M", "--swap", "4M"]])
def test_a_run_with_hooks_is_the_same(programs: Path, more: list[str]) -> None:
    """Its end, output, virtual times, faults, memory and log: looked at in every way, and not."""
    pages = []
    more = [str(programs / word) if word.endswith(".json") else word for word in more]
    quiet = [word for word in more if "event" not in word and "json" not in word]
    for name, options in (("plain", quiet), ("hooked", [*more, "-k", "-o", programs / "calls"])):
        page = programs / f"{name}.page"
        arguments = [*options, "--json", page, programs / "static", "crash"]
        done = run(*arguments) if name == "plain" else hooked(programs, EVERYTHING, *arguments)
        pages.append((done.returncode, done.stdout, json.loads(page.read_text())))
    assert pages[0] == pages[1]
    assert pages[0][0] == 128 + 11


TIGHT = """
#include <sys/wait.h>
#include <unistd.h>

char area[400][4096];

int main(void)
{
    for (int round = 0; round < 3; round++)
        for (int page = 0; page < 400; page++)
            area[page][round]++;
    if (!fork()) {
        for (int page = 0; page < 400; page++)
            area[page][0]++;
        _exit(0);
    }
    wait(0);
    return area[7][2];
}
"""


def test_looking_frees_as_many_pages_where_memory_is_short(tmp_path: Path) -> None:
    (tmp_path / "tight.c").write_text(TIGHT)
    tight, page = tmp_path / "tight", tmp_path / "page"
    subprocess.run(["gcc", "-O1", "-static", "-o", tight, tmp_path / "tight.c"], check=True)
    (tmp_path / "hooks.py").write_text("def on_fault(task, addr, access): pass")
    ends = []
    for options in ([], ["--hook", tmp_path / "hooks.py"]):
        done = run("--ram", "2M", "--swap", "4M", *options, "--json", page, tight)
        ends.append((done.returncode, json.loads(page.read_text())))
    assert ends[0] == ends[1]
    assert ends[0][0] == 1 and ends[0][1]["machine"]["pswpout"] > 500


def test_stacks_of_calls_are_straces(programs: Path) -> None:
    """The frames of the program itself; those of its C library below main are the library's."""
    shown = ["-k", "-e", "trace=write", "-e", "signal=none"]
    ours = run(*shown, *OF_HOST, programs, programs / "dynamic")
    command = [shutil.which("strace"), "-f", *shown, programs / "dynamic"]
    host = subprocess.run(command, capture_output=True, text=True)
    frame = re.compile(rf" > {programs}/dynamic\((\w+)\+(0x[0-9a-f]+)\) \[(0x[0-9a-f]+)\]")
    assert frame.findall(ours.stderr) == frame.findall(host.stderr)
    assert len(frame.findall(ours.stderr)) == 8  # inner, middle, main, _start: of both processes


def test_what_is_no_hook(programs: Path) -> None:
    for text, says in (
        ("", "there is no on_fault"),
        ("on_fault = 1", "on_fault is no function"),
        ("@at(3)\ndef f(task): pass", "at() takes the name of a symbol"),
    ):
        done = hooked(programs, text, programs / "static")
        assert (done.returncode, says in done.stderr) == (2, True), done.stderr
    (programs / "main.py").write_text("def main(sys): pass")
    assert (
        "--hook is for programs in machine code"
        in hooked(programs, EVERYTHING, programs / "main.py").stderr
    )
    assert (
        "one of them at a time"
        in hooked(programs, EVERYTHING, "--twice", programs / "static").stderr
    )


def test_a_hook_that_fails_ends_the_run(programs: Path) -> None:
    done = hooked(programs, "def on_syscall(task, name, args): 1 / 0", programs / "static")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "ZeroDivisionError: division by zero"
    assert "hooks.py" in done.stderr
    assert "/kernel/" not in done.stderr


def test_names_without_symbols(programs: Path, tmp_path: Path) -> None:
    """A stripped file's places are its own addresses; what is no ELF file has none."""
    from pkern.userland.symbols import Program

    stripped = tmp_path / "stripped"
    subprocess.run(["strip", "-o", stripped, programs / "static"], check=True)
    plain, bare = (Program(p.read_bytes()) for p in (programs / "static", stripped))
    at = plain.address("inner")
    assert at is not None
    assert plain.name(at + 3) == ("inner", 3)
    assert bare.name(at + 3) == ("", 0)
    assert bare.rules(at) is not None  # they are still there
    with pytest.raises(ValueError, match="Magic number"):
        Program(b"#!/bin/sh\n")


STRANGE = """
def on_syscall(task, name, args):
    if name == "write":
        assert task.read(-8, 8) == task.read(1 << 64, 8) == task.read(args[1], -1) == b""
        assert task.text((1 << 64) - 8) == "" and task.read(args[1], 1 << 40).startswith(b"xyz")
        assert task.symbol(-1) is task.symbol(1 << 70) is None
"""


def test_a_hook_may_read_anywhere(programs: Path) -> None:
    done = hooked(programs, STRANGE, programs / "static")
    assert (done.returncode, done.stderr) == (12, "")


def test_looking_brings_in_no_page(programs: Path) -> None:
    """Reading of symbols, stacks and memory, at each call: every counter is as without."""
    from pkern.kernel.tasks.task import Task
    from pkern.userland.symbols import Symbols, peek

    symbols_of = cache(Symbols)  # each reads a program's table once

    def counts(look: Callable[[Kernel, Task], object] | None) -> list[int]:
        with Kernel("64M") as kernel:

            def emit(line: str) -> None:
                scheduler = kernel.scheduler
                if look is not None and scheduler is not None and scheduler.running is not None:
                    look(kernel, scheduler.running)

            pkern.run(programs / "static", kernel=kernel, strace=emit)
            return [int(getattr(kernel.counters, n)) for n in dir(kernel.counters)]

    def look(kernel: Kernel, task: Task) -> None:
        symbols = symbols_of(kernel)
        assert symbols.address(task, "area") is None or symbols.address(task, "main")
        if task.alive:
            symbols.stack(task)
            peek(task, 0x400000, 1 << 20)

    assert counts(look) == counts(None)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x = 1 / 0\n", "ZeroDivisionError: division by zero"),
        ("def on_fault(:\n", "SyntaxError"),
        (
            "def on_fault(): pass\n",
            "on_fault is for a function that is called as f(task, addr, access)",
        ),
        ("@at('main')\ndef f(): pass\n", "at('main') is for a function that is called as f(task)"),
        ("\0", "cannot be loaded"),
    ],
)
def test_a_file_of_hooks_that_is_none(programs: Path, tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "hooks.py").write_text(text)
    done = run("--hook", tmp_path / "hooks.py", programs / "static")
    assert done.returncode == 2
    assert told in done.stderr
    assert "/userland/" not in done.stderr


def test_what_hooks_leave_open_is_written(programs: Path, tmp_path: Path) -> None:
    """A command leaves without Python's look through all objects, but where others' code ran."""
    told = tmp_path / "told"
    text = f"file = open({str(told)!r}, 'w')\ndef on_syscall(*_): file.write('call ')\n"
    hooked(programs, text, programs / "static")
    assert told.read_text().startswith("call call ")


def test_a_symbol_that_no_program_has_is_said(programs: Path, tmp_path: Path) -> None:
    (tmp_path / "hooks.py").write_text("@at('nowhere')\n@at('middle')\ndef f(task): pass\n")
    done = run("--hook", tmp_path / "hooks.py", programs / "static")
    assert done.stderr.endswith("pkern: no program has a symbol nowhere (--hook)\n")
