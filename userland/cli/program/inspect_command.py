"""How `pkern inspect` runs a program to a place and asks there."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from pkern.kernel.inspect.inspector import NotThere
from pkern.userland.cli.boot import boot
from pkern.userland.cli.options import UsageError
from pkern.userland.cli.program.elf_command import host_descriptors
from pkern.userland.cli.program.looked_at import run_looked_at
from pkern.userland.cli.program.run import check_files
from pkern.userland.inspect.session import Session
from pkern.userland.inspect.stops import EXIT, Stop, read_place
from pkern.userland.inspect.words import Asker, BadQuestion, Condition, read

if TYPE_CHECKING:
    from pkern.kernel.inspect.answers import Answer
    from pkern.kernel.machine import Kernel
    from pkern.kernel.tasks.task import Task


def run(options: argparse.Namespace) -> int:
    """Run, ask, tell. Errors: UsageError for what is no question, place or program."""
    check_files(options)
    try:
        questions = [read(text) for text in options.ask]
        place = read_place(options.until)
        condition = Condition(options.condition) if options.condition is not None else None
    except BadQuestion as error:
        raise UsageError(str(error)) from error
    if condition is not None and not place.event:
        raise UsageError(f"--if is of an event: --until event:GLOB, not {options.until}")
    answered = Answered(questions)
    with boot(options) as kernel:
        session = Session(kernel, sys.stdin, sys.stdout)
        visit = (lambda task: answered.ask(kernel, task)) if questions else session.begin
        stop = Stop(place, visit)
        stdin = None if questions else b""
        try:
            with stop.looking(kernel, condition), nullcontext() if questions else session.steps():
                run_looked_at(kernel, options, stop, lambda: host_descriptors(kernel, stdin))
        except BadQuestion as error:
            raise UsageError(str(error)) from error
    if not stop.met:
        return _never_there(options.until)
    return answered.tell("json" if options.json else "text") if questions else 0


def _never_there(place: str) -> int:
    """Say that a program did not come to a place, and return the status for that."""
    ended = "did not run to its end" if place == EXIT else f"ended before {place}"
    print(f"pkern: the program {ended}", file=sys.stderr)
    return 1


class Answered:
    """The questions, and what came of them."""

    def __init__(self, questions: list[list[str]]) -> None:
        self._questions = questions
        self._answers: list[Answer | NotThere] = []

    def ask(self, kernel: Kernel, task: Task) -> None:
        """Ask everything now; a question without a pid is about the task's process."""
        asker = Asker(kernel.inspect, task)
        for question in self._questions:
            try:
                self._answers.append(asker.ask(question))
            except NotThere as error:
                self._answers.append(error)

    def tell(self, form: str) -> int:
        """Print the answers as "text" or "json"; 1 where something was not there."""
        missing = [str(answer) for answer in self._answers if isinstance(answer, NotThere)]
        if form == "json":
            print(json.dumps(self._as_json(), indent=2))
        elif len(missing) < len(self._answers):
            print("\n\n".join(str(a) for a in self._answers if not isinstance(a, NotThere)))
        for text in missing:
            print(f"pkern: {text}", file=sys.stderr)
        return int(bool(missing))

    def _as_json(self) -> list[dict[str, Any]]:
        return [
            {
                "question": " ".join(question),
                "answer": None if isinstance(answer, NotThere) else answer.as_json(),
            }
            for question, answer in zip(self._questions, self._answers, strict=True)
        ]
