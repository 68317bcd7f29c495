"""The host's side of the oracle: sequences run by runner.c on the real Linux.

Owns the child process and the decoding of what it writes.  Called by run.py.
"""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

from pkern.userland.conform.calls import Call, Layout, Outcome, Window, pack_calls, parse_maps
from pkern.userland.conform.hostcc import build

MEMLOCK = 16 * 4096
_OUTCOME = struct.Struct("<qIIQII")
_HELLO = struct.Struct("<QQ")
_FLAGS = ("-static", "-no-pie", "-O1", "-std=c11", "-Wall", "-Wextra")


class HostDied(RuntimeError):
    """The host's child process died within a sequence (or its runner did)."""


class Host:
    """The host's kernel, as a runner that takes one sequence after the other."""

    def __init__(self) -> None:
        program = build("conform-runner", [Path(__file__).with_name("runner.c")], _FLAGS)
        self._process = subprocess.Popen(
            [str(program), str(MEMLOCK)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._stdin: IO[bytes] = self._process.stdin
        self._stdout: IO[bytes] = self._process.stdout
        self._texts: dict[bytes, Layout] = {}
        self.base, self.window = self._read_hello()

    def _read_hello(self) -> tuple[Layout, Window]:
        hello = self._read_frame()
        scratch, memlock = _HELLO.unpack_from(hello)
        text = hello[_HELLO.size :].decode()
        everything = Window(0, 1 << 47, scratch, memlock)
        base = parse_maps(text, everything)
        return base, _window_within(base, everything)

    def _read_frame(self) -> bytes:
        head = self._stdout.read(4)
        if len(head) != 4:
            raise HostDied(f"the host's runner ended with status {self._process.wait()}")
        frame = self._stdout.read(int(struct.unpack("<I", head)[0]))
        if not frame:
            raise HostDied("the host's child process died within the sequence")
        return frame

    def send(self, calls: Sequence[Call]) -> None:
        """Start a sequence; its outcomes are fetched by receive(), in order."""
        self._stdin.write(pack_calls(calls))
        self._stdin.flush()

    def receive(self) -> list[Outcome]:
        """Wait for the oldest sequence sent and decode its outcomes.

        Errors: HostDied.
        """
        frame = self._read_frame()
        outcomes: list[Outcome] = []
        at = 0
        layout_now: Layout = ()
        while at < len(frame):
            value, signo, code, addr, nr_vec, nr_maps = _OUTCOME.unpack_from(frame, at)
            at += _OUTCOME.size
            data = frame[at : at + nr_vec]
            at += nr_vec
            if nr_maps:
                layout_now = self._parse(frame[at : at + nr_maps])
            at += nr_maps
            outcomes.append(Outcome(value, signo, code, addr, data, layout_now))
        return outcomes

    def run(self, calls: Sequence[Call]) -> list[Outcome]:
        """Run one sequence in a fresh child process and return an outcome for each call."""
        self.send(calls)
        return self.receive()

    def _parse(self, text: bytes) -> Layout:
        return parse_maps(text.decode(), self.window)

    def close(self) -> None:
        """End the runner."""
        self._stdout.close()  # first: a runner that still writes must not wait for us
        self._stdin.close()
        self._process.wait()

    def __enter__(self) -> Host:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _window_within(base: Layout, everything: Window) -> Window:
    """Find the free middle: above the program and its heap, below the kernel's own pages."""
    low = max(area.end for area in base if area.start < 1 << 32)
    top = min(area.start for area in base if area.start > 1 << 46)
    return Window(low, top, everything.scratch, everything.memlock)
