"""Why something cannot be, as a sentence: for the command line and for the pytest plugin.

Imports nothing that costs time: every command pays for it.
"""

from __future__ import annotations

from collections.abc import Mapping

from pkern.kernel.arguments import did_you_mean
from pkern.kernel.typed import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pkern.kernel.machine import Kernel
    from pkern.kernel.sysctl_entry import Entry


def boot_complaint(error: Exception, wanted: Mapping[str, Any]) -> str:
    """Return why a machine did not boot, as a sentence that names what was wrong.

    wanted: parameters of Kernel.
    """
    from pkern.kernel.machine import Kernel

    parameters = Kernel.__init__.__annotations__
    for name in wanted:
        if name not in parameters:
            return f"a machine has no '{name}'{did_you_mean(name, parameters)}"
    with Kernel(ram="4M") as probe:
        for name, value in (wanted.get("sysctl") or {}).items():
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
        return f"({entry.takes})"
    why = error.strerror if isinstance(error, OSError) else error
    return f"({why}): {entry.takes}"
