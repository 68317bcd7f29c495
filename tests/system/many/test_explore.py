"""`pkern explore`: the bugs of programs that are right in the usual order, and their replays."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests import commands
from tests.rounds import ROUNDS
from tests.speed import second

ROOT = Path(__file__).parents[3]
SOURCES = Path(__file__).parents[1] / "schedules"
ORDERS = Path(__file__).parents[1] / "orders"
pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason="no compiler")
# musl's threads have two thirds of glibc's points, so that a search costs half as much.
SHORT = (shutil.which("musl-gcc") or "gcc", "-static", "-O1", "-pthread")
GLIBC = ("gcc", "-static", "-O1", "-pthread")
WITHOUT_LIBRARY = ("gcc", "-static", "-nostdlib", "-O1", "-fno-stack-protector", "-Wall")


def pkern(*words: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return commands.pkern(*words, cwd=folder)


def afresh(*words: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return commands.afresh(*words, cwd=folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("schedules")
    for source in sorted(SOURCES.glob("*.c")):
        compile_it(source, made / source.stem, (*SHORT, "-Wall", "-Werror"))
    return made


def compile_it(source: Path, program: Path, compiler: tuple[str, ...] = SHORT) -> None:
    subprocess.run([*compiler, f"-I{SOURCES}", "-o", program, source], check=True)


@pytest.fixture(scope="module")
def with_glibc(folder: Path) -> str:
    """Return where in that folder programs lie whose threads are glibc's."""
    (folder / "glibc").mkdir()
    for name in ("lost_update", "bounded_buffer", "dining"):
        compile_it(SOURCES / f"{name}.c", folder / "glibc" / name, GLIBC)
    return "./glibc"


def test_every_program_is_right_in_the_usual_order(folder):
    names = sorted(source.stem for source in SOURCES.glob("*.c"))
    assert len(names) >= 7
    for name in names:
        assert pkern("run", f"./{name}", folder=folder).returncode == 0, name


# The second and the third take hundreds of schedules.
@pytest.mark.parametrize("name", ["asleep", "lost_wakeup", "dining"][:ROUNDS])
def test_a_deadlock_needs_one_preemption(name, folder):
    if name == "asleep":
        compile_it(ORDERS / "asleep.c", folder / "asleep", WITHOUT_LIBRARY)
    options = ["--preempt", "memory", "--bound", "1", "--first", "--save", f"{name}.json"]
    done = pkern("explore", *options, f"./{name}", folder=folder)
    assert done.returncode == 1
    assert "hangs: every task waits" in done.stdout
    assert "(preempted once)" in done.stdout
    again = afresh("replay", f"{name}.json", folder=folder)
    assert again.returncode == 1
    assert "every task waits and nothing can wake one" in again.stderr
    assert "otherwise" not in again.stderr


def test_an_update_is_lost_between_two_instructions(tmp_path):
    """What is left of the schedule is needed: no part of it does it alone."""
    compile_it(ORDERS / "increment.c", tmp_path / "increment", WITHOUT_LIBRARY)
    options = ["--preempt", "memory", "--bound", "1", "--first", "--save", "lost.json"]
    done = pkern("explore", *options, "./increment", folder=tmp_path)
    assert done.returncode == 1
    page = json.loads((tmp_path / "lost.json").read_text())
    assert len(page["choices"]) == 1
    for _ in range(2):
        again = afresh("replay", "lost.json", folder=tmp_path)
        assert (again.returncode, again.stderr) == (1, "")
    page["choices"] = []
    (tmp_path / "usual.json").write_text(json.dumps(page))
    usual = afresh("replay", "usual.json", folder=tmp_path)
    assert usual.returncode == 0
    assert "then it ended otherwise: status 1" in usual.stderr


