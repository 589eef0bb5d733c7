"""What a row is: a named figure with two marks, and the function that measures it."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from msgspec import Struct


class Params(Struct, frozen=True, kw_only=True):
    """How much to do. The last six are for short runs in tests; the command never changes them.

    ``seconds`` is the load of one row, its rounds of baseline and subject together.
    ``fill_seconds`` bounds how long a row may prepare a large store; it reports how far it came.
    ``postgres`` is the URL of the server for the rows that need one, without a schema; ``held_seconds``
    is how long a transaction stays open under the load of such a row.
    """

    directory: str
    senders: int = 200
    body_bytes: int = 220
    seconds: float = 9.0
    fill_seconds: float = 45.0
    postgres: str = ""
    held_seconds: float = 600.0
    rounds: int = 3
    actors: int = 10_000
    inboxes: int = 100_000
    waiting: int = 1_000_000
    queued: int = 10_000
    clients: int = 8


class Measured(Struct, frozen=True):
    """The figure of a row, and the plain numbers it was made from."""

    value: float
    detail: dict[str, float] = {}


class Better(StrEnum):
    """Which way a figure should go."""

    HIGHER = "higher"
    LOWER = "lower"


class Row(Struct, frozen=True):
    """One figure. ``reach`` is what it must meet, ``stretch`` what it should; None where none was set.
    One that is on a ``server`` needs ``Params.postgres``.

    ``shown`` are the details that are printed beside the value. ``limit`` is how many seconds it may
    take, where that does not follow from the seconds of a row.
    """

    name: str
    what: str
    unit: str
    reach: float | None
    stretch: float | None
    better: Better
    run: Callable[[Params], Measured]
    shown: tuple[str, ...] = ()
    limit: float | None = None
    server: bool = False


def meets(value: float, mark: float, better: Better) -> bool:
    """Whether a figure is at its mark or beyond."""
    return value >= mark if better is Better.HIGHER else value <= mark
