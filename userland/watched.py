"""A Python program's calls, loads and stores, told to whoever looks at the machine's events."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pkern.kernel.errors import SyscallError
from pkern.kernel.wait import Replaced
from pkern.syscalls.numbers import NUMBERS

if TYPE_CHECKING:
    from pkern.kernel.tasks.machine import Watcher
    from pkern.kernel.tasks.task import Task

MASK = (1 << 64) - 1
NR_REGISTERS = 6


class WatchedCalls:
    """Wraps what a Python program calls, so that a watcher sees it."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher

    def python_call(self, name: str, handler: Callable[..., Any]) -> Callable[..., Any]:
        """Return a handler that tells of its call as machine code would make it."""
        from pkern.syscalls.strace.python_calls import Values, shape_of  # for those who look

        signature = inspect.signature(handler)

        @functools.wraps(handler)
        def told(task: Task, *args: Any, **named: Any) -> Any:
            self._watcher.runs(task)
            bound = signature.bind(task, *args, **named)
            bound.apply_defaults()
            shape = shape_of(name, Values(task.mm), bound.args[1:])
            if shape is None or shape.name not in NUMBERS:
                return handler(task, *args, **named)
            nr = NUMBERS[shape.name]
            self._watcher.enters(task, nr, shape.registers)
            result = self._made(task, nr, handler, args, named)
            if task.alive:
                self._watcher.leaves(task, nr, shape.store(result))
            return result

        return told

    def raw_call(self, dispatch: Callable[..., int]) -> Callable[..., int]:
        """Return a maker of raw calls (task, number, registers) that tells of them."""

        def told(task: Task, nr: int, registers: tuple[int, ...]) -> int:
            self._watcher.runs(task)
            padded = (*(value & MASK for value in registers), *(0,) * NR_REGISTERS)
            self._watcher.enters(task, nr, padded[:NR_REGISTERS])
            result = int(self._made(task, nr, dispatch, (nr, registers), {}))
            if task.alive:
                self._watcher.leaves(task, nr, result)
            return result

        return told

    def _made(
        self,
        task: Task,
        nr: int,
        call: Callable[..., Any],
        args: tuple[Any, ...],
        named: dict[str, Any],
    ) -> Any:
        try:
            return call(task, *args, **named)
        except SyscallError as error:
            self._watcher.leaves(task, nr, -error.number)
            raise
        except Replaced:
            self._watcher.leaves(task, nr, 0)
            raise

    def leaves(self, task: Task, status: int) -> None:
        """Tell that a program returns from its main, or exits: by exit_group."""
        self._watcher.runs(task)
        self._watcher.enters(task, NUMBERS["exit_group"], (status, 0, 0, 0, 0, 0))

    def access(self, task: Task, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a load or a store of a task's that says whose it is."""

        @functools.wraps(function)
        def told(*args: Any, **named: Any) -> Any:
            self._watcher.runs(task)
            return function(*args, **named)

        return told
