"""Named tuples and enumerations that cost a start little.

typing.NamedTuple compiles each field's annotation when a class is made, only to see that it is a
type; type checkers do that better. Here the annotations are names and nothing else. And
collections.namedtuple compiles a constructor for each class; here one is compiled for each number
of fields, and a class has it with names of its own. What module enum makes of a class with four
members takes as long as importing a module; here a member has a name and a value, and no more.
"""

from __future__ import annotations

from collections import namedtuple
from functools import cache

from pkern.kernel.typed import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from enum import Enum as Enum
    from typing import NamedTuple as NamedTuple
else:
    from types import FunctionType

    def _make(cls, values):
        made = tuple.__new__(cls, values)
        if len(made) != len(cls._fields):
            raise TypeError(f"Expected {len(cls._fields)} arguments, got {len(made)}")
        return made

    def _replace(self, /, **changed):
        made = self._make(map(changed.pop, self._fields, self))
        if changed:
            raise ValueError(f"Got unexpected field names: {list(changed)!r}")
        return made

    def _asdict(self):
        return dict(zip(self._fields, self, strict=True))

    def _shown(self):
        told = ", ".join(f"{name}={value!r}" for name, value in self._asdict().items())
        return f"{type(self).__name__}({told})"

    def _plain(self):
        return tuple(self)

    # What all of them have. In each class: one more to inherit from would cost more.
    _COMMON = {
        "__slots__": (),
        "__repr__": _shown,
        "__getnewargs__": _plain,
        "_make": classmethod(_make),
        "_replace": _replace,
        "_asdict": _asdict,
    }

    @cache
    def _like(count: int) -> Any:
        """Return a class with so many fields, whose parts others may have."""
        return namedtuple("Fields", [f"field{nth}" for nth in range(count)])

    class _Maker(type):
        """Makes a named tuple where a class is defined; its methods and properties stay."""

        def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> type:
            if not bases:
                return super().__new__(cls, name, bases, body)
            fields = tuple(body["__annotations__"])
            defaults = {field: body.pop(field) for field in fields if field in body}
            like = _like(len(fields))
            names = {"co_varnames": ("_cls", *fields), "co_qualname": f"{name}.__new__"}
            code = like.__new__.__code__.replace(**names)
            space = like.__new__.__globals__
            made = {
                **_COMMON,
                "__new__": FunctionType(code, space, "__new__", tuple(defaults.values())),
                "__match_args__": fields,
                "_fields": fields,
                "_field_defaults": defaults,
            }
            places = zip(fields, map(vars(like).__getitem__, like._fields), strict=True)
            return type(name, (tuple,), {**made, **dict(places), **body})

    class NamedTuple(metaclass=_Maker):
        """What typing.NamedTuple is: a tuple whose fields are the annotations of the class."""

    class _Members(type):
        def __iter__(cls):
            return iter(cls._members)

    class Enum(metaclass=_Members):
        """What enum.Enum is, for words of which nobody asks more than which one it is."""

        __slots__ = ("name", "value")

        def __init_subclass__(cls):
            words = [(name, value) for name, value in vars(cls).items() if name[0] != "_"]
            cls._members = [cls._made(name, value) for name, value in words]

        @classmethod
        def _made(cls, name, value):
            member = object.__new__(cls)
            member.name, member.value = name, value
            setattr(cls, name, member)
            return member

        def __repr__(self):
            return f"{type(self).__name__}.{self.name}"

        def __reduce__(self):  # a copy, in this process or another, is the member itself
            return getattr, (type(self), self.name)
