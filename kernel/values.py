"""Named tuples that cost a start little.

typing.NamedTuple compiles each field's annotation when a class is made, 0.1 ms a class, only to see
that it is a type; type checkers do that better. Here the annotations are names and nothing else.
"""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple
else:

    class _Maker(type):
        """Makes a named tuple where a class is defined; its methods and properties stay."""

        def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> type:
            if not bases:
                return super().__new__(cls, name, bases, body)
            fields = tuple(body["__annotations__"])
            defaults = [body.pop(field) for field in fields if field in body]
            made = namedtuple(name, fields, defaults=defaults, module=body["__module__"])
            for key, value in body.items():
                setattr(made, key, value)
            return made

    class NamedTuple(metaclass=_Maker):
        """What typing.NamedTuple is: a tuple whose fields are the annotations of the class."""
