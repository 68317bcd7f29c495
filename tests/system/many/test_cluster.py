"""Sweeps and suites on a real Dask cluster: a scheduler and two workers, one of which is killed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from pkern.userland.cli.main import main
from tests.commands import PKERN, SECONDS, pkern
from tests.rounds import ROUNDS

pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason="no compiler")
DASK = str(Path(sys.executable).with_name("dask"))
# What Dask's processes do for themselves many times a second: half of what all of this takes.
AT_REST = {
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
    "DASK_DISTRIBUTED__WORKER__MEMORY__MONITOR_INTERVAL": "1s",
    "DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL": "1s",
}
# Long enough that a worker can be killed before it is done with a part.
PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(void)
{
	for (int i = 0; i < 12; i++)
		if (sbrk(4096) == (void *)-1)
			return puts("no memory"), 3;
	for (volatile long i = 0; i < 300000; i++)
		;
	int *word = malloc(100000);
	*word = 3;
	printf("%d\n", *word);
	return 0;
}
"""


class Cluster:
    """A scheduler, and workers that come and go."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "scheduler.json"
        self._running: list[subprocess.Popen[bytes]] = []
        options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-show"]
        self._start("scheduler", *options)
        self.address = str(self._wait_for_address())

    def _start(self, kind: str, *options: str) -> subprocess.Popen[bytes]:
        command = [DASK, kind, "--scheduler-file", str(self._file), *options]
        with open(self._folder / f"{kind}.log", "ab") as log:
            started = subprocess.Popen(
                command, cwd="/", stdout=log, stderr=log, env={**os.environ, **AT_REST}
            )
        self._running.append(started)
        return started

    def _wait_for_address(self) -> object:
        for _ in range(SECONDS * 10):
            if self._file.exists() and self._file.read_text().endswith("}"):
                return json.loads(self._file.read_text())["address"]
            time.sleep(0.1)
        raise TimeoutError("the scheduler does not start")

    def need_worker(self) -> None:
        """See to it that there is one."""
        if all(process.poll() is not None for process in self._running[1:]):
            self.worker()

    def worker(self) -> psutil.Process:
        """Start a worker and wait until the scheduler has it."""
        from distributed import Client

        options = ["--nthreads", "1", "--no-nanny", "--no-dashboard"]
        started = self._start("worker", *options, "--local-directory", str(self._folder))
        with Client(self.address, timeout=SECONDS, set_as_default=False) as client:
            alive = sum(process.poll() is None for process in self._running[1:])
            client.wait_for_workers(alive, timeout=SECONDS)
        return psutil.Process(started.pid)

    def close(self) -> None:
        for process in self._running:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def program(tmp_path: Path) -> Path:
    source, made = tmp_path / "program.c", tmp_path / "programs" / "program"
    made.parent.mkdir()
    source.write_text(PROGRAM)
    subprocess.run(["gcc", "-static", "-o", made, source], check=True)
    return made


Ended = tuple[int, str, str]  # status, output, errors


def here(*words: str | Path) -> Ended:
    """Run a command without a cluster."""
    done = pkern(*words)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def on_cluster(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    """Run a command on the cluster, in this process: it has imported what Dask's client is.

    Each part costs its worker a start of Python, so there are two for each of its threads.
    """
    cluster.need_worker()
    monkeypatch.setattr("pkern.userland.cluster.dask.PARTS_A_THREAD", 2)

    def run(*words: str | Path) -> Ended:
        status = main([*map(str, words), "--dask", cluster.address])
        return status, *capsys.readouterr()

    return run


def wait_for_work(worker: psutil.Process) -> list[psutil.Process]:
    """Return the processes that a worker has started for a part, once it has."""
    for _ in range(SECONDS * 100):
        # The process of the part, its child that does it, and a copy of a machine.
        if len(found := worker.children(recursive=True)) > 2:
            return found
        time.sleep(0.01)
    raise TimeoutError("the worker does nothing")


# Two threads that each read a number, say so, and write it back one higher.
RACING = r"""
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
static volatile int number;
static void *add(void *unused)
{
	int seen = number;
	getpgid(0);
	number = seen + 1;
	return unused;
}
int main(void)
{
	pthread_t one, two;
	pthread_create(&one, NULL, add, NULL);
	pthread_create(&two, NULL, add, NULL);
	pthread_join(one, NULL);
	pthread_join(two, NULL);
	if (number == 2)
		return 0;
	return puts("lost"), 5;
}
"""
SWEEP = ["sweep", "--inject", "brk,mmap:error=ENOMEM"]


def test_a_killed_worker_loses_nothing(cluster: Cluster, program: Path) -> None:
    alone = here(*SWEEP, program)
    assert "positions: " in alone[1]
    killed, _ = cluster.worker(), cluster.worker()
    words = [*PKERN, *SWEEP, "--dask", cluster.address, str(program)]
    sweep = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    its = wait_for_work(killed)
    killed.kill()
    said = sweep.communicate(timeout=SECONDS)
    assert (sweep.returncode, *said) == alone
    gone, alive = psutil.wait_procs(its, timeout=SECONDS)
    assert gone
    assert not alive, "what a dead worker had started goes on"


@pytest.mark.parametrize(
    "strategy",
    [["bounded", "--bound", "1"], ["random", "--budget", str(8 * ROUNDS), "--seed", "2"]],
)
def test_an_exploration_is_told_as_here(
    on_cluster: Callable[..., Ended], tmp_path: Path, strategy: list[str]
) -> None:
    source, racing = tmp_path / "racing.c", tmp_path / "racing"
    source.write_text(RACING)
    compiler = shutil.which("musl-gcc") or "gcc"  # fewer calls than glibc, so fewer schedules
    subprocess.run([compiler, "-static", "-pthread", "-o", racing, source], check=True)
    words = ["explore", "--preempt", "calls", "--shrink", "0", "--strategy", *strategy]
    alone = here(*words, "--json", tmp_path / "alone.json", racing)
    assert on_cluster(*words, "--json", tmp_path / "shared.json", racing) == alone
    assert "reports" in alone[1], "no schedule loses an update"
    pages = [json.loads((tmp_path / f"{name}.json").read_text()) for name in ("alone", "shared")]
    assert pages[0] == pages[1]


def test_what_goes_on_from_what_it_has_found_is_refused(program: Path) -> None:
    refused = here("explore", "--strategy", "states", "--dask", "tcp://127.0.0.1:1", program)
    assert refused[0] == 2
    assert "--dask: states goes on from what it has found" in refused[2]


def test_a_suite_is_told_as_here(on_cluster: Callable[..., Ended], program: Path) -> None:
    folder = program.parent
    for number in range(5):
        shutil.copy(program, folder / f"copy{number}")
    (folder / "fails.py").write_text("def main(sys):\n    raise SystemExit(4)\n")
    words = ["suite", "-v", "--matrix", "vm.nonlinear=0,1", folder]
    alone, there = here(*words), on_cluster(*words)
    assert [re.sub(r"[\d.]+ s", "", text) for text in alone[1:]] == [
        re.sub(r"[\d.]+ s", "", text) for text in there[1:]
    ]
    assert alone[0] == there[0] == 1


def test_a_worker_with_another_program_is_refused(cluster: Cluster, program: Path) -> None:
    from pkern.userland.cluster.dask import Cluster as Connection
    from pkern.userland.cluster.share import NotTheSame, Part

    cluster.need_worker()
    with Connection(cluster.address) as connection:
        part = Part(len, ("abc",), {str(program): "0" * 64})
        with pytest.raises(NotTheSame, match="is another file than here"):
            list(connection.run([part]))
        assert list(connection.run([part._replace(files={})])) == [(0, 3)]


def test_no_scheduler_is_said_in_a_sentence(
    program: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pkern.userland.cluster.dask.SECONDS", 0.5)
    assert main([*SWEEP, "--dask", "tcp://127.0.0.1:1", str(program)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "pkern: no scheduler of Dask answers at tcp://127.0.0.1:1\n"
