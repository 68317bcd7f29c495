"""The command `pkern host-shell`: the host's tools on a machine's /proc."""

import argparse
import os
from pathlib import Path

from pkern.userland.cli.options import UsageError

HELP = """\
COMMAND, or a shell, runs on the host as ever, but finds the /proc of the machine that is mounted
on DIR: ps, free, vmstat, pmap, htop and what else reads /proc show the machine's tasks and memory.
All other files are the host's. What it starts itself has pids of the host: that /proc lacks them.

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
    )
    parser.usage = f"{parser.prog} DIR [COMMAND [ARGUMENT ...]]"


def run(options: argparse.Namespace) -> int:
    """Become the command, where the machine's /proc is /proc."""
    from pkern.userland.mount.hostshell import NoNameSpace, enter

    command = options.command or [os.environ.get("SHELL") or "/bin/sh"]
    try:
        enter(Path(options.directory).absolute())
    except NoNameSpace as error:
        raise UsageError(str(error), 1) from error
    try:
        os.execvp(command[0], command)
    except OSError as error:
        raise UsageError(f"cannot execute '{command[0]}': {error.strerror}", 127) from error
