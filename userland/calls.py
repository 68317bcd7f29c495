"""The calls and constants of Sys. What type checkers and editors read is calls.pyi beside this.

calls.pyi is written by `pkern docs` from the same table, so that no signature is typed twice.
"""

from pkern.userland.binding import install

OWN_FORMS = frozenset({"fork", "exit"})  # Sys has them in a form of its own


class Calls:
    """Every system call by its name, and every constant of Linux's headers that they take."""


install(Calls, OWN_FORMS)