def test_a_right_program_has_no_finding(folder):
    (folder / "right.c").write_text(
        '#include "bugs.h"\nstatic int count;\n'
        "static void *add(void *u) { __sync_fetch_and_add(&count, 1); return u; }\n"
        "int main(void) { run_both(add, add); CHECK(count == 2); return 0; }\n"
    )
    compile_it(folder / "right.c", folder / "right")
    done = pkern(
        "explore",
        "--preempt",
        "calls",
        "--budget",
        "60",
        "--json",
        "right.json",
        "./right",
        folder=folder,
    )
    assert done.returncode == 0, done.stdout
    (group,) = json.loads((folder / "right.json").read_text())["groups"]
    ran = [tuple(map(tuple, schedule["choices"])) for schedule in group["ran"]]
    assert len(ran) > 20
    assert len(set(ran)) == len(ran)  # nothing is run twice
    assert all(schedule["switches"] <= 2 for schedule in group["ran"])


@pytest.mark.parametrize("strategy", ["random", "pct"])
def test_the_seed_decides_and_nothing_else(strategy, folder):
    pages = []
    for run, seed, jobs in ((pkern, "1", "1"), (afresh, "1", "3"), (pkern, "2", "2")):
        run(
            "explore", "--strategy", strategy, "--seed", seed, "--jobs", jobs, "--budget",
            str(5 * ROUNDS), "--json", "some.json", "./bounded_buffer", folder=folder,
        )  # fmt: skip
        page = json.loads((folder / "some.json").read_text())
        pages.append(
            sorted(str(ran["choices"]) for group in page["groups"] for ran in group["ran"])
        )
    assert pages[0] == pages[1] != pages[2]


def test_processes_too(folder):
    """A pipe's two writers: which byte comes first is the schedule's."""
    (folder / "pipe.c").write_text(
        "#include <stdio.h>\n#include <unistd.h>\n#include <sys/wait.h>\n"
        "int main(void) { int p[2]; char both[3] = {0}; if (pipe(p)) return 9;\n"
        'for (int i = 0; i < 2; i++) if (!fork()) _exit(write(p[1], &"ab"[i], 1) != 1);\n'
        "while (wait(0) > 0); if (read(p[0], both, 2) != 2) return 9; puts(both); return 0; }\n"
    )
    compile_it(folder / "pipe.c", folder / "pipe", GLIBC)
    done = pkern("explore", "--bound", "0", "--preempt", "calls", "./pipe", folder=folder)
    assert done.returncode == 0
    assert "status 0: ab" in done.stdout
    assert re.search(r"goes on with other output: status 0: ba", done.stdout)


# C(n + m, n) orders of n and m points; those that come to a state that is new; that matter.
COUNTS = {
    "handover": (38, 21, 6),
    "increment": (84, 25, 8),
    "dekker": (330, 40, 8),
    "apart": (1287, 24, 2),
}


def explored(folder: Path, *words: str) -> tuple[int, set[tuple[int, str, str | None]]]:
    """Return how many schedules there were, and how they ended."""
    pkern("explore", "--preempt", "memory", "--budget", "2000", "--json", "all.json", *words,
          folder=folder)  # fmt: skip
    groups = json.loads((folder / "all.json").read_text())["groups"]
    ends = {(ran["end"]["status"], ran["end"]["out"], ran["end"]["reason"])
            for group in groups for ran in group["ran"]}  # fmt: skip
    return sum(len(group["ran"]) for group in groups), ends


FEW = 50  # orders, all of which take no longer than a test may


@pytest.mark.parametrize("name", [name for name, (every, _, _) in COUNTS.items() if every < 500])
def test_the_orders_that_matter_end_as_all_orders_do(name, tmp_path):
    compile_it(ORDERS / f"{name}.c", tmp_path / name, WITHOUT_LIBRARY)
    every, merged, some = COUNTS[name]
    found = {
        some: explored(tmp_path, "--strategy", "dpor", f"./{name}"),
        merged: explored(tmp_path, "--jobs", "1", "--strategy", "states", f"./{name}"),
    }
    if every <= FEW * ROUNDS:
        found[every] = explored(tmp_path, "--strategy", "exhaustive", f"./{name}")
    assert [nr for nr, _ in found.values()] == [*found]
    assert len({frozenset(ends) for _, ends in found.values()}) == 1
    page = (ROOT / "docs/schedules.md").read_text()
    assert re.search(rf"\| {name} \|.*\| {every} \| {merged} \| {some} \|", page)


