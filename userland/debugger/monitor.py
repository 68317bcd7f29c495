"""gdb's `monitor`: questions about the machine that no packet has.

Owns the table of them. Each answers in text; what is asked wrongly is answered with how to ask.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task
    from pkern.userland.debugger.target import Target


def monitor(target: Target, task: Task, text: str) -> str:
    """Return what `monitor TEXT` prints. task: the one that the debugger looks at."""
    word, *arguments = text.split() or ["help"]
    question = QUESTIONS.get(word)
    if question is None:
        return f"there is no 'monitor {word}': {', '.join(QUESTIONS)}\n"
    try:
        return question(target, task, *arguments)
    except (TypeError, ValueError, KeyError) as error:
        return f"monitor {USAGE[word]}: {error}\n"


def _help(target: Target, task: Task) -> str:
    return "".join(f"monitor {text}\n" for text in USAGE.values())


def _sysctl(target: Target, task: Task, *names: str) -> str:
    table = target.kernel.sysctl
    chosen = [e.name for e in table.entries() if not names or e.name.startswith(names)]
    if not chosen:
        raise KeyError(" ".join(names))
    return "".join(f"{name} = {table[name]}\n" for name in chosen)


def _vma(target: Target, task: Task, addr: str) -> str:
    found = task.mm.vma_at(int(addr, 0))
    return f"{addr}: nothing is mapped\n" if found is None else f"{found}\n"


Question = Callable[..., str]
QUESTIONS: dict[str, Question] = {"help": _help, "sysctl": _sysctl, "vma": _vma}
USAGE = {
    "help": "help",
    "sysctl": "sysctl [PREFIX ...]",
    "vma": "vma ADDR",
}
