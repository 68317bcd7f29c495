"""Makes a failing sequence short: delta debugging over its calls.

Called by run.py; knows nothing of kernels, only of a question with a yes or a no.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pkern.userland.conform.calls import PAGE, Call, Calls, Kind

Fails = Callable[[Calls], bool]


def shrink(calls: Sequence[Call], fails: Fails) -> Calls:
    """Return a shortest sequence that still fails: no call of it can be left out.

    calls: a sequence for which fails() is true.
    """
    current = tuple(calls)
    while True:
        simple = _simplify(_drop(current, fails), fails)
        if simple == current:
            return current
        current = simple


def _drop(calls: Calls, fails: Fails) -> Calls:
    """Leave out calls, many at once and then one by one."""
    current = calls
    chunk = max(1, len(current) // 2)
    while True:
        smaller = _without_chunk(current, chunk, fails)
        if smaller is not None:
            current = smaller
            chunk = min(chunk, max(1, len(current) // 2))
        elif chunk > 1:
            chunk //= 2
        else:
            return current


def _without_chunk(calls: Calls, chunk: int, fails: Fails) -> Calls | None:
    """Leave out the first chunk whose absence keeps the failure."""
    for start in range(0, len(calls), chunk):
        smaller = calls[:start] + calls[start + chunk :]
        if smaller and fails(smaller):
            return smaller
    return None


# Arguments that stay. Without its features whoever touches watched memory waits for a monitor, and
# there is none; a limit of time would end a process whenever a clock ticks.
_AS_THEY_ARE = {Kind.UFFD_API: range(6), Kind.PRLIMIT: range(1)}


def _simplify(calls: Calls, fails: Fails) -> Calls:
    """Make arguments smaller where the failure stays."""
    current = calls
    for place in range(len(current)):
        kept = _AS_THEY_ARE.get(current[place].kind, ())
        for index in range(len(current[place].args)):
            if index in kept:
                continue
            for value in _simpler(current[place].args[index]):
                changed = _with_argument(current, place, index, value)
                if fails(changed):
                    current = changed
                    break
    return current


def _simpler(value: int) -> tuple[int, ...]:
    candidates = (0, 1, PAGE, 2 * PAGE, value & -PAGE)
    return tuple(candidate for candidate in candidates if candidate < value)


def _with_argument(calls: Calls, place: int, index: int, value: int) -> Calls:
    call = calls[place]
    args = (*call.args[:index], value, *call.args[index + 1 :])
    return (*calls[:place], Call(call.kind, args, call.actor), *calls[place + 1 :])
