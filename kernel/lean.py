"""What modules that every start imports take of Python's library, without its dear modules.

Owns the forms that stand for functools', contextlib's and types' there: those modules bring
collections, operator and others, and cost a start a twentieth. Most names are the very ones that
the library gives, from the module in C beneath; the rest does what the library's does for who needs
no more than is said here. A module that a start does not need imports the library's own.
"""

from __future__ import annotations

from pkern.kernel.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections import OrderedDict as OrderedDict
    from collections import deque as deque
    from contextlib import contextmanager as contextmanager
    from contextlib import nullcontext as nullcontext
    from contextlib import suppress as suppress
    from functools import cache as cache
    from functools import cached_property as cached_property
    from functools import lru_cache as lru_cache
    from functools import partial as partial
    from heapq import heappop as heappop
    from heapq import heappush as heappush
    from operator import attrgetter as attrgetter
    from operator import itemgetter as itemgetter
    from types import MappingProxyType as MappingProxyType
    from types import SimpleNamespace as SimpleNamespace
else:
    import sys
    from _collections import OrderedDict as OrderedDict
    from _collections import deque as deque
    from _functools import _lru_cache_wrapper
    from _functools import partial as partial
    from _heapq import heappop as heappop
    from _heapq import heappush as heappush
    from _operator import attrgetter as attrgetter
    from _operator import itemgetter as itemgetter

    MappingProxyType = type(vars(type))
    SimpleNamespace = type(sys.implementation)

    def _told_as(made, function):
        for name in ("__module__", "__name__", "__qualname__", "__doc__"):
            setattr(made, name, getattr(function, name))
        return made

    def lru_cache(most):
        """Remember so many results, the latest used."""
        return lambda function: _told_as(
            _lru_cache_wrapper(function, most, False, lambda *told: told), function
        )

    cache = lru_cache(None)

    class cached_property:
        """An attribute whose value a function gives when it is first asked for."""

        def __init__(self, function):
            self.function = function
            self.__doc__ = function.__doc__

        def __set_name__(self, owner, name):
            self.name = name

        def __get__(self, one, owner=None):
            if one is None:
                return self
            value = vars(one)[self.name] = self.function(one)
            return value

    class nullcontext:
        """A context in which nothing is otherwise."""

        def __init__(self, given=None):
            self.given = given

        def __enter__(self):
            return self.given

        def __exit__(self, *why):
            pass

    class suppress:
        """A context that ends quietly at some errors."""

        def __init__(self, *errors):
            self.errors = errors

        def __enter__(self):
            pass

        def __exit__(self, kind, error, where):
            return kind is not None and issubclass(kind, self.errors)

    class _Steps:
        """A context made of a generator: to its yield, and from there; an error goes into it."""

        def __init__(self, steps):
            self.steps = steps

        def __enter__(self):
            return next(self.steps)

        def __exit__(self, kind, error, where):
            if error is None:
                for _ in self.steps:
                    raise RuntimeError("a context yields once")
                return False
            try:
                self.steps.throw(error)
            except StopIteration as ended:
                return ended is not error
            except BaseException as raised:
                if raised is error:
                    return False
                raise
            raise RuntimeError("a context yields once")

    def contextmanager(function):
        """Make contexts of a function that yields once."""
        return _told_as(lambda *given, **named: _Steps(function(*given, **named)), function)
