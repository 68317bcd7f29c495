"""Questions in words: `walk 0x400000`, `page 17`, `lru`.

Owns the table of questions, their grammar and their help. What they give is kernel/inspect's.
A number is decimal, or hex with 0x; an address may be a pid's: `walk 0x400000 12`.
"""

from __future__ import annotations

import ast
import json
import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pkern.kernel.arguments import did_you_mean
from pkern.kernel.inspect.answers import Answer
from pkern.kernel.numbers import is_decimal, plain_number

if TYPE_CHECKING:
    from pkern.kernel.events.points import Point
    from pkern.kernel.events.stream import Event
    from pkern.kernel.inspect.inspector import Inspector
    from pkern.kernel.inspect.moment import Moment
    from pkern.kernel.tasks.task import Task


class BadQuestion(ValueError):
    """A question that cannot be read; the text says what to do."""


@dataclass(frozen=True, slots=True, repr=False)
class Answers(Answer):
    """Several answers of one question."""

    answers: tuple[Answer, ...]

    def lines(self) -> Any:
        for answer in self.answers:
            yield from answer.lines()


@dataclass(frozen=True, slots=True)
class Question:
    """A form of question. needs, takes: how many arguments, without and with those one may omit."""

    usage: str
    help: str
    needs: int
    takes: int
    ask: Callable[..., Answer]


def number(text: str) -> int:
    """Return the number that a word means. Errors: BadQuestion."""
    value = plain_number(text)
    if value is None and plain_number(text.removeprefix("-")) is None:
        raise BadQuestion(f"a number is decimal, or hex with 0x, not '{text}'")
    if value is None or value >= 1 << 64:
        raise BadQuestion(f"a number is from 0 to 2**64 - 1, not '{text}'")
    return value


def _number_or_path(text: str) -> int | str:
    return number(text) if is_decimal(text) else text


def _vma(ask: Inspector, addr: str, *pid: str) -> Answer:
    return ask.vma(number(addr), *map(number, pid))


def _vmas(ask: Inspector, *pid: str) -> Answer:
    return Answers(tuple(ask.vmas(*map(number, pid))))


QUESTIONS: dict[str, Question] = {
    "walk": Question(
        "walk ADDR [PID]",
        "each level's entry of the page tables, by index",
        1,
        2,
        lambda ask, addr, *pid: ask.walk(number(addr), *map(number, pid)),
    ),
    "vma": Question("vma ADDR [PID]", "the area at an address, and what its pages are", 1, 2, _vma),
    "vmas": Question("vmas [PID]", "all areas of a process", 0, 1, _vmas),
    "page": Question(
        "page PFN",
        "a page frame: flags, counts, whose it is, who maps it by each reverse map",
        1,
        1,
        lambda ask, pfn: ask.page(number(pfn)),
    ),
    "mapping": Question(
        "mapping FILE",
        "a file's pages, and the areas that show it: a path, or an inode number",
        1,
        1,
        lambda ask, file: ask.mapping(_number_or_path(file)),
    ),
    "lru": Question("lru", "the lists of pages by age", 0, 0, lambda ask: ask.lru()),
    "swap": Question("swap", "the swap areas and their slots", 0, 0, lambda ask: ask.swap()),
    "slab": Question("slab", "the kernel's own objects", 0, 0, lambda ask: ask.slab()),
    "tlb": Question(
        "tlb [PID]",
        "what the kernel's accesses left in a TLB",
        0,
        1,
        lambda ask, *pid: ask.tlb(*map(number, pid)),
    ),
}
DIFF = Question(
    "diff", "what is different since the last diff", 0, 0, lambda ask: ask.moment()
)  # from the second time on, the Asker compares


def help_text() -> str:
    """Return one line a question."""
    forms = [*QUESTIONS.values(), DIFF]
    return "\n".join(f"{form.usage:18} {form.help}" for form in forms)


class Asker:
    """Who asks a machine in words; remembers the moment of its last `diff`.

    task: whose process is meant where a question names none; None: as of Inspector.
    """

    def __init__(self, inspector: Inspector, task: Task | None = None) -> None:
        self._inspector = inspector
        self._task = task
        self._last: Moment | None = None

    def about(self, task: Task | None) -> None:
        """Let questions that name no process mean this one's from now on."""
        self._task = task

    def ask(self, words: Sequence[str]) -> Answer:
        """Return what the words ask for. Errors: BadQuestion; NotThere."""
        check(words)
        name, *args = words
        if name == "diff":
            return self._diff()
        form = QUESTIONS[name]
        if self._task is not None and form.usage.endswith("[PID]") and len(args) < form.takes:
            args.append(str(self._task.pid))
        return form.ask(self._inspector, *args)

    def _diff(self) -> Answer:
        before, self._last = self._last, self._inspector.moment()
        return self._last if before is None else self._last.diff(before)


def read(text: str) -> list[str]:
    """Return the words of a question. Errors: BadQuestion."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise BadQuestion(f"'{text}': {error}") from None
    check(words)
    return words


def check(words: Sequence[str]) -> None:
    """Refuse what is no question, before a program is run for it. Errors: BadQuestion."""
    if not words or words[0] not in (*QUESTIONS, "diff"):
        name = words[0] if words else ""
        hint = did_you_mean(name, QUESTIONS, f"; there are {', '.join((*QUESTIONS, 'diff'))}")
        raise BadQuestion(f"there is no question '{name}'{hint}")
    form = QUESTIONS.get(words[0], DIFF)
    if not form.needs <= len(words) - 1 <= form.takes:
        raise BadQuestion(f"it is: {form.usage}")
    for word in words[1:]:
        if words[0] == "mapping":
            _number_or_path(word)
        else:
            number(word)


class Condition:
    """What tells whether an event is meant: an expression in Python over its fields, pid and comm.

    Of a field that an event lacks it is not meant. Errors: BadQuestion.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        try:
            self._code = compile(text, "<condition>", "eval")
        except SyntaxError as error:
            raise BadQuestion(f"'{text}' is no expression of Python: {error.msg}") from None

    def check(self, points: Iterable[Point]) -> None:
        """Refuse a name that none of some points has as a field. Errors: BadQuestion."""
        known = {*OF_ALL, *(field.name for point in points for field in point.fields)}
        for name in _names(self._text):
            if name not in known:
                there = f"; there are {', '.join(sorted(known))}"
                hint = did_you_mean(name, known, there)
                raise BadQuestion(f"'{self._text}': no such event has a field '{name}'{hint}")

    def __call__(self, event: Event) -> object:
        names = {"pid": event.pid, "comm": event.comm, **event.fields}
        try:
            return eval(self._code, {"__builtins__": {}}, names)
        except NameError:
            return False
        except Exception as error:
            raise BadQuestion(f"'{self._text}', at {event.name}: {error}") from error


OF_ALL = ("pid", "comm")


def _names(text: str) -> list[str]:
    """Return the names that an expression takes from outside, in its order."""
    names = [node for node in ast.walk(ast.parse(text, mode="eval")) if isinstance(node, ast.Name)]
    own = {node.id for node in names if not isinstance(node.ctx, ast.Load)}
    return [node.id for node in names if node.id not in own]


def as_text(answer: Answer, form: str) -> str:
    """Return an answer as "text" or "json"."""
    return json.dumps(answer.as_json(), indent=2) if form == "json" else repr(answer)
