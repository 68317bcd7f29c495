"""Virtual time: it moves with work done, never with the host's clock.

Every system call and every block of code costs a fixed amount, chosen at boot, so that the same
program reads the same times on every run. The time itself is one word of the kernel's data page,
where the fast vsyscalls read it: there is no second copy. Owns these costs, and the timers: the
scheduler, and the calls in which a Python program waits, let them fire.
"""

from __future__ import annotations

from pkern.kernel import BLOCK_NS, CALL_NS
from pkern.kernel.core import ffi
from pkern.kernel.lean import heappop, heappush
from pkern.kernel.typed import Any, Callable, Iterator

SECOND = 1_000_000_000  # in nanoseconds
CLOCK_MONOTONIC, CLOCK_BOOTTIME = 1, 7
# Numbers of clock_gettime(2), by what they tell.
REALTIME_CLOCKS = frozenset({0, 5, 11})  # REALTIME, REALTIME_COARSE, TAI
UPTIME_CLOCKS = frozenset({1, 2, 3, 4, 6, 7})  # MONOTONIC*, *_CPUTIME_ID, BOOTTIME
CPU_CLOCKS = frozenset({2, 3})  # of the process and of the thread
BOOT_EPOCH_S = 1_049_587_200  # 6 April 2003 00:00 UTC, the letter's day
BOOT_EPOCH_NS = BOOT_EPOCH_S * SECOND
NEVER_NS = (1 << 63) - 1  # Linux's KTIME_MAX: what is due then, or later, does not come
FAR = (1 << 64) - 1  # later than any time
END_NS = NEVER_NS - BOOT_EPOCH_NS  # since boot: the date does not go on from there


class TimeIsUp(BaseException):
    """A run has taken all the time that it was given; no program is to catch it."""


class Clock:
    """Nanoseconds since boot, and the date the machine believes in.

    call_ns, block_ns: what a system call and a block of machine code cost, from 1 ns to 1 s.
    Errors: ValueError.
    """

    def __init__(self, call_ns: int = CALL_NS, block_ns: int = BLOCK_NS) -> None:
        for name, cost in (("call_ns", call_ns), ("block_ns", block_ns)):
            if not 1 <= cost <= SECOND:
                raise ValueError(f"{name} is a number from 1 to {SECOND}, not {cost}")
        self.call_ns, self.block_ns = call_ns, block_ns
        self._end_ns: int | None = None
        self.listener: Callable[[], None] | None = None  # told when time has moved, now and then
        self._due: Any = ffi.new("uint64_t *", FAR)
        self._timers: list[tuple[int, int, Callable[[], None]]] = []  # a heap
        self._timer_count = 0
        self._data: Any = ffi.new("struct vsyscall_data *", {"realtime_ns": BOOT_EPOCH_NS})
        self._word = self._view()

    def keep_in(self, page: Any) -> None:
        """Move the time into the data page (struct vsyscall_data *); None: out of it again."""
        place = page if page is not None else ffi.new("struct vsyscall_data *")
        place.realtime_ns = self._data.realtime_ns
        self._data = place
        self._word = self._view()

    def _view(self) -> memoryview:
        """Return the word as what is read fastest."""
        return memoryview(ffi.buffer(self.place(), 8)).cast("Q")

    def place(self) -> Any:
        """Return where the time is kept (uint64_t *), for the processor that adds to it."""
        return ffi.addressof(self._data, "realtime_ns")

    def place_of_due(self) -> Any:
        """Return where it stands when fire() has something to do (uint64_t *, as the time)."""
        return self._due

    def _note_due(self) -> None:
        timers = self._timers
        due = timers[0][0] + BOOT_EPOCH_NS if timers else FAR
        self._due[0] = due if self.listener is None else 0

    def tell(self, listener: Callable[[], None] | None) -> None:
        """Tell a listener from now on when time has moved, now and then; None: nobody."""
        self.listener = listener
        self._note_due()

    def advance(self, nanoseconds: int) -> None:
        """Let nanoseconds (>= 0) pass, up to the end of time. Errors: TimeIsUp."""
        if self._end_ns is not None and self.now_ns + nanoseconds >= self._end_ns:
            self._data.realtime_ns, self._end_ns = self._end_ns + BOOT_EPOCH_NS, None
            raise TimeIsUp
        self._data.realtime_ns = min(self.now_ns + nanoseconds, END_NS) + BOOT_EPOCH_NS
        if self.listener is not None:
            self.listener()

    def end_at(self, when: int | None) -> None:
        """Raise TimeIsUp once a sleep leads to when, nanoseconds since boot. None: never."""
        self._end_ns = when

    # ---- timers ----

    def at(self, when: int, action: Callable[[], None]) -> None:
        """Call action once the time has reached when (nanoseconds since boot)."""
        if when > END_NS:
            return
        self._timer_count += 1
        heappush(self._timers, (when, self._timer_count, action))
        self._note_due()

    def next_due(self) -> int | None:
        """Return when the next timer is due, None if there is none."""
        return self._timers[0][0] if self._timers else None

    def fire(self) -> None:
        """Call what is due, the earliest first."""
        if not self._timers:
            return
        now = self.now_ns
        while self._timers and self._timers[0][0] <= now:
            action = heappop(self._timers)[2]
            self._note_due()
            action()

    def pass_until(self, when: int) -> Iterator[None]:
        """Let time pass up to when, in steps: each ends where timers were due, and have fired."""
        while self._timers and self._timers[0][0] <= when:
            self.advance(max(0, self._timers[0][0] - self.now_ns))
            self.fire()
            yield
        self.advance(max(0, when - self.now_ns))

    @property
    def now_ns(self) -> int:
        """Nanoseconds since boot, as CLOCK_MONOTONIC."""
        return self._word[0] - BOOT_EPOCH_NS

    @property
    def realtime_ns(self) -> int:
        """Nanoseconds since 1970, as CLOCK_REALTIME."""
        return self._word[0]
