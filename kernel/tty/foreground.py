"""Whose the host's terminal is.

Imports nothing that costs time: a start looks before all else is imported.
"""

import os


def is_another_s(fd: int) -> bool:
    """Tell whether another process group is at a terminal: to change it would stop us."""
    try:
        return os.tcgetpgrp(fd) != os.getpgrp()
    except OSError:  # it does not control us
        return False
