"""`pkern run --view`: the page's data, and that a run is the same when it is looked at.

What a browser makes of the page: tests/browser, `make browser`.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys as host
from pathlib import Path
from typing import NamedTuple

import pytest

from pkern.kernel.core import lib
from pkern.kernel.machine import Kernel
from pkern.userland.cli.main import main
from pkern.userland.program import Sys
from pkern.userland.view.page import page
from pkern.userland.view.recorder import Recorder
from pkern.userland.view.story import page_data
from tests.commands import pkern

PAGE = 4096
PYTHON = """
def main(sys):
    at = sys.mmap(0, 64 * 4096, 3, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS)
    for nr in range(64):
        sys.store(at + nr * 4096, b"x")
    child = sys.fork()
    child.store(at, b"y")
    child.exit(3)
    print(sys.wait4(child.pid, 0), sys.clock_gettime(sys.CLOCK_MONOTONIC))
"""
C = """
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	struct timespec now;
	char *at = mmap(0, 65536, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	at[4096] = 1;
	if (argc > 1)
		return 0;
	if (fork() == 0)
		execl(argv[0], argv[0], "x", (char *)0);
	wait(0);
	clock_gettime(CLOCK_MONOTONIC, &now);
	printf("%ld %ld\\n", (long)now.tv_sec, now.tv_nsec);
	return 0;
}
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("viewed")
    (folder / "p.py").write_text(PYTHON)
    found = [str(folder / "p.py")]
    compiler = shutil.which("musl-gcc") or shutil.which("gcc")
    if compiler is not None:
        (folder / "p.c").write_text(C)
        subprocess.run([compiler, "-static", "-o", folder / "p", folder / "p.c"], check=True)
        found.append(str(folder / "p"))
    return found


