"""What annotations are made of, for modules that every start imports.

Module typing costs a start a twentieth, and what it makes only type checkers look at: they read its
names here, a running program has one form that stands for each. collections.abc brings collections,
which costs as much; what it offers is here from the module that Python has imported before. A
module that a start does not need imports typing and collections.abc itself.
"""

from __future__ import annotations

TYPE_CHECKING = False  # type checkers know by the name that it is true for them

if TYPE_CHECKING:
    from collections.abc import Callable as Callable
    from collections.abc import Container as Container
    from collections.abc import Hashable as Hashable
    from collections.abc import Iterable as Iterable
    from collections.abc import Iterator as Iterator
    from collections.abc import Mapping as Mapping
    from collections.abc import Sequence as Sequence
    from collections.abc import Sized as Sized
    from typing import Any as Any
    from typing import Generic as Generic
    from typing import NoReturn as NoReturn
    from typing import Protocol as Protocol
    from typing import TextIO as TextIO
    from typing import TypeAlias as TypeAlias
    from typing import TypeVar as TypeVar
    from typing import cast as cast
else:
    from _collections_abc import Callable as Callable
    from _collections_abc import Container as Container
    from _collections_abc import Hashable as Hashable
    from _collections_abc import Iterable as Iterable
    from _collections_abc import Iterator as Iterator
    from _collections_abc import Mapping as Mapping
    from _collections_abc import Sequence as Sequence
    from _collections_abc import Sized as Sized

    class Form:
        """May be inherited from, and be given what it is of."""

        __slots__ = ()

        def __class_getitem__(cls, of):
            return cls

    Any = Generic = NoReturn = Protocol = TextIO = TypeAlias = Form

    def TypeVar(name, *kinds, **settings):
        return Form

    def cast(kind, value):
        return value
