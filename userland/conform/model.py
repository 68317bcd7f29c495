"""The model's side of the oracle: the same runner, on a machine of this kernel.

Owns a kernel and the runner that goes on in it; its input and output are streams of this process.
Nothing below the system-call interface is used.  Called by run.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pkern.kernel.machine import Kernel
from pkern.kernel.vfs.console import Stream
from pkern.kernel.vfs.readiness import would_block
from pkern.userland.conform import answers
from pkern.userland.conform.calls import Call, Layout, Outcome, Window, pack_calls
from pkern.userland.conform.host import MEMLOCK, runner_program
from pkern.userland.conform.hostcpu import host_cpu_features
from pkern.userland.machine_code import Stdio, boot_scheduler, put_program, spawn_program

_PATH = "/runner"
_RAM = "256M"  # a stack that a sequence lets grow down to its window may be charged


class ModelDied(RuntimeError):
    """The runner ended, or a sequence died of what it survives on Linux, or the other way round."""


class _Requests(Stream):
    """The runner's standard input: it waits until there is a request."""

    def read(self, pos: int, nbytes: int) -> bytes:
        data = super().read(pos, nbytes)
        if not data:
            would_block(self)
        return data

    def put(self, data: bytes) -> None:
        self.source, self._taken = self.source[self._taken :] + data, 0
        self.kernel.wake(self)


class _Answers(Stream):
    """The runner's standard output: frames."""

    data = b""

    def write(self, pos: int, data: bytes, task: object = None) -> int:
        self.data += data
        return len(data)

    def whole(self) -> bool:
        return len(self.data) >= 4 and len(self.data) - 4 >= self._length()

    def _length(self) -> int:
        return int.from_bytes(self.data[:4], "little")

    def take(self) -> bytes:
        length = self._length()
        frame, self.data = self.data[4 : 4 + length], self.data[4 + length :]
        return frame


class Model:
    """A kernel of ours with a runner whose address space starts as that of the host's runner."""

    def __init__(self, base: Layout, window: Window, rmap: str = "objrmap_tree") -> None:
        settings = {"vm.mmap_min_addr": _host_mmap_min_addr(), "vm.nonlinear": 1}
        settings["vm.nonlinear_emulated"] = 1  # as on Linux since 4.0
        cpu = ",".join(sorted(host_cpu_features()))
        self.kernel = Kernel(ram=_RAM, rmap=rmap, sysctl=settings, cpu=cpu)
        self._scheduler = boot_scheduler(self.kernel)
        self._requests, self._answers = _Requests(self.kernel), _Answers(self.kernel)
        put_program(self.kernel, runner_program(), _PATH)
        stdio = Stdio(self._requests, self._answers, self._answers)
        argv = (str(runner_program()), str(MEMLOCK))
        self._runner = spawn_program(self.kernel, _PATH, argv, stdio=stdio)
        own = answers.read_hello(self._frame())
        if own[0] != window or _spans(own[1]) != _spans(base):
            raise RuntimeError(f"the runner is laid out otherwise than on the host: {own}\n{base}")

    def _frame(self) -> bytes:
        answer = self._answers
        self._scheduler.run_until(lambda: answer.whole() or not self._runner.alive)
        if not answer.whole():
            raise ModelDied(f"the runner ended with wait status {self._runner.exit_status}")
        return answer.take()

    def send(self, packed: bytes) -> None:
        """Have a sequence ready for the runner; it runs when receive() asks for it, in order."""
        self._requests.put(packed)

    def receive(self) -> bytes:
        """Run the oldest sequence sent and return its frame; empty: the sequence died of it.

        Errors: ModelDied, and our own faults.
        """
        return self._frame()

    def run(self, calls: Sequence[Call]) -> list[Outcome]:
        """Run one sequence in a fresh child process and return what it gave."""
        self.send(pack_calls(calls))
        return answers.decode(self.receive(), calls)

    def check(self) -> None:
        """Recount every invariant of the kernel.

        Errors: KernelBug.
        """
        self.kernel.check()

    def close(self) -> None:
        """Shut the kernel down; a leak is an error.

        Errors: KernelBug.
        """
        self.kernel.close()


def _spans(layout: Layout) -> list[tuple[int, int, str]]:
    return [(area.start, area.end, area.perms) for area in layout]


def _host_mmap_min_addr() -> int:
    """Read the lowest address that the host lets an ordinary program map, in bytes."""
    return int(Path("/proc/sys/vm/mmap_min_addr").read_text())