def data_of(page: Path) -> dict:
    """Return what the page's script reads."""
    text = page.read_text()
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    assert found
    return json.loads(found[1])


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [host.executable, "-m", "pkern", "run", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


class Seen(NamedTuple):
    """A program's run with --view: what it wrote, the report, the page."""

    program: str
    done: subprocess.CompletedProcess[str]
    report: str
    page: Path


@pytest.fixture(scope="module")
def seen(programs, tmp_path_factory) -> list[Seen]:
    folder = tmp_path_factory.mktemp("seen")
    runs = []
    for number, program in enumerate(programs):
        report, page = folder / f"{number}.json", folder / f"{number}.html"
        done = run("--json", str(report), "--view", str(page), program)
        runs.append(Seen(program, done, report.read_text(), page))
    return runs


def test_a_run_is_the_same_when_it_is_looked_at(seen, tmp_path):
    for program, done, report, _ in seen:
        plain = pkern("run", "--json", tmp_path / "a.json", program)
        assert (done.returncode, done.stdout, done.stderr) == (0, plain.stdout, plain.stderr)
        assert report == (tmp_path / "a.json").read_text()


def test_the_page_has_everything_in_itself(seen):
    for one in seen:
        head = one.page.read_text()
        assert not re.search(r"<(?:script|img|iframe)[^>]* src=|<link |@import", head)
        data = data_of(one.page)
        names = {data["texts"][event[4]] for event in data["events"]}
        assert {"kmem:mm_page_alloc", "sched:sched_process_fork", "the end"} <= names
        assert len(data["events"]) == len(data["moments"])
        assert [event[0] for event in data["events"]] == list(range(len(data["events"])))


def test_each_address_space_has_its_process(seen):
    data = data_of(seen[-1].page)
    vmas = data["records"]["vmas"]
    spaces = {change[1] for moment in data["moments"] for change in moment if change[0] == vmas}
    labels = {label[1] for label in data["labels"]}
    assert spaces and spaces <= labels
    assert {label[2] for label in data["labels"]} >= {2, 3}


def replayed(data: dict) -> dict[int, list[int]]:
    """Return the frames as the page has them in the end."""
    return {
        change[1]: change[2:]
        for moment in data["moments"]
        for change in moment
        if change[0] == data["records"]["frame"]
    }


@pytest.mark.parametrize("rmap", ["objrmap_tree", "compare"])
def test_the_data_add_up_to_the_machine(rmap):
    with Kernel(ram="1M", swap="1M", rmap=rmap) as kernel:
        with Recorder(kernel) as recorder:
            sys = Sys(kernel.spawn(uid=0))
            own = sys.mmap(0, 300 * PAGE, 3, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS)
            for nr in range(300):  # more than memory has
                sys.store(own + nr * PAGE, b"x")
        data = page_data(recorder.recording, kernel.inspect)
        for pfn, row in replayed(data).items():
            page = kernel.inspect.page(pfn)
            assert (row[3], row[4], row[5]) == (page.refcount, page.mapcount, page.pins), pfn
        counters = {}
        for moment in data["moments"]:
            for change in moment:
                if change[0] == data["records"]["counter"]:
                    counters[data["names"]["counters"][change[1]]] = change[2]
        assert counters["pswpout"] == kernel.counters.pswpout > 0
        assert counters["nr_anon"] == kernel.counters.nr_anon


def test_no_text_of_a_program_becomes_part_of_the_page(seen):
    name = "/tmp/</script><!--<script>"
    with Kernel(ram="1M") as kernel:
        with Recorder(kernel) as recorder:
            sys = Sys(kernel.spawn("<b>", uid=0))
            sys.mkdir("/tmp/<", 0o755)
            fd = sys.open(name, sys.O_RDWR | sys.O_CREAT, 0o644)
            sys.write(fd, b"x")
        data = page_data(recorder.recording, kernel.inspect)
        assert name in data["files"].values()
        text = page(data, "<i>")
        assert "<!--<script>" not in text and "<i>" not in text.partition("<body>")[0]
        assert text.count("</script>") == seen[0].page.read_text().count("</script>")


def test_what_comes_too_late_is_counted():
    with Kernel(ram="1M") as kernel:
        with Recorder(kernel, most=10) as recorder:
            sys = Sys(kernel.spawn(uid=0))
            sys.touch(sys.mmap(0, 32 * PAGE, 3, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS), 32 * PAGE)
        assert recorder.recording is not None
        data = page_data(recorder.recording, kernel.inspect)
        assert len(data["events"]) == 10
        assert data["left_out"] > 10
        assert not kernel.tracing.on, "nobody looks any more"
        assert lib.machine_journal_note(kernel.core, 0) == 0, "and the journal is off"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--view", "/nowhere/x.html", "p.py"], "written: the folder '/nowhere' does not exist"),
        (["--twice", "--view", "x.html", "p.py"], "one run is shown"),
        (["--view", "", "p.py"], "'' is no name of a file"),
        (["--view", ".", "p.py"], "'.' is a directory"),
        (["--view-events", "5", "p.py"], "of a page that --view FILE.html writes"),
        (["--view", "x.html", "--view-events", "0", "p.py"], "a number from 1, not '0'"),
        (["--view", "x.html", "--view-events", "many", "p.py"], "a number from 1, not 'many'"),
        (["--view", "x.html", "--view-events", "9" * 20, "p.py"], "no number above 2**64 - 1"),
        (["--view", "x.html", "--view-events", "9" * 5000, "p.py"], "no number above 2**64 - 1"),
        (["--fail-nth", "9" * 20, "p.py"], "no number above 2**64 - 1"),
        (["--events", "", "p.py"], "'' is no name of a file"),
        (["--events", "x.json", "-E", "", "p.py"], "no event is called ''"),
        (["--hook", "", "program"], "there is no file ''"),
        (["--gdb", "", "program"], "takes a port"),
    ],
)
def test_a_wrong_request(capsys, monkeypatch, tmp_path, words, complaint):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.py").write_text(PYTHON)
    (tmp_path / "program").write_bytes(b"\x7fELF")
    try:
        assert main(["run", *words]) == 2
    except SystemExit as refused:  # by the parser
        assert refused.code == 2
    said = capsys.readouterr().err
    assert complaint in said and len(said.splitlines()) == 1


def test_without_bokeh_it_is_refused_before_the_run(capsys, monkeypatch, programs, tmp_path):
    monkeypatch.setitem(host.modules, "bokeh", None)
    assert main(["run", "--view", str(tmp_path / "x.html"), programs[0]]) == 2
    said = capsys.readouterr()
    assert "pip install '.[view]'" in said.err and not said.out
