"""Named tuples and enumerations that cost a start little.

typing.NamedTuple compiles each field's annotation when a class is made, only to see that it is a
type; type checkers do that better. Here the annotations are names and nothing else. And
collections.namedtuple compiles a constructor for each class; here it stands below for each number
of fields, and a class has it with names of its own. What module enum makes of a class with four
members takes as long as importing a module; here a member has a name and a value, and no more.
"""

from __future__ import annotations

from pkern.kernel.lean import cache
from pkern.kernel.typed import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from enum import Enum as Enum
    from typing import NamedTuple as NamedTuple
else:
    from _collections import _tuplegetter  # what collections' own named tuples have, in C

    new = tuple.__new__

    # Constructors by the number of fields: what is compiled with this module costs a start next to
    # nothing, and as the text of a program each takes as long as importing a module.
    def _of_15(_cls, a, b, c, d, e, f, g, h, i, j, k, m, n, o, p):
        return new(_cls, (a, b, c, d, e, f, g, h, i, j, k, m, n, o, p))

    def _of_17(_cls, a, b, c, d, e, f, g, h, i, j, k, m, n, o, p, q, r):
        return new(_cls, (a, b, c, d, e, f, g, h, i, j, k, m, n, o, p, q, r))

    _CONSTRUCTORS = {
        2: lambda _cls, a, b: new(_cls, (a, b)),
        3: lambda _cls, a, b, c: new(_cls, (a, b, c)),
        4: lambda _cls, a, b, c, d: new(_cls, (a, b, c, d)),
        5: lambda _cls, a, b, c, d, e: new(_cls, (a, b, c, d, e)),
        6: lambda _cls, a, b, c, d, e, f: new(_cls, (a, b, c, d, e, f)),
        7: lambda _cls, a, b, c, d, e, f, g: new(_cls, (a, b, c, d, e, f, g)),
        8: lambda _cls, a, b, c, d, e, f, g, h: new(_cls, (a, b, c, d, e, f, g, h)),
        9: lambda _cls, a, b, c, d, e, f, g, h, i: new(_cls, (a, b, c, d, e, f, g, h, i)),
        15: _of_15,
        17: _of_17,
    }
    _Function = type(_of_15)

    @cache
    def _code(count):
        """Return the code of a constructor of so many fields."""
        made = _CONSTRUCTORS.get(count)
        if made is None:
            fields = ", ".join(f"field{nth}" for nth in range(count))
            made = eval(f"lambda _cls, {fields}: new(_cls, ({fields},))", globals())
        return made.__code__

    @cache
    def _place(nth):
        """Return the attribute that is a field, by its place."""
        return _tuplegetter(nth, f"field {nth}")

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

    class _Maker(type):
        """Makes a named tuple where a class is defined; its methods and properties stay."""

        def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> type:
            if not bases:
                return super().__new__(cls, name, bases, body)
            fields = tuple(body["__annotations__"])
            defaults = {field: body.pop(field) for field in fields if field in body}
            names = {"co_varnames": ("_cls", *fields), "co_qualname": f"{name}.__new__"}
            code = _code(len(fields)).replace(**names)
            made = {
                **_COMMON,
                "__new__": _Function(code, globals(), "__new__", tuple(defaults.values())),
                "__match_args__": fields,
                "_fields": fields,
                "_field_defaults": defaults,
                **{field: _place(nth) for nth, field in enumerate(fields)},
            }
            return type(name, (tuple,), {**made, **body})

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
