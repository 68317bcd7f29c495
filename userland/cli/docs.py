"""The command `pkern docs`."""

import argparse
from pathlib import Path

from pkern.userland.cli import reference
from pkern.userland.cli.options import UsageError

HELP = """\
docs/sysctls.md and docs/syscalls.md come from the tables of the code.

example: pkern docs                   in the project's folder
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what stands behind `pkern docs`."""
    parser.add_argument("--folder", default="docs", help="where they go (docs)")


def run(options: argparse.Namespace) -> int:
    """Write docs/sysctls.md and docs/syscalls.md."""
    folder = Path(options.folder)
    if not folder.is_dir():
        raise UsageError(f"'{folder}' is not a folder; run this in the project's folder")
    for name, text in reference.pages().items():
        (folder / name).write_text(text)
        print(folder / name)
    return 0
