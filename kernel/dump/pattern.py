"""kernel.core_pattern: from the pattern to a file's name, or to a program and its arguments.

Source: core(5); coredump_parse() of Linux 6.18.
"""

from __future__ import annotations

from pkern.kernel.clock import SECOND
from pkern.kernel.typed import TYPE_CHECKING, Callable

if TYPE_CHECKING:
    from pkern.kernel.tasks.signal.signals import SigInfo
    from pkern.kernel.tasks.task import Task

PIPE = "|"


def _escaped(text: str) -> str:
    """Return a text as a part of one name: no slash, no name of a directory, not empty."""
    if text in (".", ".."):
        return "!" + text[1:]
    return text.replace("/", "!") or "!"


def _program(task: Task) -> str:
    return task.exe.path if task.exe is not None else f"{task.name} (path unknown)"


VALUES: dict[str, Callable[[Task, SigInfo], str]] = {
    "%": lambda task, info: "%",
    "p": lambda task, info: str(task.tgid),
    "P": lambda task, info: str(task.tgid),
    "i": lambda task, info: str(task.pid),
    "I": lambda task, info: str(task.pid),
    "u": lambda task, info: str(task.cred.uid),
    "g": lambda task, info: str(task.cred.gid),
    "d": lambda task, info: str(task.dumpable),
    "s": lambda task, info: str(info.si_signo),
    "t": lambda task, info: str(task.kernel.clock.realtime_ns // SECOND),
    "h": lambda task, info: _escaped(task.nsproxy.uts.hostname),
    "e": lambda task, info: _escaped(task.name),
    "f": lambda task, info: _escaped(_program(task).rpartition("/")[2]),
    "E": lambda task, info: _escaped(_program(task)),
    "c": lambda task, info: str(task.rlimits["core"][0]),
    "C": lambda task, info: "0",
}


def expand(pattern: str, task: Task, info: SigInfo) -> str:
    """Return a pattern with its %-letters replaced; those that mean nothing are left out."""
    made, rest = "", pattern
    while rest:
        text, percent, rest = rest.partition("%")
        made += text
        if percent and rest:
            made += VALUES[rest[0]](task, info) if rest[0] in VALUES else ""
            rest = rest[1:]
    return made


def file_name(task: Task, info: SigInfo) -> str:
    """Return the name of a core file, with the pid if kernel.core_uses_pid wants it."""
    dumps = task.kernel.dumps
    name = expand(dumps.pattern, task, info)
    has_pid = "%p" in dumps.pattern.replace("%%", "")
    return name if has_pid or not dumps.uses_pid else f"{name}.{task.tgid}"


def command(task: Task, info: SigInfo) -> list[str]:
    """Return the program and arguments of a pattern that begins with '|'; [] if it names none.

    The pattern is split at spaces before the letters are replaced.
    """
    words = task.kernel.dumps.pattern.removeprefix(PIPE).split()
    return [expand(word, task, info) for word in words]
