"""Filters of events: what passes, and what is no filter."""

from __future__ import annotations

import pytest

from pkern.kernel.errors import SyscallError
from pkern.kernel.events.filters import parse
from pkern.kernel.events.points import Table
from pkern.kernel.events.stream import Event

TABLE = Table()
ALLOC = TABLE["kmem:mm_page_alloc"]
EXEC = TABLE["sched:sched_process_exec"]


def alloc(pfn: int, pid: int = 7, comm: str = "sh") -> Event:
    return Event(0, 0, pid, comm, ALLOC, (pfn, 0, 3264, 1, 0))


@pytest.mark.parametrize(
    ("words", "passes"),
    [
        ("pfn == 16", True),
        ("pfn==0x10", True),
        ("pfn != 16", False),
        ("pfn > 15 && pfn < 17", True),
        ("pfn >= 16 && !(pfn <= 16)", False),
        ("pfn == 1 || order == 0", True),
        ("pfn == 1 || order == 0 && migratetype == 0", False),
        ("(pfn == 1 || order == 0) && migratetype == 1", True),
        ("pfn & 0x10", True),
        ("pfn & 0xf", False),
        ("common_pid == 7", True),
        ('COMM == "sh"', True),
        ("COMM ~ s*", True),
        ("COMM != sh", False),
    ],
)
def test_what_passes(words: str, passes: bool) -> None:
    assert parse(words, ALLOC)(alloc(16)) is passes


def test_texts() -> None:
    event = Event(0, 0, 7, "sh", EXEC, ("/bin/busybox", 7, 7))
    assert parse('filename ~ "*/busy*"', EXEC)(event)
    assert not parse("filename == busybox", EXEC)(event)


@pytest.mark.parametrize(
    "words",
    [
        "", "pfn", "pfn ==", "pfn = 16", "nope == 1", "pfn == x", "pfn == 1 &&", "(pfn == 1",
        "pfn == 1)", "COMM < sh", "pfn == 1 pfn == 2", '"', "(" * 99 + "pfn == 1" + ")" * 99,
    ],
)  # fmt: skip
def test_what_is_none(words: str) -> None:
    with pytest.raises(SyscallError, match="Invalid argument"):
        parse(words, ALLOC)