def test_dpor_needs_two_orders_of_what_is_apart(tmp_path):
    compile_it(ORDERS / "apart.c", tmp_path / "apart", WITHOUT_LIBRARY)
    some, ends = explored(tmp_path, "--strategy", "dpor", "./apart")
    assert (some, ends) == (2, {(0, "", None)})
    refused = pkern(
        "explore", "--strategy", "dpor", "--preempt", "blocks", "apart", folder=tmp_path
    )
    assert refused.returncode == 2
    assert refused.stderr == (
        "pkern: dpor follows accesses to memory: --preempt never, calls or memory\n"
    )


def test_a_long_schedule_shrinks_to_few_switches(folder):
    options = ["--strategy", "random", "--first", "--jobs", "1", "--save", "short.json"]
    done = pkern("explore", *options, "./bounded_buffer", folder=folder)
    assert done.returncode == 1
    preempted = int(re.search(r"preempted (\d+) times", done.stdout)[1])
    assert preempted <= 6  # of more that chance had
    again = afresh("replay", "short.json", folder=folder)
    assert (again.returncode, again.stderr) == (1, "")


@pytest.mark.long
def test_the_session_of_the_page_is_true(tmp_path):
    """dpor finds what threads of the library's lose; its recording, and a sweep, find it again.

    Its commands run in a folder that has what a built clone has; numbers are the compiler's.
    """
    page = (ROOT / "docs/schedules.md").read_text()
    block = re.search(r"## From a clean clone.*?```\n(.*?)```", page, re.S)[1]
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/pkern").write_text(f'#!/bin/sh\nexec {sys.executable} -m pkern "$@"\n')
    (tmp_path / ".venv/bin/pkern").chmod(0o755)
    sessions = re.findall(r"\$ (.*)\n((?:(?!\$ ).*\n)*)", block)
    assert len(sessions) == 5
    for command, shown in sessions:
        done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True)
        assert (done.stderr, _without_numbers(done.stdout)) == ("", _without_numbers(shown)), (
            command
        )


def _without_numbers(text: str) -> set[str]:
    """Return the kinds of lines: how many ends of which kind there are is the C library's."""
    return {" ".join(re.sub(r"\d+", "N", line).split()) for line in text.splitlines()}


def test_a_fault_that_sleeps_lets_others_run(tmp_path):
    """The thread that replaces the page runs while its file is read: the fault looks again."""
    (tmp_path / "root").mkdir(mode=0o755)
    program = tmp_path / "root/mapped"
    compile_it(ORDERS / "mapped.c", program, GLIBC)
    (tmp_path / "root/data").write_text("x" * 4096)
    words = ["explore", "--root", "root", "--preempt", "never", "--strategy", "exhaustive"]
    said = {}
    for sleeps in ([], ["--sleeps"]):
        pkern(*words, *sleeps, "--json", "mapped.json", "/mapped", folder=tmp_path)
        groups = json.loads((tmp_path / "mapped.json").read_text())["groups"]
        said[len(sleeps)] = {ran["end"]["out"] for group in groups for ran in group["ran"]}
    assert said == {0: {"the file\n"}, 1: {"the file\n", "nothing\n"}}
    refused = pkern(*words[:5], "--sleeps", "--strategy", "dpor", "/mapped", folder=tmp_path)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)


def test_who_is_woken_is_a_choice_if_asked_for(tmp_path):
    compile_it(ORDERS / "waiters.c", tmp_path / "waiters", GLIBC)
    words = ["explore", "--preempt", "never", "--bound", "0", "--json", "waiters.json"]
    for waiters, orders in ([], {True}), (["--waiters"], {True, False}):
        pkern(*words, *waiters, "./waiters", folder=tmp_path)
        groups = json.loads((tmp_path / "waiters.json").read_text())["groups"]
        ends = [ran["end"]["out"].split() for group in groups for ran in group["ran"]]
        assert {said[0] for said in ends} == {"first", "second"}
        assert {said[:2] == said[2:] for said in ends} == orders


