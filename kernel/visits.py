"""Visits: what other threads of the host do to a machine while it stands still.

One thread owns a machine and runs it. Others come in through the door, which the owner opens at
points where nothing is half done: between two slices, between two calls of a Python program, and
for as long as it waits for the host. What they look at, or change, they do themselves, one at a
time. Invariant: the owner is never inside together with a visitor, nor are two visitors.

The host's clock decides how long the door stays open, and nothing else: what runs in the machine
knows nothing of it. Visitors come as long as the machine has run since they last did, and when one
stays longer the machine has as long before the next one: whoever comes, it has half of the time.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition
from time import monotonic

from pkern.kernel.errors import KernelBug, KernelPanic

# Seconds. SHORTEST: that they have at each point; LINGER: that the next one may take to come.
SHORTEST, LINGER = 0.002, 0.0005


class Visits:
    """The door of one machine. waiting: how many stand before it."""

    def __init__(self) -> None:
        self.waiting = 0
        self._door = Condition()
        self._open = False
        self._inside = False
        self._over = False
        self._closed_at = self._left_at = monotonic()
        self._lasted = 0.0  # how long the door was open
        self._failure: BaseException | None = None
        self._asks_for: Callable[[], bool] | None = None
        self.news = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    # ---- visitors ----

    @contextmanager
    def visit(self) -> Iterator[None]:
        """Be inside. Errors: ENOTCONN: the machine is no more; EIO: it has failed meanwhile."""
        self._enter()
        try:
            yield
        except (KernelBug, KernelPanic) as error:
            self._failure = error
            raise OSError(errno.EIO, os.strerror(errno.EIO)) from error
        finally:
            self._leave()

    def _enter(self) -> None:
        with self._door:
            self.waiting += 1
            self._door.wait_for(lambda: self._over or (self._open and not self._inside))
            self.waiting -= 1
            if self._over:
                raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
            self._inside = True

    def _leave(self) -> None:
        asks_for = self._asks_for
        if asks_for is not None and asks_for():
            os.eventfd_write(self.news, 1)
        with self._door:
            self._inside = False
            self._left_at = monotonic()
            self._door.notify_all()

    # ---- the owner ----

    def let_in(self) -> None:
        """Let those in who wait, and who comes right behind them. Errors: what they met."""
        began = now = monotonic()
        ran = now - self._closed_at
        if ran < self._lasted:
            return
        end = now + max(SHORTEST, ran)
        self._unlock()
        try:
            with self._door:
                while now < end and (self.waiting or self._inside or now < self._left_at + LINGER):
                    self._door.wait(min(end - now, LINGER))
                    now = monotonic()
        finally:
            self._lock()
            self._lasted = self._closed_at - began

    @contextmanager
    def opened(self, asks_for: Callable[[], bool] | None = None) -> Iterator[None]:
        """Keep the door open for a while, in which the owner is not inside. Errors: as let_in.

        asks_for: asked after each visit; if it says so, news (an eventfd) becomes readable.
        """
        before, was_open = self._asks_for, self._open
        self._asks_for = asks_for
        self._unlock()
        try:
            yield
        finally:
            self._asks_for = before
            if not was_open:
                self._lock()
            self._hear_news()

    @contextmanager
    def shut(self) -> Iterator[None]:
        """Be inside for a while, where the door is open otherwise. Errors: as let_in."""
        was_open = self._open
        self._lock()
        try:
            yield
        finally:
            if was_open:
                if self.waiting:
                    self.let_in()
                self._unlock()

    def end(self) -> None:
        """Let nobody in any more, and send away who waits."""
        with self._door:
            self._over = True
            self._door.notify_all()

    def _unlock(self) -> None:
        with self._door:
            self._open = True
            self._door.notify_all()

    def _lock(self) -> None:
        """Shut the door when the last one has gone; what interrupts the wait comes behind it."""
        interrupted: BaseException | None = None
        with self._door:
            self._open = False
            while self._inside:
                try:
                    self._door.wait()
                except BaseException as error:
                    interrupted = error
        self._closed_at = monotonic()
        failure, self._failure = self._failure or interrupted, None
        if failure is not None:
            raise failure

    def _hear_news(self) -> None:
        try:
            os.eventfd_read(self.news)
        except BlockingIOError:
            return

    def close(self) -> None:
        """Give the descriptor back; nobody is inside or waits."""
        os.close(self.news)
