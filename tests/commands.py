"""The command `pkern` as most tests run it: in copies of one process that has imported it.

`pkern(...)` does what `subprocess.run([*PKERN, ...])` does, without the start of Python, which is
longer than most commands. A test of the start itself, of signals, terminals or sessions, of what
goes on beside it, or of two runs that are to be the same takes a process of its own: copies have
one hash seed and one layout of memory.

The first command of a test process starts the server. Each command is a fork of it that is given
its directory, its environment and its standard descriptors, and runs pkern.__main__. What a copy
has imported of pkern the server imports too, so that the next ones find it, but for what comes with
a program in Python, which decides how a command leaves (cli.startup.leave).
"""

from __future__ import annotations

import atexit
import os
import pickle
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

from pkern.userland.cli.startup import FOREIGN

PKERN = (sys.executable, "-m", "pkern")
ROOT = Path(__file__).resolve().parents[1]
SECONDS = 900  # that anything may take beside twenty busy processes: a guard, no measure
PIPE = 1 << 16  # bytes that a pipe takes at once


class Request(NamedTuple):
    """A command: its words, its directory, its whole environment."""

    words: tuple[str, ...]
    cwd: str
    env: dict[str, str]


# ---- who asks ----


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
    directory, variables = str(cwd or Path.cwd()), os.environ if env is None else env
    request = Request(tuple(map(str, words)), directory, dict(variables))
    (out, its_out), (err, its_err) = os.pipe(), os.pipe()
    connection = _server()
    pid = _ask(connection, request, (_given(input), its_out, its_err))
    try:
        said = _read((out, err), monotonic() + timeout)
    except TimeoutError:
        os.kill(pid, signal.SIGKILL)
        raise subprocess.TimeoutExpired([*PKERN, *request.words], timeout) from None
    finally:
        os.close(out)
        os.close(err)
        status = os.waitstatus_to_exitcode(_receive(connection))
    texts = [part.decode() if text else part for part in said]
    return subprocess.CompletedProcess([*PKERN, *request.words], status, *texts)


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
        command = [sys.executable, "-m", "tests.commands", str(its.fileno())]
        subprocess.Popen(command, cwd=ROOT, pass_fds=[its.fileno()], stdin=subprocess.DEVNULL)
    return mine


def _ask(connection: socket.socket, request: Request, fds: tuple[int, ...]) -> int:
    """Have a command run; return its pid. The descriptors are the server's then."""
    socket.send_fds(connection, [b"f"], fds)
    for fd in fds:
        os.close(fd)
    _send(connection, request)
    pid: int = _receive(connection)
    return pid


def _read(fds: tuple[int, ...], end: float) -> list[bytes]:
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


def _send(connection: socket.socket, value: object) -> None:
    data = pickle.dumps(value)
    connection.sendall(len(data).to_bytes(8, "little") + data)


def _receive(connection: socket.socket) -> Any:
    size = int.from_bytes(connection.recv(8, socket.MSG_WAITALL), "little")
    return pickle.loads(connection.recv(size, socket.MSG_WAITALL))


# ---- the server ----


def serve(connection: socket.socket) -> None:
    """Run commands until nobody asks; in a copy, return to run one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        _, fds, _, _ = socket.recv_fds(connection, 1, 3)
        if not fds:
            os._exit(0)
        request = _receive(connection)
        news, its_news = os.pipe()
        pid = os.fork()
        if not pid:
            connection.close()
            os.close(news)
            _become(request, fds)
            atexit.register(_tell_imports, its_news, frozenset(sys.modules))
            return
        for fd in (*fds, its_news):
            os.close(fd)
        _send(connection, pid)
        _send(connection, os.waitpid(pid, 0)[1])
        _import_too(news)


def _become(request: Request, fds: list[int]) -> None:
    """Have a command's descriptors, directory, environment and words, as if started with them."""
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
        os.close(fd)
    os.chdir(request.cwd)
    os.environ.clear()
    os.environ.update(request.env)
    sys.argv = [str(ROOT / "pkern/__main__.py"), *request.words]
    sys.path[0] = request.cwd
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    sys.stdout.reconfigure(write_through=bool(request.env.get("PYTHONUNBUFFERED")))
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _tell_imports(fd: int, had: frozenset[str]) -> None:
    """Write the names of pkern's modules that this process has imported."""
    new = [name for name in sys.modules if name.startswith("pkern.") and name not in had]
    os.write(fd, " ".join(new).encode()[:PIPE])


def _import_too(news: int) -> None:
    os.set_blocking(news, False)
    try:
        names = os.read(news, PIPE).decode().split()
    except BlockingIOError:  # its own copies are still there
        names = []
    os.close(news)
    for name in names:
        if name not in FOREIGN:
            import_module(name)


if __name__ == "__main__":
    from pkern.__main__ import main

    serve(socket.socket(fileno=int(sys.argv[1])))
    sys.exit(main())
