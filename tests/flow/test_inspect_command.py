"""`pkern inspect`: a program is run to a place, asked about, and runs on."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
from contextlib import nullcontext
from pathlib import Path

import pytest

from pkern.kernel.inspect.moment import COUNTERS
from pkern.kernel.machine import Kernel
from pkern.userland.cli.console.console import Console
from pkern.userland.cli.main import main
from pkern.userland.machine_code import bring_program, captured, run_machine_code
from pkern.userland.program import Sys

PYTHON = """
def main(sys):
    flags = sys.MAP_PRIVATE | sys.MAP_ANONYMOUS
    for nr in range(3):
        at = sys.mmap(0x10000000 * (nr + 1), 4096, 3, flags | sys.MAP_FIXED)
        sys.store(at, b"x")
    print("went on")
    return 7
"""
C = """
#include <sys/mman.h>
#include <unistd.h>
#include <sys/wait.h>
int main(int argc, char **argv)
{
	char *at = mmap((void *)0x10000000, 8192, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	*at = 1;
	if (fork() == 0)
		_exit(0);
	wait(0);
	if (argc > 1)
		*(volatile char *)8 = 1;
	munmap(at, 8192);
	return 0;
}
"""


@pytest.fixture
def python(tmp_path: Path) -> str:
    (tmp_path / "p.py").write_text(PYTHON)
    return str(tmp_path / "p.py")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> str:
    compiler = shutil.which("musl-gcc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    folder = tmp_path_factory.mktemp("inspected")
    (folder / "p.c").write_text(C)
    subprocess.run([compiler, "-static", "-o", folder / "p", folder / "p.c"], check=True)
    return str(folder / "p")


def answers(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict]:
    assert main(["inspect", "--json", *words]) == 0
    out = capsys.readouterr().out
    return [found["answer"] for found in json.loads(out[out.index("[\n") :])]


def test_a_program_in_python_at_its_end(capsys, python):
    (vmas,) = answers(capsys, "-q", "vmas", python)
    starts = {vma["start"]: vma["present"] for vma in vmas["answers"]}
    assert [starts[0x10000000 * nr] for nr in (1, 2, 3)] == [1, 1, 1]


def test_a_program_in_python_that_fails_says_so_as_in_a_run(capsys, tmp_path):
    (tmp_path / "f.py").write_text("def main(sys):\n    sys.close(99)\n")
    failing = str(tmp_path / "f.py")
    assert main(["run", failing]) == 1
    said = capsys.readouterr().err
    assert main(["inspect", "-q", "vmas", failing]) == 0
    out, err = capsys.readouterr()
    assert (err, out[:4]) == (said, "vma ")
    assert main(["watch", failing]) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("text", ["def main(", "import nowhere_at_all", "1 / 0"])
def test_a_program_in_python_that_cannot_be_loaded_says_so_as_in_a_run(capsys, tmp_path, text):
    (tmp_path / "f.py").write_text(text)
    broken = str(tmp_path / "f.py")
    assert main(["run", broken]) == 1
    said = capsys.readouterr().err
    assert main(["inspect", "-q", "vmas", broken]) == 1
    assert capsys.readouterr().err == said + "pkern: the program did not run to its end\n"
    assert main(["watch", broken]) == 1
    assert capsys.readouterr().err == said


def test_it_is_stopped_before_a_call_and_runs_on(capsys, python):
    (vmas,) = answers(capsys, "--until", "call:mmap:3", "-q", "vmas", python)
    starts = {vma["start"] for vma in vmas["answers"]}
    assert {0x10000000, 0x20000000} <= starts and 0x30000000 not in starts
    assert main(["inspect", "--until", "call:mmap", "-q", "lru", python]) == 0
    assert capsys.readouterr().out.startswith("went on\n")


def test_a_place_where_it_never_comes(capsys, python):
    assert main(["inspect", "--until", "call:mmap:4", "-q", "lru", python]) == 1
    assert "ended before call:mmap:4" in capsys.readouterr().err


def test_machine_code_at_its_end_and_before_a_call(capsys, program):
    walk, vma = answers(capsys, "-q", "walk 0x10000000", "-q", "vma 0x400000", program)
    assert walk["vma"] is None, "it has unmapped it"
    assert vma["file"] == program
    (walk,) = answers(capsys, "--until", "call:munmap", "-q", "walk 0x10000000", program)
    assert walk["entries"][-1]["kind"] == "page"


def test_machine_code_that_a_signal_ends(capsys, program):
    assert main(["inspect", "-q", "walk 0x10000000", program, "die"]) == 0
    said = capsys.readouterr()
    assert "pte[0]" in said.out and "SIGSEGV" in said.err


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["-q", "wlak", "p.py"], "did you mean walk"),
        (["-q", "lru", "--until", "call:nmap", "p.py"], "did you mean munmap"),
        (["-q", "lru", "--until", "sometime", "p.py"], "a place is"),
        (["-q", "lru", "--until", "call:mmap:0", "p.py"], "a number from 1"),
        (["-q", "walk 1_0", "p.py"], "a number is decimal, or hex with 0x, not '1_0'"),
        (["-q", "page \u0663", "p.py"], "a number is decimal"),
        (["-q", "page 010", "p.py"], "a number is decimal"),
    ],
)
def test_a_wrong_request(capsys, words, complaint):
    assert main(["inspect", *words]) == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize("command", [["run"], ["watch"], ["inspect", "-q", "lru"]])
def test_what_cannot_be_run_ends_as_in_a_shell(capsys, tmp_path, command):
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "text").write_text("no program")
    (tmp_path / "text").chmod(0o755)
    ends = {}
    for name in ("folder.py", "text", "nowhere", "nowhere.py"):
        ends[name] = main([*command, str(tmp_path / name)])
        assert capsys.readouterr().err.count("\n") == 1
    assert ends == {"folder.py": 126, "text": 126, "nowhere": 127, "nowhere.py": 127}


@pytest.mark.parametrize("question", ["walk", "vma", "page", "mapping"])
def test_a_number_that_is_none_is_said(capsys, python, question):
    for number in (f"{1 << 80}", "-1"):
        assert main(["inspect", "-q", f"{question} {number}", python]) != 0
        told = capsys.readouterr()
        assert "Traceback" not in told.err + told.out
    assert main(["inspect", "-q", f"{question} {1 << 80}", python]) != 0
    assert "a number is from 0 to 2**64 - 1" in capsys.readouterr().err


def test_what_is_not_there_is_said(capsys, python):
    assert main(["inspect", "-q", "vma 8", "-q", "lru", python]) == 1
    said = capsys.readouterr()
    assert "has no VMA at 0x8" in said.err and "inactive_anon" in said.out
    assert main(["inspect", "-q", "vma 8", python]) == 1
    assert capsys.readouterr().out == "went on\n"


def test_the_console_asks_too(kernel, capsys):
    console = Console(kernel)
    for line in ("inspect lru", "inspect", "inspect page x", "inspect vma 8"):
        console.onecmd(line)
    out = capsys.readouterr().out
    assert "inactive_file (0)" in out and "walk ADDR [PID]" in out
    assert "inspect: a number is decimal" in out and "inspect: process" in out


def test_the_python_of_the_page_runs(capsys):
    page = (Path(__file__).parents[2] / "docs/doors.md").read_text()
    section = page[page.index("## Questions") :]
    code = re.search(r"```python\n(.*?)```", section, re.S)[1]
    exec(compile(code, "doors.md", "exec"), {})
    out = capsys.readouterr().out
    assert "walk 0x" in out and "virtual_scan" in out and "counter pgfault" in out


# ---- events, steps, breakpoints ----


def talked(capsys, monkeypatch, lines: list[str], *words: str) -> tuple[int, str]:
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines)))
    status = main(["inspect", *words])
    said = capsys.readouterr()
    return status, said.out + said.err


def test_it_is_stopped_at_an_event(capsys, python, program):
    (walk,) = answers(capsys, "--until", "event:page_fault_user:2", "-q", "walk 0x20000000", python)
    assert walk["entries"][-1]["kind"] == "page", "behind the fault"
    (walk,) = answers(
        capsys,
        "--until",
        "event:page_fault_user",
        "--if",
        "address == 0x10000000",
        "-q",
        "walk 0x10000000",
        program,
    )
    assert walk["entries"][-1]["kind"] == "page"
    (walk,) = answers(capsys, "--until", "event:copy_on_write", "-q", "walk 0x10000000", program)
    assert walk["entries"][-1]["kind"] in ("page", "nothing")


def test_an_event_that_never_comes_or_that_there_is_not(capsys, python):
    assert main(["inspect", "--until", "event:mark_victim", "-q", "lru", python]) == 1
    assert "ended before event:mark_victim" in capsys.readouterr().err
    assert main(["inspect", "--until", "event:nonsense", "-q", "lru", python]) == 2
    assert "no event is called 'nonsense'; a machine's /sys" in capsys.readouterr().err
    assert main(["inspect", "--until", "event:pagefault_user", "-q", "lru", python]) == 2
    assert "no event is called 'pagefault_user'; did you mean page_" in capsys.readouterr().err
    assert main(["inspect", "--until", "event:lru:0", "-q", "lru", python]) == 2
    assert main(["inspect", "--if", "1 +", "-q", "lru", python]) == 2
    assert "no expression of Python" in capsys.readouterr().err


def test_a_condition_on_what_no_event_has_is_refused(capsys, monkeypatch, python):
    words = ["inspect", "--until", "event:page_fault_user", "-q", "lru", "--if"]
    assert main([*words, "adress > 3", python]) == 2
    assert "no such event has a field 'adress'; did you mean address?" in capsys.readouterr().err
    assert main([*words, "any(x > 3 for x in (address, pid))", python]) == 2
    assert "'any'; there are address, comm," in capsys.readouterr().err
    assert main([*words, "[x for x in (address,) if x] and pid and comm", python]) == 0
    assert main(["inspect", "--if", "pfn > 3", "-q", "lru", python]) == 2
    assert "--if is of an event" in capsys.readouterr().err
    lines = ["break mm_page_alloc if pfm > 2", "break kmem:* if nothing", "breaks", "continue"]
    _, told = talked(capsys, monkeypatch, lines, "--until", "call:mmap", python)
    assert "no such event has a field 'pfm'; did you mean pfn?" in told
    assert "no such event has a field 'nothing'" in told and "breakpoint" not in told


def test_a_field_that_only_some_of_the_events_have(capsys, monkeypatch, python):
    lines = ["break pkern:* if outcome == 'done'", "continue", "delete 1", "continue"]
    _, told = talked(capsys, monkeypatch, lines, "--until", "call:mmap", python)
    assert "pkern:page_fault" in told and "pkern:map" not in told


def test_steps_and_breakpoints_in_machine_code(capsys, monkeypatch, program):
    lines = [
        "walk 0x10000000",
        "step fault",
        "walk 0x10000000",
        "break raw_syscalls:sys_enter if id == 11",
        "breaks",
        "continue",
        "walk 0x10000000",
        "delete 1",
        "delete 1",
        "continue",
    ]
    status, told = talked(capsys, monkeypatch, lines, "--until", "call:mmap", program)
    assert status == 0
    before, after, at_munmap = told.split("walk 0x10000000")[1:]
    assert "no VMA is there" in before
    assert "page_fault_user: address=0x10000000" in before, "the step"
    assert "-> page" in after and "breakpoint 1: raw_syscalls:sys_enter if id == 11" in after
    assert "id=11" in after and "-> page" in at_munmap, "before the call"
    assert "it is: delete N; there are none" in at_munmap


def test_steps_in_python_and_the_end_of_the_lines(capsys, monkeypatch, python):
    lines = ["step call", "step event", "step", "help", "wrong", "step wrong", "break", "quit"]
    status, told = talked(capsys, monkeypatch, lines, "--until", "call:mmap:2", python)
    assert status == 0 and "went on" not in told
    assert told.count("raw_syscalls:sys_enter") == 1
    assert "step fault|call|event" in told and "walk ADDR" in told
    assert "there is no question 'wrong'" in told and "it is: break GLOB" in told
    status, told = talked(capsys, monkeypatch, ["break *"], "--until", "call:mmap:2", python)
    assert status == 0 and "went on" in told, "nobody is there any more"


def test_a_breakpoint_in_python(kernel):
    sys = Sys(kernel.spawn(uid=0))
    at = sys.mmap(0, 4 * 4096, 3, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS)
    seen = []

    def visit(event):
        seen.append((event["address"], kernel.inspect.walk(at + 4096).entries[-1].kind))

    with kernel.inspect.at(
        "page_fault_user", visit=visit, when=lambda event: event["address"] == at + 4096
    ) as found:
        for page in range(3):
            sys.store(at + page * 4096, b"x")
        sys.getpid()
    sys.store(at + 3 * 4096, b"x")
    assert seen == [(at + 4096, "page")] and found.hits == 1
    with pytest.raises(ValueError, match="no event is called"):
        kernel.inspect.at("nonsense", visit=visit)


def test_a_run_that_is_stopped_everywhere_is_the_same(program):
    def ran(look):
        with Kernel(ram="4M") as kernel:
            out, visits = [], []
            bring_program(kernel, Path(program))
            stdio = captured(kernel, b"", out.append)
            with look(kernel, visits.append):
                status = run_machine_code(kernel, program, [program], stdio=stdio)
            counters = {name: getattr(kernel.counters, name) for name in COUNTERS}
            return status, out, kernel.clock.now_ns, counters, kernel.log.lines(), len(visits)

    *plain, none = ran(lambda kernel, visit: nullcontext())
    *seen, many = ran(lambda kernel, visit: kernel.inspect.at("*", visit=visit))
    assert seen == plain
    assert none == 0 and many > 50
