"""The server that tests.commands asks: a process that has imported pkern, and its copies.

Each command is a fork that is given its directory, its environment and its standard descriptors,
and runs pkern.__main__. What a copy has imported of pkern the server imports too, and the engine it
places, so that the next ones find it, but for what only comes with a file in Python that is not
pkern's, which decides how a command leaves (cli.startup.leave).
"""

from __future__ import annotations

import atexit
import os
import pickle
import signal
import socket
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from pkern.userland.cli.startup import FOREIGN

ROOT = Path(__file__).resolve().parents[1]
PROCESSOR = "pkern.kernel.cpu.processor"  # whose machines run machine code
PIPE = 1 << 16  # bytes that a pipe takes at once


class Request(NamedTuple):
    """A command: its words, its directory, its whole environment."""

    words: tuple[str, ...]
    cwd: str
    env: dict[str, str]


def send(connection: socket.socket, value: object) -> None:
    """Send a value, which receive() at the other end returns."""
    data = pickle.dumps(value)
    connection.sendall(len(data).to_bytes(8, "little") + data)


def receive(connection: socket.socket) -> Any:
    """Wait for a value that send() sends, and return it."""
    size = int.from_bytes(connection.recv(8, socket.MSG_WAITALL), "little")
    return pickle.loads(connection.recv(size, socket.MSG_WAITALL))


def serve(connection: socket.socket) -> None:
    """Run commands until nobody asks; in a copy, return to run one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        _, fds, _, _ = socket.recv_fds(connection, 1, 3)
        if not fds:
            os._exit(0)
        request = receive(connection)
        news, its_news = os.pipe()
        pid = os.fork()
        if not pid:
            connection.close()
            os.close(news)
            _become(request, fds)
            atexit.register(_tell_imports, its_news, frozenset(sys.modules), os.getpid())
            return
        for fd in (*fds, its_news):
            os.close(fd)
        send(connection, pid)
        send(connection, os.waitpid(pid, 0)[1])
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


def _tell_imports(fd: int, had: frozenset[str], pid: int) -> None:
    """Write the names of pkern's modules that this process has imported.

    pid: the command's; copies that it leaves may end when nobody reads any more.
    """
    if os.getpid() != pid:
        return
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
        if name != FOREIGN:
            import_module(name)
    if PROCESSOR in names:
        _place_engine()


def _place_engine() -> None:
    """Run an engine once: its library stays, which takes a copy longer than a short program."""
    from pkern.kernel.machine import Kernel
    from pkern.userland.machine_code import boot_scheduler

    with Kernel(ram="1M") as machine:
        boot_scheduler(machine)


if __name__ == "__main__":
    from pkern.__main__ import main

    serve(socket.socket(fileno=int(sys.argv[1])))
    sys.exit(main())
