"""The command `pkern host-shell`: the host's tools on a machine's /proc."""

import argparse
import os
from pathlib import Path

from pkern.userland.cli.options import UsageError

HELP = """\
COMMAND, or a shell, runs on the host, but finds /proc and /sys of the machine that is mounted on
DIR: ps, free, vmstat, pmap, htop and what else reads /proc show the machine's tasks and memory. All
other files are the host's. A signal to one of the pids shown reaches no process of the host.

examples:
  pkern run --mount /mnt/machine ./tool &
  pkern host-shell /mnt/machine ps aux
  pkern host-shell /mnt/machine pmap -x 2
  pkern host-shell /mnt/machine
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what stands behind `pkern host-shell`."""
    parser.add_argument("directory", metavar="DIR", help="where the machine is mounted")
    parser.add_argument(
        "command", nargs=argparse.REMAINDER, metavar="COMMAND ...", help="the command (a shell)"
    ).required = False
    parser.usage = f"{parser.prog} DIR [COMMAND [ARGUMENT ...]]"


def run(options: argparse.Namespace) -> int:
    """Run the command where the machine's /proc is /proc; return its status."""
    from pkern.userland.mount import hostshell

    command = options.command or [os.environ.get("SHELL") or "/bin/sh"]
    try:
        return hostshell.run(Path(options.directory).absolute(), command)
    except hostshell.NoNameSpace as error:
        raise UsageError(str(error), 1) from error
