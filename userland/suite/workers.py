"""Processes that do one job after the other, each job as if it were the first.

Owns the processes: how a job reaches one, when another is started, that none is left behind. What
keeps jobs apart is theirs: a job boots a machine of its own and closes it, and leaves nothing in
the process that the next one could see. A fork for each job would copy what it writes of Python's
memory, page by page, and that costs as much again as a small program's whole run.
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Generic, NoReturn, TypeVar

from pkern.kernel.branch import (
    LENGTH,
    PIPE_BYTES,
    BranchEnded,
    fork_process,
    outcome_of,
    receive,
    settled,
    unpacked,
)

T = TypeVar("T")
MOST_JOBS = 500  # of one process: what the host's allocator cannot give back ends with it


class Workers(Generic[T]):
    """Those of one function, which is called with each job; jobs are picklable."""

    def __init__(self, function: Callable[[T], Any]) -> None:
        self._function = function
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()

    def __enter__(self) -> Workers[T]:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in list(self._all):
            self.end(worker)

    def start(self, job: T) -> Turn:
        """Give a job to a process that has none, or to a new one. Errors: OSError of the host."""
        data = pickle.dumps(job)
        while self._idle:
            with suppress(ConnectionError):  # something has killed it meanwhile
                return Turn(self, self._idle.pop(), data)
        return Turn(self, self._new(), data)

    def _new(self) -> _Worker:
        mine, its = socket.socketpair()
        try:
            pid = fork_process()
        except OSError:
            mine.close()
            its.close()
            raise
        if not pid:
            mine.close()
            for other in self._all:  # whose end is to be seen when this process's parent has gone
                other.connection.close()
            _work(its, self._function)
        its.close()
        worker = _Worker(pid, mine)
        self._all.add(worker)
        return worker

    def done(self, worker: _Worker) -> None:
        """Take a worker back whose job is done."""
        worker.nr_jobs += 1
        if worker.nr_jobs < MOST_JOBS:
            self._idle.append(worker)
        else:
            self.end(worker)

    def end(self, worker: _Worker) -> int:
        """Kill a worker, if it lives; return its status as waitpid(2) gives it."""
        self._all.discard(worker)
        worker.connection.close()
        with suppress(ProcessLookupError):
            os.kill(worker.pid, signal.SIGKILL)
        return os.waitpid(worker.pid, 0)[1]


def _work(connection: socket.socket, function: Callable[[Any], Any]) -> NoReturn:
    """Be a worker: do jobs until nobody can send one any more."""
    try:
        gc.freeze()  # a collection would write to, and so copy, all that was there
        with suppress(BranchEnded, ConnectionError, KeyboardInterrupt):
            while True:
                (nbytes,) = LENGTH.unpack(receive(connection, LENGTH.size))
                outcome = outcome_of(partial(function, pickle.loads(receive(connection, nbytes))))
                connection.sendall(LENGTH.pack(len(outcome)) + outcome)
    finally:
        # Without what the process that was forked has still to do.
        os._exit(0)


class _Worker:
    def __init__(self, pid: int, connection: socket.socket) -> None:
        self.pid = pid
        self.connection = connection
        self.nr_jobs = 0


class Turn:
    """One job of a worker, to be waited for as a Branch is."""

    def __init__(self, workers: Workers[Any], worker: _Worker, job: bytes) -> None:
        """Send the job. Errors: ConnectionError where the worker has ended."""
        self._workers = workers
        self._worker = worker
        self.pid = worker.pid
        self._data = bytearray()
        self._outcome: tuple[bool, Any] | None = None
        try:
            worker.connection.sendall(LENGTH.pack(len(job)) + job)
        except ConnectionError:
            workers.end(worker)
            raise

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._worker.connection.fileno()

    def read(self) -> bool:
        """Take what has come of the result, waiting for some; tell whether that was the end."""
        if self._outcome is not None:
            return True
        part = b""
        with suppress(ConnectionResetError):  # it was killed with the job unread
            part = self._worker.connection.recv(PIPE_BYTES)
        self._data += part
        if not part:
            self.kill()
        elif self._is_whole():
            self._outcome = unpacked(self._data[LENGTH.size :], None)
            self._workers.done(self._worker)
        return self._outcome is not None

    def _is_whole(self) -> bool:
        if len(self._data) < LENGTH.size:
            return False
        nbytes: int = LENGTH.unpack_from(self._data)[0]
        return len(self._data) == LENGTH.size + nbytes

    def result(self) -> Any:
        """Return what the function returned, or raise what it raised. Errors: BranchEnded."""
        while self._outcome is None:
            self.read()
        return settled(self._outcome)

    def kill(self) -> None:
        """End it, and the process with it."""
        if self._outcome is None:
            self._outcome = False, BranchEnded(self._workers.end(self._worker))
