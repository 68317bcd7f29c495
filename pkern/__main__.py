"""The command `pkern`, and `python -m pkern`."""

import sys

from pkern.userland.cli.interrupts import INTERRUPTED, at_once


def main() -> int:
    """Run the command line of this process and return the exit status."""
    try:
        with at_once():
            from pkern.userland.cli.main import main as run
        return run()
    except KeyboardInterrupt:  # between two commands of this function
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
