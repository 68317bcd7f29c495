"""How fast this processor is: for limits of processor time that are meant for one of today."""

from __future__ import annotations

from time import process_time

ADDED = 5_000_000  # numbers that a processor of today adds in a tenth of a second, one by one


def second() -> float:
    """Return the processor time that takes here what takes a second on a processor of today."""
    began = process_time()
    sum(range(ADDED))
    return 10 * (process_time() - began)
