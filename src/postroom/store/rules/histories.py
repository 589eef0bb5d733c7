"""What is written of a message's life has no sum; that it can be read at all is looked at here."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

from ..states import State

if TYPE_CHECKING:
    from .statements import Statements


class Illegible(Exception):
    """The store holds a value that postroom never writes there."""


def state_named(code: int) -> State:
    """The state that a stored number stands for. Raises ``Illegible``."""
    try:
        return State(code)
    except ValueError:
        raise Illegible(f"{code} stands for no state") from None


def faults(db: Statements) -> Generator[str]:
    """One line for each message of whose life something is written that cannot be read."""
    known = {int(state) for state in State}
    spoilt: set[int] = set()
    for query in ("history_texts", "final_texts"):
        for row in db.each(query):
            message, state, *texts = row
            if state not in known or not all(map(_is_text, texts)):
                spoilt.add(message)
    for message in sorted(spoilt):
        yield f"the history of the message numbered {message} cannot be read"


def _is_text(raw: bytes | None) -> bool:
    if raw is not None:
        try:
            raw.decode()
        except UnicodeDecodeError:
            return False
    return True