def test_when_a_timer_s_signal_comes_is_a_choice_if_asked_for(tmp_path):
    compile_it(ORDERS / "pauses.c", tmp_path / "pauses")
    usual = pkern("explore", "--strategy", "exhaustive", "./pauses", folder=tmp_path)
    assert (usual.returncode, usual.stdout.splitlines()[1]) == (0, "schedules: 1")
    for words in ([], ["--preempt", "instructions"], ["--strategy", "pct", "--budget", "9"]):
        words = ["--timers", "--bound", "1", "--save", "early.json", *words]
        early = pkern("explore", *words, "./pauses", folder=tmp_path)
        assert early.returncode == 1, early.stdout
        assert "hangs: every task waits and nothing can wake one: pid 2 (pauses)" in early.stdout
        assert "(preempted once)" in early.stdout
        again = afresh("replay", "early.json", folder=tmp_path)
        assert again.returncode == 1
        assert "otherwise" not in again.stderr
        right = pkern("explore", *words, "./pauses", "blocked", folder=tmp_path)
        assert right.returncode == 0, right.stdout


TICKS = r"""
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>
static volatile sig_atomic_t ticks;
static void tick(int signo) { (void)signo; ticks++; }
int main(void)
{
	struct itimerval often = { { 0, 1000 }, { 0, 1000 } };
	signal(SIGALRM, tick);
	setitimer(ITIMER_REAL, &often, 0);
	while (ticks < 3)
		pause();
	return 0;
}
"""


