"""What an unfinished copy says of itself, and whether it may be gone on with."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from ..clock import MICROS, Instant
from ..errors import Conflict

ANEW = "begin anew with: --anew"


class Mark(Struct, frozen=True, forbid_unknown_fields=True):
    """What a copy goes by from its first row to its last, however often it is cut off.

    ``source`` is the URL as it may be shown, ``state`` what was true of that store, ``schema`` the version
    of the target's tables. The epoch is the new store's; the instants say what time it was on either side.
    """

    source: str
    state: tuple[int, ...]
    schema: int
    epoch: int
    source_now: Instant
    target_now: Instant


def written(mark: Mark) -> str:
    """As it is kept at the target."""
    return msgspec.json.encode(mark).decode()


def read(text: str | bytes) -> Mark | None:
    """What was written; None if that is no mark."""
    try:
        return msgspec.json.decode(text, type=Mark)
    except msgspec.DecodeError:
        return None


def told_time(wall: int) -> str:
    """A moment for people, to the second."""
    return datetime.fromtimestamp(wall // MICROS, UTC).isoformat().replace("+00:00", "Z")


def check(mark: Mark, wanted: Mark, target: str) -> None:
    """See that what is there is the beginning of what is wanted. Raises ``Conflict``."""
    begun = f"it was begun at {told_time(mark.target_now.wall)}"
    if mark.state == wanted.state and mark.schema == wanted.schema:
        return
    if mark.source != wanted.source:
        raise Conflict(
            f"there is an unfinished copy of {mark.source} at {target}",
            begun,
            f"finish that, name another target, or {ANEW}",
        )
    if mark.state != wanted.state:
        raise Conflict(f"{mark.source} has changed since a copy of it to {target} was cut off", begun, ANEW)
    raise Conflict(f"the unfinished copy at {target} is of another version of postroom", begun, ANEW)
