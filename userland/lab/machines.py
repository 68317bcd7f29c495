"""The machines of experiments: plain ones, and the first one of a run that is to be looked at.

Owns who is looking. A run that is looked at is one of its own, at the tiny scale: it measures
nothing, so no time that an experiment reports has been paid for a picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from pkern.kernel.machine import Kernel


class View:
    """The page of the first machine that is booted. text: "" until that has been closed."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.text = ""
        self.taken = False


_VIEW: ContextVar[View | None] = ContextVar("view", default=None)


def machine(*args: Any, **parameters: Any) -> Kernel:
    """Return a machine for an experiment; arguments and errors are Kernel's."""
    view = _VIEW.get()
    if view is None or view.taken:
        return Kernel(*args, **parameters)
    view.taken = True
    return _Viewed(view, *args, **parameters)


class _Viewed(Kernel):
    """A machine that is recorded from its boot until it is closed."""

    def __init__(self, view: View, *args: Any, **parameters: Any) -> None:
        from pkern.userland.view.recorder import Recorder

        self._view: View | None = None  # a machine that does not boot closes itself
        super().__init__(*args, **parameters)
        self._view = view
        self._recorder = Recorder(self)
        self._recorder.__enter__()

    def close(self) -> None:
        view, self._view = self._view, None
        if view is not None:
            self._recorder.__exit__(None, None, None)
            view.text = self._page(view.title)
        super().close()

    def _page(self, title: str) -> str:
        from pkern.userland.view.page import page
        from pkern.userland.view.story import page_data

        recording = self._recorder.recording
        return page(page_data(recording, self.inspect), title) if recording is not None else ""


@contextmanager
def looking(title: str) -> Iterator[View]:
    """Record the first machine that is booted meanwhile; its page is in the view afterwards."""
    view = View(title)
    token = _VIEW.set(view)
    try:
        yield view
    finally:
        _VIEW.reset(token)