@pytest.mark.parametrize("strategy", ["exhaustive", "random", "pct"])
def test_a_timer_without_end_ends_no_exploration(strategy, tmp_path):
    (tmp_path / "ticks.c").write_text(TICKS)
    compile_it(tmp_path / "ticks.c", tmp_path / "ticks")
    words = ("explore", "--timers", "--strategy", strategy, "--budget", "40", "./ticks")
    done = pkern(*words, folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


HOG = r"""
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
static void *fill(void *unused) { memset(malloc(1 << 20), 1, 1 << 20); return unused; }
int main(void)
{
	pthread_t other;
	pthread_create(&other, 0, fill, 0);
	fill(0);
	pthread_join(other, 0);
	return 0;
}
"""


def test_states_in_swap_cannot_be_told_apart(tmp_path):
    (tmp_path / "hog.c").write_text(HOG)
    compile_it(tmp_path / "hog.c", tmp_path / "hog", (*SHORT, "-O0"))
    words = ["explore", "--ram", "2M", "--swap", "16M", "--strategy", "states", "./hog"]
    done = pkern(*words, folder=tmp_path)
    assert (done.returncode, done.stderr) == (
        2, "pkern: --strategy states cannot tell its states apart: pages are in swap\n"
    )  # fmt: skip


FORKS = r"""
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
static int pipes[2];
static void *nothing(void *unused) { return unused; }
int main(void)
{
	char bytes[3] = "";
	pthread_t thread;
	if (pipe(pipes) || pthread_create(&thread, NULL, nothing, NULL))
		return 9;
	pthread_join(thread, NULL);
	for (int child = 0; child < 2; child++)
		if (!fork())
			_exit(write(pipes[1], child ? "b" : "a", 1) != 1);
	while (wait(NULL) > 0)
		;
	if (read(pipes[0], bytes, 2) != 2)
		return 8;
	return bytes[0] != 'a';
}
"""


@pytest.mark.parametrize("preempt", ["never", "calls"])
@pytest.mark.parametrize("strategy", ["dpor", "states", "exhaustive"])
def test_tasks_that_end_on_the_way(tmp_path, strategy, preempt):
    (tmp_path / "forks.c").write_text(FORKS)
    compile_it(tmp_path / "forks.c", tmp_path / "forks")
    words = ["--preempt", preempt, "--strategy", strategy, "--budget", "8", "./forks"]
    done = pkern("explore", *words, folder=tmp_path)
    assert done.stderr == ""
    cut = "there are more: --budget has ended it" in done.stdout
    assert cut or "status 1" in done.stdout, "the children write in one order only"
    assert "pkern itself failed" not in done.stdout


def test_a_race_is_told_with_both_stacks(folder, with_glibc):
    words = ["explore", "--races", "--preempt", "memory", "--bound", "0", "--json", "races.json"]
    done = pkern(*words, f"{with_glibc}/lost_update", folder=folder)
    assert done.returncode == 1
    told = done.stdout[done.stdout.index("data races: ") :]
    assert "count, 4 bytes" in told
    stacks = re.findall(r"task (\d) (stores|loads):\n +add.*\n +start_thread.*\n +\S*clone", told)
    assert len({task for task, _ in stacks}) == 2
    assert ("3", "stores") in stacks
    page = json.loads((folder / "races.json").read_text())
    found = [race for group in page["groups"] for ran in group["ran"] for race in ran["races"]]
    assert {site["nbytes"] for race in found for site in race} == {4}


@pytest.mark.parametrize("name", ["bounded_buffer", "dining"])
def test_what_locks_order_is_no_race(name, folder, with_glibc):
    """Each of these has a bug, and no data race: they lock what they share."""
    words = ["explore", "--races", "--preempt", "memory", "--bound", "0"]
    done = pkern(*words, f"{with_glibc}/{name}", folder=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "data races: 0\n" in done.stdout
    refused = pkern("explore", "--races", f"./{name}", folder=folder)
    assert refused.stderr.endswith("in each access to memory: --preempt memory\n")


ATOMICS = r"""
#include <pthread.h>
#include <stdatomic.h>
static _Atomic int flag;
static int value;
static void *tell(void *unused)
{
	value = 1;
	atomic_store_explicit(&flag, 1, ORDER);
	return unused;
}
static void *look(void *unused)
{
	if (atomic_load_explicit(&flag, ORDER == memory_order_release ? memory_order_acquire : ORDER))
		value = 2;
	return unused;
}
int main(void)
{
	pthread_t one, two;
	pthread_create(&one, 0, tell, 0);
	pthread_create(&two, 0, look, 0);
	pthread_join(one, 0);
	pthread_join(two, 0);
	return 0;
}
"""


@pytest.mark.parametrize(("order", "nr"), [("seq_cst", 0), ("release", 1)])
def test_atomics_are_known_by_their_locked_stores(order, nr, tmp_path):
    (tmp_path / "atomics.c").write_text(ATOMICS)
    command = ["gcc", "-static", "-O1", "-pthread", f"-DORDER=memory_order_{order}"]
    subprocess.run([*command, "-o", "atomics", "atomics.c"], check=True, cwd=tmp_path)
    words = ("explore", "--races", "--preempt", "memory", "--bound", "0", "./atomics")
    told = pkern(*words, folder=tmp_path).stdout
    assert f"data races: {nr}\n" in told
    assert told.count("flag, 4 bytes") == nr


LOOPS = r"""
#include <pthread.h>
#include <sched.h>
static volatile int x;
static void *add(void *unused)
{
	int was = x;
	sched_yield();
	x = was + 1;
	return unused;
}
int main(int argc, char **argv)
{
	pthread_t one, two;
	pthread_create(&one, 0, add, 0);
	pthread_create(&two, 0, add, 0);
	pthread_join(one, 0);
	pthread_join(two, 0);
	while (x != 2 || argc > 1) /* an update was lost, or it is asked for */
		;
	return 0;
}
"""


def test_a_schedule_that_does_not_end(tmp_path):
    (tmp_path / "loops.c").write_text(LOOPS)
    compile_it(tmp_path / "loops.c", tmp_path / "loops it", GLIBC)
    wall = f"{round(0.3 * max(1, second()), 1):g}"
    words = ["explore", "--wall", wall, "--preempt", "never", "--first", "--shrink", "0"]
    words += ["--save", "a bug.json", "loops it"]
    done = pkern(*words, folder=tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert "hangs: does not end" in done.stdout
    assert done.stdout.endswith("pkern replay 'a bug.json'\n")
    again = afresh("replay", "--wall", wall, "a bug.json", folder=tmp_path)
    assert (again.returncode, again.stderr) == (1, "pkern: does not end\n")
    always = pkern(*words, "x", folder=tmp_path)
    assert always.returncode == 2
    assert always.stderr == f"pkern: its usual schedule does not end within {wall} s (--wall)\n"


def test_no_more_schedules_than_are_asked_for(folder):
    """Eight at once ask for the last one, many times: all of them are short."""
    most = 24 * ROUNDS
    words = ["explore", "--jobs", "8", "--preempt", "memory", "--budget", str(most)]
    done = pkern(*words, "lost_update", folder=folder)
    assert f"schedules: {most}\n" in done.stdout


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"choices": [[1, -1]]}, "is no recording"),
        ({"choices": [[1 << 64, 1]]}, "is no recording"),
        ({"shared": [-1]}, "is no recording"),
        ({"command": "'a"}, "is no recording"),
        ({"command": 5}, "is no recording"),
        ({"command": "a.py"}, "explore takes machine code"),
        ({"command": "text"}, "cannot execute 'text'"),
    ],
)
def test_a_recording_that_was_changed(change, complaint, tmp_path):
    end = {"status": 0, "signal": None, "reason": None, "out": "", "err": "", "left": []}
    page = {"version": 1, "command": "x", "preempt": "memory", "shared": [], "choices": []}
    (tmp_path / "bug.json").write_text(json.dumps({**page, "end": end, **change}))
    (tmp_path / "text").write_text("no program")
    done = pkern("replay", "bug.json", folder=tmp_path)
    assert done.returncode in (2, 126)
    assert complaint in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["explore", "nothing"], "there is no file 'nothing'"),
        (["explore", "prog.py"], "explore takes machine code"),
        (["replay", "nothing"], "there is no file 'nothing'"),
        (["replay", "prog.py"], "is no recording"),
    ],
)
def test_what_cannot_be(words, complaint, tmp_path):
    (tmp_path / "prog.py").write_text("def main(sys): pass\n")
    done = pkern(*words, folder=tmp_path)
    assert done.returncode in (2, 127)
    assert complaint in done.stderr
    assert done.stderr.count("\n") == 1


