"""The two sides of a copy, as the copying sees them: where it is from and where it goes to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from ..clock import Instant
from ..records import Verification

Row = Sequence[Any]


class Head(NamedTuple):
    """What is true of a store as a whole. ``last_session`` is the highest session number ever given."""

    epoch: int
    registry: int
    created_at: int
    last_session: int


class Side(Protocol):
    """A store that nobody else uses meanwhile."""

    now: Instant

    def count(self, what: int) -> int:
        """How many rows there are of one of ``tables.NAMES``."""
        ...

    def rows(self, what: int) -> Iterator[Row]:
        """All of them, in order."""
        ...


class Source(Side, Protocol):
    """A stopped store. It stays as it was."""

    def head(self) -> Head: ...

    def in_use(self) -> str:
        """Who is using it still, in words; empty if it is stopped."""
        ...


class Target(Side, Protocol):
    """A store that does not exist for anybody else until it is ``finish``ed."""

    def begin(self, head: Head) -> None: ...

    def write(self, what: int, rows: Iterable[Row]) -> None: ...

    def settle(self) -> None:
        """What a reboot does: nobody holds anything any more."""
        ...

    def verify(self) -> Verification: ...

    def finish(self) -> None:
        """Let it be the store, durably."""
        ...
