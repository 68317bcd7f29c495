"""The letter's story on one file of the user's: `make run`, `pkern story`.

Owns the telling, not the facts: the emulator runs twice on one live machine, the gate is opened in
between through the /proc door, and every number printed is read from that machine.
"""

import argparse
import errno
from importlib.util import find_spec
from pathlib import Path

from pkern.kernel.machine import Kernel
from pkern.userland.bochs import (
    BochsError,
    BochsResult,
    GuestError,
    ImageError,
    LoadError,
    machine_ram,
    run_bochs,
)
from pkern.userland.cli.options import UsageError, regular
from pkern.userland.cli.program.shared import check_view, viewing
from pkern.userland.engine import CpuUnavailable, engine_library
from pkern.userland.program import Sys
from pkern.userland.tables import plain_table

HELP = """\
The emulator runs twice over the file: with the gate closed (EPERM, one mmap a page) and, after
echo 1 > /proc/sys/vm/nonlinear, with the gate open. Then both are compared. `make run` tells it.

examples:
  pkern story                 on the compiled core of this kernel
  pkern story LICENSE
  pkern story --view story.html LICENSE   and a page to look at, event by event
"""

GATE = "/proc/sys/vm/nonlinear"
SHOWN = 5  # lines of maps shown from each end
USER, ROOT = 1000, 0
MOST_EVENTS = 50_000  # on the page: the end of the story is its point

OPENING = """\
An emulator's guest has page tables of its own: they scatter the pages of its RAM over its linear
addresses. To show them, the emulator asks its kernel for nonlinear mappings; a careful kernel
guards those by a gate. The guest's work here is the CRC-32 of {path} ({size} bytes)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what stands behind `pkern story`."""
    parser.add_argument("file", nargs="?", metavar="FILE", help="of the host (the compiled core)")
    parser.add_argument(
        "--view", metavar="FILE.html", help="write a page that shows memory at each event"
    )


def run(options: argparse.Namespace) -> int:
    """Tell the story of the file that was named."""
    check_view(options.view)
    try:
        engine_library()  # without an emulator no story begins
    except CpuUnavailable as error:
        raise UsageError(str(error)) from error
    return tell(Path(regular(options.file)) if options.file else compiled_core(), options.view)


def tell(path: Path, view: str | None = None) -> int:
    """Tell the story of a host file; return 0, or 1 if a sum is wrong. view: a page to write."""
    size = path.stat().st_size
    print(OPENING.format(path=path.name, size=size))
    with Kernel(ram=machine_ram(size)) as kernel:
        try:
            with viewing(kernel, view, f"the story of {path.name}", MOST_EVENTS):
                closed = _closed(kernel, path)
                _open_the_gate(kernel)
                opened = _opened(kernel, path)
        except (LoadError, ImageError, CpuUnavailable) as error:
            raise UsageError(str(error)) from error
        except (BochsError, GuestError) as error:
            print(f"the emulator failed: {error}")
            return 1
    _compare(closed, opened)
    _show_maps(closed, opened)
    return 0 if closed.correct and opened.correct else 1


def compiled_core() -> Path:
    """Return the path of the compiled core: a file that every built clone has."""
    spec = find_spec("pkern.kernel.core._core")
    if spec is None or spec.origin is None:
        raise UsageError("the C core is not built; run `make build`")
    return Path(spec.origin)


def write_as(kernel: Kernel, uid: int, path: str, text: str) -> str:
    """Let a task of the user write text to a file; return "ok" or the errno's name."""
    calls = Sys(kernel.spawn("echo", uid=uid, gid=uid))
    try:
        descriptor = calls.open(path, calls.O_WRONLY, 0)
        calls.write(descriptor, text.encode())
        calls.close(descriptor)
        return "ok"
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    finally:
        calls.exit(0)


def _closed(kernel: Kernel, path: Path) -> BochsResult:
    _heading(1, f"The gate is closed: {GATE} is {kernel.sysctl['vm.nonlinear']}")
    result = run_bochs(kernel, path)
    _print_result(result)
    return result


def _open_the_gate(kernel: Kernel) -> None:
    _heading(2, f"Somebody opens the gate: echo 1 > {GATE}")
    log_length = len(kernel.log.lines())
    for name, uid in (("a user (uid 1000)", USER), ("root", ROOT)):
        print(f"   {name + ':':18} {write_as(kernel, uid, GATE, '1' + chr(10))}")
    for line in kernel.log.lines()[log_length:]:
        print(f"   dmesg: {line}")


def _opened(kernel: Kernel, path: Path) -> BochsResult:
    _heading(3, f"The gate is open: {GATE} is {kernel.sysctl['vm.nonlinear']}")
    result = run_bochs(kernel, path)
    _print_result(result)
    return result


def _print_result(result: BochsResult) -> None:
    print(f"   {result.note}")
    verdict = "zlib says the same" if result.correct else f"but zlib says {result.zlib_crc:08x}"
    print(f"   the guest says {result.crc:08x}; {verdict}")


def _compare(closed: BochsResult, opened: BochsResult) -> None:
    _heading(4, "The same guest, the same answer, two prices")
    pairs = zip(closed.rows(), opened.rows(), strict=True)
    rows = [(name, first, second) for (name, first), (_, second) in pairs]
    table = plain_table("", ("", "gate closed", "gate open"), rows)
    print("\n".join("   " + line for line in table.splitlines()))


def _show_maps(closed: BochsResult, opened: BochsResult) -> None:
    _heading(5, "Where the pages lay when the guest halted: /proc/self/maps of the emulator")
    for title, result in (("gate closed", closed), ("gate open", opened)):
        print(f"   {title}, {len(result.maps.splitlines())} lines:")
        print(shortened(result.maps))


def shortened(maps: str) -> str:
    """Return the maps indented, with the middle left out if they are long."""
    lines = maps.splitlines()
    if len(lines) > 2 * SHOWN + 1:
        left_out = f"... {len(lines) - 2 * SHOWN} more lines ..."
        lines = [*lines[:SHOWN], left_out, *lines[-SHOWN:]]
    return "\n".join("      " + line for line in lines)


def _heading(number: int, text: str) -> None:
    print(f"\n{number}. {text}")
