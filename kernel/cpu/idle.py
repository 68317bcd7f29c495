"""What a machine does while nobody can run: it waits for its host, or jumps in time.

Owns who waits for input of the host, and what the host has sent: signals of its terminal, which
are handed on between two turns.
"""

from __future__ import annotations

from pkern.kernel.tasks.signal import signals
from pkern.kernel.tasks.signal.signals import SI_KERNEL, SigInfo
from pkern.kernel.typed import TYPE_CHECKING, Callable, Hashable
from pkern.kernel.wait import outside

if TYPE_CHECKING:
    from pkern.kernel.cpu.sleepers import HasSleepers
    from pkern.kernel.tasks.machine import Machine


class Idle:
    """host_signals: number and process group of each that is still to be handed on.

    waits_for_host: while the machine is in a call of the host that may take as long as it likes.
    """

    def __init__(self, kernel: Machine, scheduler: HasSleepers) -> None:
        self._kernel = kernel
        self._queue = scheduler.queue
        self._scheduler = scheduler
        self._inputs: dict[Hashable, Callable[[int | None], None]] = {}
        self.host_signals: list[tuple[int, int]] = []
        self.waits_for_host = False

    def wait_for_input(self, key: Hashable, poll: Callable[[int | None], None]) -> None:
        """Ask poll when nothing else can run: it waits for the host and wakes key.

        poll gets the nanoseconds until the next timer, None if there is none.
        """
        self._inputs[key] = poll

    def wait(self) -> bool:
        """Wait for the host, or jump in time; tell whether anything happened."""
        clock = self._kernel.clock
        when = clock.next_due()
        due = None if when is None else max(0, when - clock.now_ns)
        for key in list(self._inputs):
            if self._scheduler.sleepers.is_awaited(key):
                self._wait_for_host(self._inputs[key], due)
            else:
                del self._inputs[key]
        if self._queue or self.host_signals:
            return True
        if due is None:
            return False
        self.pass_time()
        return True

    def pass_time(self) -> None:
        """Let time pass up to the next timer, of which there must be one, and let it fire."""
        clock = self._kernel.clock
        when = clock.next_due()
        assert when is not None
        clock.advance(max(0, when - clock.now_ns))
        clock.fire()

    def _wait_for_host(self, poll: Callable[[int | None], None], due: int | None) -> None:
        self.waits_for_host = True
        try:
            with outside(self._kernel.visits, lambda: bool(self._queue)):
                poll(due)
        finally:
            self.waits_for_host = False

    def take_host_signals(self) -> None:
        """Hand on the signals that the host's terminal has raised."""
        taken, self.host_signals = self.host_signals, []
        for signo, group in taken:
            for task in self._kernel.tasks.processes():
                if task.pgid == group and task.context is not None:
                    signals.send(task, SigInfo(signo, SI_KERNEL))
