"""What a checker is, and what it finds."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from ...store.port import Store
from ..witness import Fact


class Breach(Struct, frozen=True):
    """A promise that was not kept.

    ``kind`` is one of ``KINDS``; ``what`` says it in one line, with the ids and times to find it by.
    """

    kind: str
    what: str


KINDS = (
    "lost",
    "duplicated",
    "unexpected",
    "effect",
    "double_lease",
    "fence",
    "order",
    "balance",
    "stuck",
)


class Checker(Protocol):
    """Judges one promise. It is given every fact in order, and at any time the store to compare with."""

    @property
    def breaches(self) -> list[Breach]: ...

    def see(self, fact: Fact) -> None:
        """Take in one fact; a breach that it shows by itself is found at once."""
        ...

    def finish(self, store: Store, *, drained: bool) -> None:
        """Compare what was told with what is stored.

        ``drained`` says that all faults have ended and all work had time to be done. May be called
        again and again while a run goes on.
        """
        ...
