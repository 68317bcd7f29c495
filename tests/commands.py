"""The command `pkern` as most tests run it: in copies of one process that has imported it.

`pkern(...)` does what `subprocess.run([*PKERN, ...])` does, without the start of Python, which is
longer than most commands; `Beside(...)` is one that goes on beside its test. A test of the start
itself, of signals, terminals or sessions, or of two runs that are to be the same takes a process of
its own: copies have one hash seed and one layout of memory.

The first command of a test process starts the server, tests.copies.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from time import monotonic
from typing import Any

from tests.copies import PIPE, ROOT, Request, receive, send

PKERN = (sys.executable, "-m", "pkern")
SECONDS = 900  # that anything may take beside twenty busy processes: a guard, no measure


def pkern(
    *words: object,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    input: str | bytes | None = None,
    text: bool = True,
    timeout: float = SECONDS,
) -> subprocess.CompletedProcess[Any]:
    """Run a command to its end. Errors: subprocess.TimeoutExpired; it is killed then.

    input: for its standard input, as much as a pipe takes at once; None: it is empty.
    """
    (out, its_out), (err, its_err) = os.pipe(), os.pipe()
    command = Beside(*words, fds=(_given(input), its_out, its_err), cwd=cwd, env=env)
    try:
        with command:
            said = read_to_ends((out, err), monotonic() + timeout)
    except TimeoutError:
        raise subprocess.TimeoutExpired([*PKERN, *command.words], timeout) from None
    finally:
        os.close(out)
        os.close(err)
    texts = [part.decode() if text else part for part in said]
    return subprocess.CompletedProcess([*PKERN, *command.words], command.status, *texts)


class Beside:
    """A command that goes on beside its test, as a context: its end is waited for at the end.

    An error in the context kills it. No other can be run meanwhile. status: behind the context.
    fds: its standard descriptors, which are its own then.
    """

    def __init__(
        self,
        *words: object,
        fds: tuple[int, int, int],
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.words = tuple(map(str, words))
        self._fds = fds
        variables = dict(os.environ if env is None else env)
        self._request = Request(self.words, str(cwd or Path.cwd()), variables)
        self._connection = _server()
        self.status = 0

    def __enter__(self) -> Beside:
        with _in_step(self._connection):
            self._pid = _ask(self._connection, self._request, self._fds)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            os.kill(self._pid, signal.SIGKILL)
        with _in_step(self._connection):
            self.status = os.waitstatus_to_exitcode(receive(self._connection))


def afresh(*words: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """As pkern(), in a process of its own: for runs that are to be the same."""
    command = [*PKERN, *map(str, words)]
    return subprocess.run(
        command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def _given(input: str | bytes | None) -> int:
    """Return a descriptor to read this from."""
    if input is None:
        return os.open(os.devnull, os.O_RDONLY)
    data = input.encode() if isinstance(input, str) else input
    assert len(data) <= PIPE
    there, here = os.pipe()
    os.write(here, data)
    os.close(here)
    return there


@cache
def _server() -> socket.socket:
    """Start it, once for each process of a test run: it ends when nobody can ask any more."""
    mine, its = socket.socketpair()
    with its:
        command = [sys.executable, "-m", "tests.copies", str(its.fileno())]
        subprocess.Popen(command, cwd=ROOT, pass_fds=[its.fileno()], stdin=subprocess.DEVNULL)
    return mine


@contextmanager
def _in_step(connection: socket.socket) -> Iterator[None]:
    """Leave a server that has been asked and whose answer was not read: the next would get it."""
    try:
        yield
    except BaseException:
        _server.cache_clear()
        connection.close()
        raise


def _ask(connection: socket.socket, request: Request, fds: tuple[int, ...]) -> int:
    """Have a command run; return its pid. The descriptors are the server's then."""
    socket.send_fds(connection, [b"f"], fds)
    for fd in fds:
        os.close(fd)
    send(connection, request)
    pid: int = receive(connection)
    return pid


def read_to_ends(fds: tuple[int, ...], end: float) -> list[bytes]:
    """Return what comes from each descriptor until nobody can write to it. Errors: TimeoutError."""
    said = {fd: bytearray() for fd in fds}
    with selectors.DefaultSelector() as selector:
        for fd in fds:
            selector.register(fd, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, end - monotonic()))
            if not ready:
                raise TimeoutError
            for key, _ in ready:
                part = os.read(key.fd, PIPE)
                said[key.fd] += part
                if not part:
                    selector.unregister(key.fd)
    return [bytes(part) for part in said.values()]
