"""The two sides of a copy, as the copying sees them: where it is from and where it goes to."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from ..clock import Instant
from ..records import Verification
from .mark import Mark

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

    def rows(self, what: int, after: int = 0) -> Generator[Row]:
        """All of them in order, but for so many at the beginning; to be closed."""
        ...


class Source(Side, Protocol):
    """A stopped store. It stays as it was."""

    def head(self) -> Head: ...

    def signs(self) -> tuple[int, ...]:
        """What ``tables.SIGNS`` are here."""
        ...

    def in_use(self) -> str:
        """Who is using it still, in words; empty if it is stopped."""
        ...


class Target(Side, Protocol):
    """A store that does not exist for anybody else until it is ``finish``ed.

    What was begun and written stays there for a later copy to go on with, until it is ``discard``ed.
    """

    schema: int
    """The version of its tables."""

    mark: Mark | None
    """Of the copy that was begun there; None if none was."""

    def is_whole(self) -> bool:
        """Whether all of it is there, compared and verified, and only has to be ``finish``ed."""
        ...

    def begin(self, mark: Mark, head: Head) -> None:
        """Make empty tables. Durable."""
        ...

    def write(self, what: int, rows: Iterable[Row]) -> None:
        """Add rows after those that are there. Durable."""
        ...

    def close_up(self) -> None:
        """All is written: from here to the end is one transaction."""
        ...

    def settle(self, head: Head) -> None:
        """What a reboot does: nobody holds anything any more."""
        ...

    def verify(self) -> Verification: ...

    def finish(self) -> None:
        """Let it be the store, durably."""
        ...

    def discard(self) -> None:
        """Throw away what is there of the copy; another may begin."""
        ...