def test_schedules_that_are_given_up_are_not_of_the_budget(tmp_path):
    compile_it(ORDERS / "increment.c", tmp_path / "increment", WITHOUT_LIBRARY)
    words = ("explore", "--preempt", "memory", "--strategy", "states", "--jobs", "1")
    every = pkern(*words, "increment", folder=tmp_path)
    assert f"\nschedules: {COUNTS['increment'][1]}\ngiven up, as they went on" in every.stdout
    some = pkern(*words, "--budget", "20", "increment", folder=tmp_path)
    assert "\nschedules: 20\nthere are more: --budget has ended it\ngiven up" in some.stdout


def test_shrinking_has_an_end_and_says_so(tmp_path):
    compile_it(ORDERS / "increment.c", tmp_path / "increment", WITHOUT_LIBRARY)
    words = ("explore", "--strategy", "random", "--preempt", "instructions", "--first")
    whole = pkern(*words, "increment", folder=tmp_path)
    assert "; the least that it needs, point:task: " in whole.stdout
    none = pkern(*words, "--shrink", "0", "increment", folder=tmp_path)
    assert "; what --shrink has left of it, point:task: " in none.stdout
    assert len(none.stdout) > len(whole.stdout) + 50  # many choices, not one


def children(pid: int) -> list[int]:
    try:
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
        return []
    return [int(child) for child in listed.split()]


@pytest.mark.parametrize("options", [("--preempt", "memory"), ("--strategy", "states")])
def test_interrupted_alone_its_copies_end_too(folder, options):
    """As `kill -INT PID` does: the copies get no signal, and have thousands of schedules left."""
    words = ["explore", "--jobs", "4", "--budget", "100000", *options, "./lost_update"]
    command = [sys.executable, "-m", "pkern", *words]
    explore = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, start_new_session=True)
    try:
        while not any(map(children, children(explore.pid))):
            assert explore.poll() is None
        explore.send_signal(signal.SIGINT)
        _, err = explore.communicate(timeout=8)
    finally:
        with suppress(ProcessLookupError):  # all have ended, as they should
            os.killpg(explore.pid, signal.SIGKILL)
    assert (explore.returncode, err) == (130, b"")
