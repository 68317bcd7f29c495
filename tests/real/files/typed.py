"""`typed.py SCRIPT COMMAND ...`: run a command on a terminal of its own, as somebody who types.

Each line of SCRIPT is `shown => typed`: once what is on the left has been shown since the last line
was typed, what is on the right is. Both may hold Python's escapes; `\\r` is the key Enter. All that
is shown from the first line on is printed, without carriage returns. A command that takes more than
LIMIT seconds is killed.
"""

import os
import pty
import signal
import sys

LIMIT = 150


def main(script: str, command: list[str]) -> int:
    """Play the script; return the command's exit status."""
    child, terminal = pty.fork()
    if child == 0:
        os.execvp(command[0], command)
    signal.signal(signal.SIGALRM, lambda *_: os.killpg(child, signal.SIGKILL))
    signal.alarm(LIMIT)
    with open(script) as lines:
        for number, line in enumerate(lines):
            wanted, keys = map(unescaped, line.rstrip("\n").split(" => "))
            shown = shown_until(terminal, wanted)
            tell(shown if number else b"")
            if wanted not in shown:
                sys.exit(f"not shown for line {number + 1}: {shown.decode(errors='replace')}")
            os.write(terminal, keys)
    tell(shown_until(terminal, None))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def unescaped(text: str) -> bytes:
    """Return the bytes that a text with Python's escapes stands for."""
    return text.encode().decode("unicode_escape").encode("latin-1")


def shown_until(terminal: int, wanted: bytes | None) -> bytes:
    """Return what is shown until `wanted` has been, or until nobody shows anything any more."""
    shown = b""
    while wanted is None or wanted not in shown:
        try:
            more = os.read(terminal, 4096)
        except OSError:  # the other end has been closed
            more = b""
        if not more:
            break
        shown += more
    return shown


def tell(shown: bytes) -> None:
    """Print a part of what was shown."""
    sys.stdout.write(shown.replace(b"\r", b"").decode(errors="replace"))
    sys.stdout.flush()


sys.exit(main(sys.argv[1], sys.argv[2:]))
