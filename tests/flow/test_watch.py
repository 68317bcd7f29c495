"""`pkern watch`: the machine's memory on a terminal, while a program runs."""

from __future__ import annotations

import os
import pty
import re
import sys as host
from pathlib import Path

import pytest

from pkern.kernel.machine import Kernel
from pkern.userland.cli.main import main
from pkern.userland.program import Sys
from pkern.userland.view.live import CELLS, LISTS, Watcher

PAGE = 4096
BUSY = """
def main(sys):
    at = sys.mmap(0, 700 * 4096, 3, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS)
    for turn in range(30):
        for page in range(0, 700, 7):
            sys.store(at + page * 4096, b"x")
        print("turn", turn)
    print("at", sys.clock_gettime(sys.CLOCK_MONOTONIC))
    return 7
"""


@pytest.fixture
def busy(tmp_path: Path) -> str:
    (tmp_path / "busy.py").write_text(BUSY)
    return str(tmp_path / "busy.py")


def on_a_terminal(*words: str) -> tuple[int, str]:
    """Run pkern on a pseudo-terminal; return its exit status and what it wrote."""
    written = []

    def read(fd: int) -> bytes:
        written.append(os.read(fd, 65536))
        return written[-1]

    status = pty.spawn([host.executable, "-m", "pkern", *words], read)
    return os.waitstatus_to_exitcode(status), b"".join(written).decode(errors="replace")


def clock_of(text: str) -> str:
    found = re.search(r"at (\S+)", re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text))
    assert found
    return found[1]


def test_without_a_terminal_the_end_is_printed(busy, capsys):
    assert main(["watch", "--ram", "2M", "--swap", "8M", busy]) == 7
    said = capsys.readouterr().out
    for part in ("physical memory", "address spaces", "lists by age", "counters", "turn 29"):
        assert said.count(part) == 1, part
    assert "of 700" in said and "inactive_anon" in said and "pswpout" in said


def test_on_a_terminal_it_is_drawn_again_and_again(busy, capsys):
    status, told = on_a_terminal("watch", "--every", "0.02", "--ram", "2M", "--swap", "8M", busy)
    assert status == 7
    assert told.count("physical memory") >= 2, "and the end"
    assert main(["watch", "--ram", "2M", "--swap", "8M", busy]) == 7
    assert clock_of(told) == clock_of(capsys.readouterr().out)


@pytest.mark.parametrize("rmap", ["objrmap_tree", "virtual_scan"])
def test_a_picture_is_the_machine(rmap):
    with Kernel(ram="2M", swap="8M", rmap=rmap) as kernel:
        sys = Sys(kernel.spawn("seen", uid=0))
        at = sys.mmap(0, 600 * PAGE, 3, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS)
        for page in range(600):
            sys.store(at + page * PAGE, b"x")
        watcher = Watcher(kernel, "a title", bytearray(b"one\ntwo"))
        picture = watcher.look()
        own = next(area for area in picture.areas if area.pages == 600)
        assert own.process == f"seen ({sys.pid})"
        assert own.resident == sys.task.mm.counters.rss_anon
        assert own.swapped == sys.task.mm.counters.nr_swap > 0
        assert own.resident + own.swapped == 600
        for name in LISTS:
            assert picture.lists[name] == getattr(kernel.counters, f"nr_{name}")
        assert picture.cells.count("anon") + picture.cells.count("swapcache") >= own.resident
        assert len(picture.cells) <= CELLS and picture.frames_a_cell == 1
        assert picture.output == ("one", "two")
        assert set(watcher.look().changed.values()) == {0}, "looking changes nothing"


def test_many_areas_and_frames_are_summed_up():
    with Kernel(ram="64M") as kernel:
        sys = Sys(kernel.spawn(uid=0))
        at = sys.mmap(0, 4000 * PAGE, 3, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS)
        sys.touch(at, 4000 * PAGE)
        for page in range(0, 100, 2):
            sys.mprotect(at + page * PAGE, PAGE, sys.PROT_READ)
        picture = Watcher(kernel, "", bytearray()).look()
        assert picture.more_areas > 50
        assert len(picture.cells) <= CELLS and picture.frames_a_cell > 1


@pytest.mark.parametrize("every", ["0", "x", "nan", "-1"])
def test_a_wrong_request(every, busy, capsys):
    with pytest.raises(SystemExit) as left:
        main(["watch", f"--every={every}", busy])
    assert left.value.code == 2
    assert "seconds from 0.01" in capsys.readouterr().err


def test_without_rich_it_is_refused_before_the_run(busy, capsys, monkeypatch):
    monkeypatch.setitem(host.modules, "rich.console", None)
    assert main(["watch", busy]) == 2
    said = capsys.readouterr()
    assert "pip install '.[pretty]'" in said.err and not said.out
