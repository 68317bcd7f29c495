"""The command `pkern bochs`."""

import argparse
import sys
from pathlib import Path

from pkern.userland.cli.options import AMPLE, UsageError, add_machine_options, regular, set_usage

HELP = """\
The guest, in machine code, computes the CRC-32 of the file in its memory, through guest page tables
that scatter the file's pages. The emulator is a program of this kernel; with the gate closed it
falls back from remap_file_pages to one mmap a page.

examples:
  pkern bochs --file LICENSE
  pkern bochs --file LICENSE --sysctl vm.nonlinear=1
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what stands behind `pkern bochs`."""
    set_usage(parser, "--file PATH")
    add_machine_options(parser, ram=AMPLE)
    parser.add_argument("--file", required=True, metavar="PATH", help="a file of the host")


def run(options: argparse.Namespace) -> int:
    """Let the emulator's guest compute a file's CRC-32; 1 if it is not zlib's."""
    from pkern.userland import bochs
    from pkern.userland.cli.boot import boot
    from pkern.userland.engine import CpuUnavailable
    from pkern.userland.tables import print_table

    path = Path(regular(options.file))
    if options.ram == AMPLE:
        options.ram = bochs.machine_ram(path.stat().st_size)
    with boot(options) as kernel:
        try:
            result = bochs.run_bochs(kernel, path, seed=options.seed)
        except (bochs.LoadError, bochs.ImageError, CpuUnavailable) as error:
            raise UsageError(str(error)) from error
        except (bochs.BochsError, bochs.GuestError) as error:
            print(f"pkern bochs: {error}", file=sys.stderr)
            return 1
    print(result.note)
    print_table("", ("", ""), result.rows())
    return 0 if result.correct else 1
