"""The host's side of the oracle: sequences run by runner.c on the real Linux.

Owns the child process.  Called by run.py.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from pkern.userland.conform import answers
from pkern.userland.conform.calls import Call, Outcome, pack_calls
from pkern.userland.conform.hostcc import build

MEMLOCK = 16 * 4096
_FLAGS = (
    *("-static", "-no-pie", "-O2", "-std=c11", "-Wall", "-Wextra"),
    *("-Wl,-z,noseparate-code", "-Wl,-z,norelro"),  # few areas of its own
)


class HostDied(RuntimeError):
    """The host's runner ended."""


def runner_program() -> Path:
    """Return the compiled runner.c. Errors: NoCompiler."""
    return build("conform-runner", [Path(__file__).with_name("runner.c")], _FLAGS)


class Host:
    """The host's kernel, as a runner that takes one sequence after the other."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [str(runner_program()), str(MEMLOCK), "batches"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._stdin: IO[bytes] = self._process.stdin
        self._stdout: IO[bytes] = self._process.stdout
        self.window, self.base = answers.read_hello(self._read_frame())

    def _read_frame(self) -> bytes:
        head = self._stdout.read(4)
        if len(head) != 4:
            raise HostDied(f"the host's runner ended with status {self._process.wait()}")
        return self._stdout.read(int.from_bytes(head, "little"))

    def send(self, packed: bytes) -> None:
        """Start a sequence; its answer is fetched by receive(), in order."""
        self._stdin.write(packed)
        self._stdin.flush()

    def receive(self) -> bytes:
        """Wait for the oldest sequence sent and return its frame; empty: the sequence died of it.

        Errors: HostDied.
        """
        return self._read_frame()

    def run(self, calls: Sequence[Call]) -> list[Outcome]:
        """Run one sequence in a fresh child process and return what it gave."""
        self.send(pack_calls(calls))
        return answers.decode(self.receive(), calls)

    def close(self) -> None:
        """End the runner."""
        self._stdout.close()  # first: a runner that still writes must not wait for us
        self._stdin.close()
        self._process.wait()
