"""Where the chance of a random walk comes from."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Protocol, TypeVar

T = TypeVar("T")


class Chooser(Protocol):
    """Where chance comes from."""

    def of(self, options: Sequence[T]) -> T: ...

    def number(self, low: int, high: int) -> int: ...


class Dice:
    """Chance from a seed."""

    def __init__(self, seed: int | str) -> None:
        self._rng = Random(seed)

    def of(self, options: Sequence[T]) -> T:
        return options[int(self._rng.random() * len(options))]

    def number(self, low: int, high: int) -> int:
        return low + int(self._rng.random() * (high - low + 1))
