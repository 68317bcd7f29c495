"""What is imported when it is first needed, so that a start pays for what it uses and no more.

Owns how that is done: an import is whole or has not been begun, whatever signal of the host comes;
a key of a table has one module, which is declared before that module is there.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # as in userland/cli/startup.py
import sys

from pkern.kernel.typed import TYPE_CHECKING, Any, Callable, Iterator, Mapping, TypeAlias, TypeVar

if TYPE_CHECKING:
    from types import FrameType, ModuleType

    Handler: TypeAlias = Callable[[int, FrameType | None], object]

K = TypeVar("K")
V = TypeVar("V")

# Whose handlers raise: Ctrl-C, a limit by the host's clock. In the middle of an import such an
# exception would leave half a module, or be printed and lost in one of importlib's callbacks.
RAISING = (signal.SIGINT, signal.SIGALRM)
_WHOLE: dict[str, ModuleType] = {}  # what was imported here before


def load(module: str) -> ModuleType:
    """Import a module. Errors: as import; then, of a signal that came meanwhile, its handler's."""
    whole = _WHOLE.get(module)
    if whole is None:
        whole = _WHOLE[module] = _imported(module)
    return whole


def _imported(module: str) -> ModuleType:
    if module in sys.modules:
        return _import(module)
    came: list[int] = []
    handlers = _held_back(lambda signo, frame: came.append(signo))
    try:
        return _import(module)
    finally:
        for signo, handler in handlers.items():
            signal.signal(signo, handler)
        for signo in came:
            handlers[signo](signo, None)


def _import(module: str) -> ModuleType:
    __import__(module)  # module importlib would bring module warnings, which a start does not need
    return sys.modules[module]


def _held_back(note: Handler) -> dict[int, Handler]:
    """Let signals be noted, and return what handled them; only the main thread has handlers."""
    handlers = {signo: signal.getsignal(signo) for signo in RAISING}
    python = {int(signo): handler for signo, handler in handlers.items() if callable(handler)}
    try:
        for signo in python:
            signal.signal(signo, note)
    except ValueError:
        return {}
    return python


def function(module: str, name: str) -> Callable[..., Any]:
    """Return a function of a module that is imported when it is first called."""

    found: Callable[..., Any] | None = None

    def call(*arguments: Any) -> Any:
        nonlocal found
        if found is None:
            found = getattr(load(module), name)
        return found(*arguments)

    return call


class LateTable(Mapping[K, V]):
    """A table whose entries are made by modules, each imported when one of its entries is needed.

    Which keys there are is known without them; who goes through the values imports them all.
    modules: which one makes each entry, by key; who only seeks a key looks here, at less cost.
    """

    def __init__(self) -> None:
        self.modules: dict[K, str] = {}
        self._entries: dict[K, V] = {}

    def declare(self, modules: Mapping[K, str]) -> None:
        """Say which module makes each entry. Errors: ValueError for a key that is there."""
        twice = self.modules.keys() & modules.keys()
        if twice:
            raise ValueError(f"declared twice: {sorted(map(str, twice))}")
        self.modules |= modules

    def enter(self, key: K, value: V, module: str) -> None:
        """Make an entry. Errors: ValueError where another module, or none, was declared for it."""
        if self.modules.get(key) != module:
            raise ValueError(f"{key} belongs to {self.modules.get(key)}, not to {module}")
        self._entries[key] = value

    def __getitem__(self, key: K) -> V:
        try:
            return self._entries[key]
        except KeyError:
            load(self.modules[key])
        return self._entries[key]

    def __contains__(self, key: object) -> bool:
        return key in self.modules

    def __iter__(self) -> Iterator[K]:
        return iter(self.modules)

    def __len__(self) -> int:
        return len(self.modules)
