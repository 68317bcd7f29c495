"""The scanner of equal pages: when it runs, and that every run is the same.

tests/core/test_ksm.c merges under every reverse map; tests/system/elf/memory/ksm.c compares with a
host.
"""

from __future__ import annotations

import errno

import pytest

from pkern.kernel.errors import SyscallError
from pkern.kernel.machine import Kernel
from pkern.userland.program import Sys

PAGE = 4096
MILLISECOND = 1_000_000
FOLDER = "/sys/kernel/mm/ksm"


def get(sys: Sys, name: str) -> str:
    fd = sys.open(f"{FOLDER}/{name}", sys.O_RDONLY)
    text = sys.read(fd, 4096).decode().strip()
    sys.close(fd)
    return text


def put(sys: Sys, name: str, text: str) -> None:
    fd = sys.open(f"{FOLDER}/{name}", sys.O_WRONLY)
    try:
        sys.write(fd, text.encode())
    finally:
        sys.close(fd)


def sleep(sys: Sys, milliseconds: int) -> None:
    sys.nanosleep(milliseconds * MILLISECOND)


def offer(sys: Sys, content: bytes) -> int:
    """Map a mergeable page for each byte, full of it."""
    at = sys.mmap(0, len(content) * PAGE, 3, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS)
    for page, byte in enumerate(content):
        sys.store(at + page * PAGE, bytes([byte]) * PAGE)
    sys.madvise(at, len(content) * PAGE, sys.MADV_MERGEABLE)
    return at


def test_it_scans_while_a_program_sleeps(kernel: Kernel) -> None:
    sys = Sys(kernel.spawn(uid=0))
    offer(sys, b"aaaabbc")
    sleep(sys, 1000)
    assert get(sys, "full_scans") == "0", "it is off"
    put(sys, "smart_scan", "0")
    put(sys, "run", "1")
    put(sys, "pages_to_scan", "3")
    sleep(sys, 20)
    assert int(get(sys, "pages_scanned")) == 6, "twice: at once, and 20 ms later"
    sleep(sys, 400)
    assert (get(sys, "pages_shared"), get(sys, "pages_sharing")) == ("2", "4")
    assert get(sys, "pages_unshared") == "1"
    put(sys, "run", "0")
    scanned = get(sys, "pages_scanned")
    sleep(sys, 1000)
    assert get(sys, "pages_scanned") == scanned
    kernel.check()
    put(sys, "run", "2")
    assert get(sys, "pages_shared") == "0"


def test_the_same_twice() -> None:
    def run() -> list[str]:
        with Kernel(ram="8M", swap="4M") as kernel:
            sys = Sys(kernel.spawn(uid=0))
            put(sys, "run", "1")
            offer(sys, bytes(page % 7 for page in range(200)))
            found = []
            for _ in range(12):
                sleep(sys, 30)
                found += [get(sys, name) for name in ("pages_sharing", "pages_scanned")]
            return found

    assert run() == run()


def test_a_skipped_page_is_looked_at_again(kernel: Kernel) -> None:
    sys = Sys(kernel.spawn(uid=0))
    at = offer(sys, bytes(range(1, 9)))
    put(sys, "run", "1")
    sleep(sys, 400)
    assert int(get(sys, "pages_skipped")) > 0
    sys.store(at, b"\2" * PAGE)
    sleep(sys, 3000)
    assert get(sys, "pages_sharing") == "1"


@pytest.mark.parametrize("rmap", ["objrmap_tree", "pte_chain", "objrmap", "compare"])
def test_more_equal_pages_than_memory_holds(rmap: str) -> None:
    with Kernel(ram="2M", swap="8M", rmap=rmap) as kernel:
        sys = Sys(kernel.spawn(uid=0))
        put(sys, "run", "1")
        put(sys, "pages_to_scan", "1000")
        at = sys.mmap(0, 700 * PAGE, 3, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS)
        sys.madvise(at, 700 * PAGE, sys.MADV_MERGEABLE)
        for page in range(700):
            sys.store(at + page * PAGE, bytes([page % 5]) * PAGE)
            if page % 50 == 0:
                sleep(sys, 60)
        sleep(sys, 200)
        kernel.check()
        for page in range(700):
            assert sys.load(at + page * PAGE + 99, 1)[0] == page % 5
        kernel.check()
        assert int(get(sys, "pages_sharing")) > 200


def test_what_another_user_may_set(kernel: Kernel) -> None:
    sys = Sys(kernel.spawn(uid=1000))
    with pytest.raises(SyscallError) as refused:
        put(sys, "run", "1")
    assert refused.value.errno == errno.EACCES
    assert sys.prctl(sys.PR_SET_MEMORY_MERGE, 1) == 0
    assert sys.prctl(sys.PR_GET_MEMORY_MERGE) == 1


def test_the_advisor_keeps_pages_to_scan(kernel: Kernel) -> None:
    sys = Sys(kernel.spawn(uid=0))
    assert get(sys, "advisor_mode") == "[none] scan-time"
    put(sys, "advisor_mode", "scan-time")
    assert get(sys, "pages_to_scan") == "500"
    with pytest.raises(SyscallError):
        put(sys, "pages_to_scan", "7")
    with pytest.raises(SyscallError):
        put(sys, "advisor_target_scan_time", "0")
    put(sys, "advisor_mode", "none")
    assert get(sys, "pages_to_scan") == "100"
