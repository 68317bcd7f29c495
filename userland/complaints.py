"""Why something cannot be, as a sentence: for the command line and for the pytest plugin.

Imports nothing that costs time: every command pays for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pkern.kernel.machine import Kernel
    from pkern.kernel.sysctl_entry import Entry


def nearest(word: str, known: Iterable[str]) -> list[str]:
    """Return the known words most like word, best first."""
    from difflib import get_close_matches  # for complaints only

    return get_close_matches(word.split("=")[0], list(known), n=3, cutoff=0.6)


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """Return the end of a complaint: the known word that was meant, or another hint."""
    guesses = nearest(word, known)
    return f"; did you mean {guesses[0]}?" if guesses else otherwise


def boot_complaint(error: Exception, sysctls: Mapping[str, int | str]) -> str:
    """Return why a machine did not boot, as a sentence that names a wrong sysctl."""
    from pkern.kernel.machine import Kernel

    with Kernel(ram="4M") as probe:
        for name, value in sysctls.items():
            complaint = sysctl_complaint(probe, name, str(value))
            if complaint:
                return complaint
    return f"the machine does not boot: {error}"


def sysctl_complaint(kernel: Kernel, name: str, value: str) -> str | None:
    """Return why the sysctl cannot have the value, as a sentence, or None if it can."""
    entries = {entry.name: entry for entry in kernel.sysctl.entries()}
    if name not in entries:
        hint = did_you_mean(name, entries, "; 'pkern sysctl -a' lists them")
        return f"there is no sysctl '{name}'{hint}"
    try:
        kernel.sysctl[name] = value
    except (OSError, ValueError) as error:
        return f"{name} cannot be '{value}' {_reason(entries[name], error)}. {entries[name].help}"
    return None


def _reason(entry: Entry, error: Exception) -> str:
    """Return why an entry refuses a value: who may not write, or what it takes."""
    if entry.read_only:
        return f"(nobody writes it: {entry.read_only})"
    why = error.strerror if isinstance(error, OSError) else error
    return f"({why}): it takes {entry.range}"
