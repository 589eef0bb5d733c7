"""Standing between a store and whoever uses it: every operation of the port passes one function.

The wrapper is generated from the port itself, so an operation that is added to the port is wrapped
without a word here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import FunctionType
from typing import Any, cast

from ..store.port import Store

Around = Callable[[str, Callable[[], Any], tuple[Any, ...], dict[str, Any]], Any]
"""Given the name of a method, a call that does it, and its arguments; answers in the method's place."""

OPERATIONS = tuple(
    sorted(
        name for name, member in vars(Store).items() if isinstance(member, FunctionType) and name[0] != "_"
    )
)
"""Every method of the port."""

PROPERTIES = tuple(sorted(name for name, member in vars(Store).items() if isinstance(member, property)))


def _passing(name: str) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        call = partial(getattr(self._store, name), *args, **kwargs)
        return self._around(name, call, args, kwargs)

    method.__name__ = name
    return method


def _reading(name: str) -> property:
    def read(self: Any) -> Any:
        return getattr(self._store, name)

    return property(read)


def _between(self: Any, store: Store, around: Around) -> None:
    self._store = store
    self._around = around


_Between: Any = type(
    "Between",
    (),
    {
        "__doc__": "A store whose every operation passes through a function.",
        "__init__": _between,
        **{name: _passing(name) for name in OPERATIONS},
        **{name: _reading(name) for name in PROPERTIES},
    },
)


def between(store: Store, around: Around) -> Store:
    """A store that answers what ``around`` answers, for each operation of the port."""
    return cast("Store", _Between(store, around))
