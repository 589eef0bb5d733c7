"""Bodies for typed handlers: a value of the declared kind, or ``BadInput``; nothing else."""

from __future__ import annotations

from enum import Enum
from random import Random
from typing import Any, Literal

from attrs import field, frozen

from postroom.actors.wire import make_wire
from postroom.mailbox import codec

from . import material
from .judging import demand, taken


class Colour(Enum):
    """A choice of texts."""

    RED = "red"
    BLUE = "blue"


@frozen
class Part:
    """A record inside a record."""

    name: str
    size: int = 1


@frozen
class Order:
    """A bit of everything that a handler may declare."""

    id: int
    price: float = 1.0
    words: list[str] = field(factory=list[str])
    parts: tuple[Part, ...] = ()
    by_name: dict[str, Part] = field(factory=dict[str, Part])
    colour: Colour = Colour.RED
    kind: Literal["new", "old"] = "new"
    note: str | None = None
    free: Any = None
    inner: Part | None = None


KINDS: tuple[Any, ...] = (
    Order, Part, int, float, str, bool, list[int], list[Part], dict[str, int], dict[str, Part], tuple[int,
    str],
    tuple[Part, ...], Part | None, Literal["new", "old"], Colour, Any,
)  # fmt: skip
RIGHT = {
    "id": 7, "price": 2.5, "words": ["a", "b"], "parts": [{"name": "x", "size": 2}],
    "by_name": {"x": {"name": "x"}},
    "colour": "blue", "kind": "old", "note": "n", "free": {"a": [1]}, "inner": {"name": "y"},
}  # fmt: skip


class Typed:
    """Values of the right shape with one or two members replaced, and values of any shape."""

    def __init__(self) -> None:
        self._wire = make_wire()

    def attempt(self, rng: Random) -> None:
        body = taken(lambda: codec.encode(_value(rng)))
        if body is None:
            return
        kind = rng.choice(KINDS)
        found = taken(lambda: self._wire.decode(body, kind))
        if found is None or kind in (str, Any):
            return
        again = taken(
            lambda: self._wire.encode(found)
        )  # a fraction may become a whole number that is too large
        if again is None:
            return
        demand(self._wire.decode(again, kind) == found, "it does not come back as it went", kind, body, again)


def _value(rng: Random) -> Any:
    if rng.random() < 0.3:
        return material.value(rng)
    right: dict[str, Any] = dict(RIGHT)
    replacements: tuple[Any, ...] = (None, 0, 1.5, "x", [], {}, [[]], {"name": 1}, material.value(rng, 1))
    for _ in range(rng.choice((0, 1, 2))):
        right[rng.choice(list(RIGHT))] = rng.choice(replacements)
    return rng.choice(
        (right, right, right["parts"], right["by_name"], right["words"], right["colour"], right["id"])
    )
