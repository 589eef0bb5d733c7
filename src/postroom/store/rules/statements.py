"""How the rules speak to a database: in named statements, which each engine has in its own SQL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol


class Lease(NamedTuple):
    """What a claim writes into the rows that it takes."""

    rank: int
    session: int
    claimed_at: int
    key: str | None


class Raced(Exception):
    """Another transaction has changed what this one had read. Nothing of this one may stay."""


class Statements(Protocol):
    """One connection that knows every named statement. Rows are tuples.

    What an engine raises is its own; ``refusals`` are the errors by which it refuses a value of the wrong
    kind.
    """

    refusals: tuple[type[Exception], ...]
    keeps_ids_out: bool
    """Whether an id that is remembered without its row keeps its like from being inserted."""

    def row(self, name: str, *args: Any) -> Any:
        """The first row, or None."""
        ...

    def rows(self, name: str, *args: Any) -> list[Any]: ...

    def each(self, name: str, *args: Any) -> Iterator[Any]:
        """The rows one after another, for what may be very many."""
        ...

    def run(self, name: str, *args: Any) -> int:
        """Change something; the number of rows changed."""
        ...

    def run_many(self, name: str, arguments: Iterable[Sequence[Any]]) -> int:
        """The same change for each tuple of arguments; the number of rows changed in all."""
        ...

    def run_all(self, name: str, arguments: Sequence[Sequence[Any]]) -> bool:
        """The same; whether each of them has changed its row.

        An engine for which it takes long to find out may say yes, and have the transaction fail and all of
        it done anew if it was not so.
        """
        ...

    def run_last(self, name: str, arguments: Iterable[Sequence[Any]]) -> None:
        """The same where nothing else of the transaction depends on it: it may wait for the commit."""
        ...

    def ready(
        self, inbox: int, boot: int, limit: int, lease: Lease, *, strict: bool
    ) -> tuple[list[Any], bool]:
        """Mail that may be claimed, in its order, as ``claim_select`` answers it; and whether it is leased.

        An engine may lease it with the same question, if nothing of it was struck. Unless ``strict``, what
        has come to lie before the rest may be left for a moment where it would cost too much to find.
        """
        ...

    def due(self) -> tuple[int, int, int, int]:
        """When the first message is due, lease ends, message expires, session ends.

        Of leases, perhaps only of those that have ended by now.
        """
        ...

    def seqs(self, n: int) -> Sequence[int]:
        """New sequence numbers, each larger than the one before."""
        ...

    def unseen(self, ids: Sequence[bytes]) -> frozenset[bytes]:
        """Those messages' ids of which nothing is remembered, where all can be asked for at once."""
        ...

    def moment(self) -> object:
        """Differs from what it was before if another connection may have committed in between."""
        ...


def named(path: Path) -> dict[str, str]:
    """The statements of a file of ``-- name: NAME`` sections; a name used twice is an error."""
    found: dict[str, str] = {}
    for part in path.read_text().split("-- name: ")[1:]:
        name, _, body = part.partition("\n")
        if name in found:
            raise ValueError(f"the statement {name} is there twice")
        lines = [line for line in body.splitlines() if not line.startswith("-- ---")]
        found[name] = "\n".join(lines).strip().removesuffix(";")
    return found
