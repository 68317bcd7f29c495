"""The command `pkern docs`."""

import argparse
from pathlib import Path

from pkern.userland.cli.options import UsageError
from pkern.userland.cli.pages import reference, stub

HELP = """\
docs/sysctls.md, docs/syscalls.md, docs/python.md and userland/calls.pyi, which type checkers and
editors read, come from the tables of the code.

examples:
  pkern docs                         in the project's folder
  pkern docs --folder /tmp/docs      elsewhere, to compare
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what stands behind `pkern docs`."""
    parser.add_argument("--folder", default="docs", help="where they go (docs)")


def run(options: argparse.Namespace) -> int:
    """Write the generated pages, and the stub where the sources are."""
    folder = Path(options.folder)
    if not folder.is_dir():
        raise UsageError(f"'{folder}' is not a folder; run this in the project's folder")
    for name, text in reference.pages().items():
        (folder / name).write_text(text)
        print(folder / name)
    source = folder.parent / stub.PATH
    if source.exists():
        source.write_text(stub.stub())
        print(source)
    return 0
