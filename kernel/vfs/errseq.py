"""Errors of writeback, as each open file learns of them: once, if it was open then or no one knew.

Source: Documentation/core-api/errseq.rst of Linux; fsync(2), "since Linux 4.13".
"""

from __future__ import annotations

NEVER = 0  # the count before any error


class ErrorSequence:
    """The errors of one file or file system: how many, the last one, and whether it was told."""

    def __init__(self) -> None:
        self.count = NEVER
        self.errno = 0
        self.told = True

    def record(self, number: int) -> None:
        """Note that writing failed with errno number."""
        self.count += 1
        self.errno, self.told = number, False

    def sample(self) -> int:
        """Return where an open file begins: before an error that no one has been told of."""
        return self.count if self.told else NEVER

    def since(self, sampled: int) -> tuple[int, int]:
        """Return the errno since a sample (0: none) and the sample to go on from."""
        if sampled == self.count:
            return 0, sampled
        self.told = True
        return self.errno, self.count


NO_SAMPLES = NEVER, NEVER
NO_ERRORS = ErrorSequence()  # of what has no backing store; nothing is recorded in it
