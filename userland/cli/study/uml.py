"""The command `pkern uml`."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from pkern.kernel.errors import KernelPanic
from pkern.kernel.machine import parse_size
from pkern.kernel.numbers import counted
from pkern.userland.cli.boot import boot
from pkern.userland.cli.options import AMPLE, UsageError, add_machine_options, existing, set_usage
from pkern.userland.engine import CpuUnavailable
from pkern.userland.tables import plain_table
from pkern.userland.uml.kernel import Config, GuestPanic
from pkern.userland.uml.memory import FrameOrder
from pkern.userland.uml.run import CannotBoot, HostInput, UmlResult, run_uml

HELP = """\
A static program of the host's runs under a small guest kernel, itself a program of this kernel:
guest RAM is a file, guest processes are traced, and their pages are shown by remap_file_pages (gate
open) or by one mmap each (gate closed). What the guest prints is the same in both.

examples:
  make programs
  pkern uml --sysctl vm.nonlinear=1 --stats build/programs/forks 20
  pkern uml --stats build/programs/forks 20            the same with one VMA a page
  pkern uml --clock-lead 86400 build/programs/clock    a guest that lives a day ahead
  pkern uml --clock-lead 86400 --sysctl kernel.vsyscall64=0 build/programs/clock
"""
MIB = 1 << 20
STDIN = 0
HOST_SPARE = 48 * MIB
MOST_LEAD = 8_000_000_000  # seconds: the nanoseconds of a time then fit into 64 bits


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what stands behind `pkern uml`."""
    set_usage(parser, "PROGRAM [ARGUMENT ...]")
    add_machine_options(parser, ram=AMPLE)
    parser.add_argument("program", metavar="PROGRAM", help="a static program of the host")
    parser.add_argument(
        "arguments", nargs=argparse.REMAINDER, metavar="...", help="for the program"
    ).required = False
    parser.add_argument("--guest-ram", default="32M", metavar="SIZE", help="the guest's RAM (32M)")
    parser.add_argument(
        "--frames",
        choices=[order.name.lower() for order in FrameOrder],
        default=FrameOrder.SCATTERED.name.lower(),
        help="the order in which guest frames are handed out (scattered)",
    )
    parser.add_argument(
        "--clock-lead",
        type=float,
        default=0,
        metavar="SECONDS",
        help="how far the guest's clock is ahead of the host's (0)",
    )
    parser.add_argument(
        "--task-vsyscalls",
        type=int,
        choices=(0, 1),
        default=1,
        help="PR_SET_VSYSCALL for the traced task: 0 revirtualises its vsyscalls (1)",
    )
    parser.add_argument("--stats", action="store_true", help="print what it took, to stderr")


def run(options: argparse.Namespace) -> int:
    """Run a guest and return its first process's exit status. Errors: UsageError."""
    program = Path(existing(options.program))
    config = _config(options)
    if options.ram == AMPLE:
        options.ram = str(2 * config.ram + HOST_SPARE)
    with boot(options) as kernel:
        began = time.perf_counter()
        try:
            source = HostInput(STDIN)
            result = run_uml(kernel, program, options.arguments, config, _out, _err, source)
        except (CannotBoot, CpuUnavailable) as error:
            raise UsageError(str(error)) from error
        except (GuestPanic, KernelPanic, OSError) as error:
            print(f"pkern uml: {error}", file=sys.stderr)
            return 1
        seconds = time.perf_counter() - began
    if options.stats:
        _print_stats(result, seconds)
    return result.exit_status


def _config(options: argparse.Namespace) -> Config:
    try:
        ram = parse_size(options.guest_ram)
    except ValueError as error:
        raise UsageError(f"--guest-ram: {error}") from None
    if not ram:
        raise UsageError("--guest-ram: a guest has some RAM")
    if abs(options.clock_lead) > MOST_LEAD:
        raise UsageError(f"--clock-lead takes at most {MOST_LEAD} seconds, to either side")
    return Config(
        ram=ram,
        order=FrameOrder[options.frames.upper()],
        clock_lead_ns=round(options.clock_lead * 1_000_000_000),
        task_vsyscalls=options.task_vsyscalls,
    )


def _out(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _err(data: bytes) -> None:
    sys.stderr.buffer.write(data)
    sys.stderr.buffer.flush()


def rows(result: UmlResult) -> list[tuple[str, str]]:
    """Return what a run took, for people."""
    stats = result.stats
    most = sorted(result.host_calls.items(), key=lambda item: (-item[1], item[0]))[:4]
    return [
        ("mode", result.mode),
        ("guest forks, execs", f"{stats.forks}, {stats.execs}"),
        ("VMAs of a guest process, at most", str(stats.vmas)),
        ("traps: system calls", str(stats.calls)),
        ("traps: faults", str(stats.faults)),
        ("ticks", str(stats.ticks)),
        ("traps from the page of vsyscalls", str(result.vsyscall_traps)),
        ("context switches", str(stats.switches)),
        ("changes of the page of vsyscalls", str(result.vsyscall_selects)),
        ("pages dropped for want of room", counted(stats.evictions, "time")),
        ("host calls", str(sum(result.host_calls.values()))),
        ("  most often", ", ".join(f"{name} {count}" for name, count in most)),
    ]


def _print_stats(result: UmlResult, seconds: float) -> None:
    table = [*rows(result), ("seconds", f"{seconds:.3f}")]
    print(plain_table("", ("guest", ""), table), file=sys.stderr)
    for line in result.log:
        print(f"guest's log: {line}", file=sys.stderr)
