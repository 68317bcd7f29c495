"""What annotations are made of, for modules that every start imports.

Module typing costs a start a twentieth, and what it makes only type checkers look at: they read its
names here, a running program has one form that stands for each. A module that a start does not need
imports typing itself.
"""

from __future__ import annotations

TYPE_CHECKING = False  # type checkers know by the name that it is true for them

if TYPE_CHECKING:
    from typing import Any as Any
    from typing import Generic as Generic
    from typing import NoReturn as NoReturn
    from typing import Protocol as Protocol
    from typing import TextIO as TextIO
    from typing import TypeAlias as TypeAlias
    from typing import TypeVar as TypeVar
    from typing import cast as cast
else:

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
