#!/usr/bin/env python3
"""Compare two checkouts of pkern by instructions, which no other work on the machine disturbs.

    tests/counts.py OLD NEW [WORD]      only rows whose name contains WORD

Both are folders in which `make build` has been run. What is counted, under valgrind, in each:

    C             an operation of userland/bench/core.c, between its two looks at the clock
    Python        a call from Python    } twice so many turns less once so many:
    machine code  a turn of a loop      } what comes before and behind is no part of it
    pkern run     a whole run of a program of userland/programs, its start included

Programs in C are NEW's on both sides. Needs valgrind and gcc. Prints a table in Markdown.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

CORE = {  # operation: how many of it lie between the looks at the clock
    "remap": 16384, "mmap": 20_000, "fault": 16384, "touch": 16384, "touch_unbacked": 16384,
    "fork": 5, "truncate": 16384, "translate": 200_000, "walk": 200_000,
}  # fmt: skip
BY_DESIGN = {"unmap": 100, "reclaim": 100_000, "fork_ptes": 5}
DESIGNS = ("pte_chain", "objrmap_tree", "objrmap", "virtual_scan")  # by enum rmap_design
FEWER = {200_000: 20_000, 20_000_000: 200_000, 10_000_000: 200_000}  # turns: these say as much
LOOPS = {
    "getppid": 2000, "mmap": 200, "fork": 30, "exec": 5, "compute": 500_000, "random-1m": 100_000,
}  # fmt: skip
PROGRAMS = ("true", "cow", "forks 6 64 8", "mremap", "shared", "truncate", "faults", "heap")
ROOMS = ("pkern", "kernel", "syscalls", "userland")
MMAP = """
from {package}userland.bench import programs
programs._ROUNDS_OF_MMAP = {turns}
programs.mmap_python()
"""
REMAP = """
from {package}userland.bench import programs
programs.NR_PAGES, once = 16, programs._remap_all
programs._remap_all = lambda *call: [once(*call) for _ in range({turns})][0]
programs.remap_python()
"""
PYTHON = {"mmap, munmap": (MMAP, 1000, 1), "remap_file_pages": (REMAP, 64, 16)}  # calls of a turn
LOOP = """
from pathlib import Path
from {{package}}userland.bench import machine_code
machine_code.program = lambda name: Path({program!r})
machine_code.our_program({loop!r}, {{turns}})
"""
PATH = "import sys; from pkern.userland.cprograms import program; print(program(sys.argv[1]))"
LAST, BETWEEN = -1, -2  # of the parts into which looks at the clock cut a run
LAST_SUFFIX = ".9"  # the last part's file has none, the others' are .1, .2, ...

Count = Callable[[Path], float]


def instructions(words: list[str], where: Path, part: int = LAST) -> int:
    """Run a command in a folder; return what it took, or a part of it."""
    command = ["valgrind", "--tool=callgrind"]
    command += ["--dump-before=now_ns"] if part == BETWEEN else []
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [*command, f"--callgrind-out-file={folder}/out", *words],
            check=True,
            cwd=where,
            capture_output=True,
            env=os.environ | {"PYTHONHASHSEED": "0"},
        )
        parts = sorted(Path(folder).iterdir(), key=lambda path: path.suffix or LAST_SUFFIX)
        found = re.search(r"^(?:summary|totals): (\d+)", parts[part].read_text(), re.M)
    assert found is not None
    return int(found[1])


def python_of(tree: Path) -> str:
    """Return a checkout's Python."""
    return str(tree / ".venv/bin/python")


def package_of(tree: Path) -> str:
    """Return what stands before its rooms' names: nothing before there was one package."""
    return "pkern." if (tree / "pkern").is_dir() else ""


def core_program(new: Path, folder: Path, tree: Path) -> Path:
    """Build the bench's operations on a checkout's core."""
    text = (new / "userland/bench/core.c").read_text()
    text = text.replace("static double now_ns", "__attribute__((noinline)) static double now_ns")
    for many, few in FEWER.items():
        text = text.replace(f"n = {many};", f"n = {few};")
    made = folder / f"core-{len(list(folder.iterdir()))}"
    source = made.with_suffix(".c")
    source.write_text(text)
    core = tree / "kernel/core"
    files = [str(path) for path in core.rglob("*.c") if path.name != "_core.c"]
    flags = ["-O2", "-w", "-std=gnu11", f"-I{core}", f"-I{core}/cpu", "-ldl"]
    subprocess.run(["gcc", "-o", str(made), str(source), *files, *flags], check=True)
    return made


def of_core(build: Callable[[Path], Path], words: list[str], number: int, tree: Path) -> float:
    """Count one operation in C."""
    return instructions([str(build(tree)), *words], tree, BETWEEN) / number


def of_turn(code: str, turns: int, calls: int, tree: Path) -> float:
    """Count one of the calls that a loop makes in each turn; a piece of Python runs it."""
    package = package_of(tree)
    once, twice = (
        instructions([python_of(tree), "-c", code.format(turns=n, package=package)], tree)
        for n in (turns, 2 * turns)
    )
    return (twice - once) / turns / calls


def of_run(words: list[str], tree: Path) -> float:
    """Count a whole run."""
    return instructions([python_of(tree), str(tree / ".venv/bin/pkern"), "run", *words], tree)


def program(new: Path, name: str) -> str:
    """Return the path of a program of userland/programs."""
    words = [python_of(new), "-c", PATH, name]
    return subprocess.run(words, check=True, cwd=new, capture_output=True, text=True).stdout.strip()


def rows(new: Path, folder: Path) -> Iterator[tuple[str, Count]]:
    """Yield the name of each row and what counts it in a checkout."""
    build = cache(partial(core_program, new, folder))
    for name, number in CORE.items():
        yield f"C: {name}", partial(of_core, build, [name], number)
    for name, number in BY_DESIGN.items():
        for nth, design in enumerate(DESIGNS):
            yield f"C: {name}, {design}", partial(of_core, build, [name, str(nth)], number)
    for name, (code, turns, calls) in PYTHON.items():
        yield f"Python: {name}", partial(of_turn, code, turns, calls)
    bench = program(new, "bench")
    for loop, turns in LOOPS.items():
        yield (
            f"machine code: {loop}",
            partial(of_turn, LOOP.format(program=bench, loop=loop), turns, 1),
        )
    for words in PROGRAMS:
        name, *arguments = words.split()
        yield f"pkern run {words}", partial(of_run, [program(new, name), *arguments])


def main() -> None:
    """Count, row by row."""
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    old, new = (Path(word).resolve() for word in sys.argv[1:3])
    for tree in (old, new):  # a start must not compile
        folders = [name for name in ROOMS if (tree / name).is_dir()]
        subprocess.run([python_of(tree), "-m", "compileall", "-q", *folders], check=True, cwd=tree)
    print("| instructions | before | now | now / before |\n|---|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        for name, count in rows(new, Path(folder)):
            if len(sys.argv) == 3 or sys.argv[3] in name:
                before, now = count(old), count(new)
                print(f"| {name} | {before:,.0f} | {now:,.0f} | {now / before:.3f} |", flush=True)


if __name__ == "__main__":
    main()
