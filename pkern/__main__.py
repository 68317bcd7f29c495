"""The command `pkern`, and `python -m pkern`."""

import _signal as signal  # type: ignore[import-not-found]
import sys

signal.signal(signal.SIGINT, signal.SIG_DFL)  # quiet from the first line on, till startup has it

from pkern import finder  # noqa: E402


def main() -> int:
    """Run the command line of this process and return the exit status, if it does not end there."""
    finder.begin()
    from pkern.userland.cli import startup

    startup.begin()
    from pkern.userland.cli.main import main as run

    status = run(ready=startup.end)
    startup.leave(status)
    return status


if __name__ == "__main__":
    sys.exit(main())
