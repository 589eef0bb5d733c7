"""Message ids: UUIDs made by the sender, sixteen bytes inside and canonical text outside."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from ..store.errors import BadInput
from ..store.identity import derived_id, id_text, version_7_time

if TYPE_CHECKING:
    from ..store.clock import Clock

TAIL_BITS = 74
"""What a UUIDv7 leaves free: 12 bits after the version and 62 after the variant."""

_LOW = (1 << 62) - 1
_HEX = frozenset("0123456789abcdefABCDEF")

__all__ = ["IdMaker", "derive", "id_text", "made_at", "parse_id"]


class IdMaker:
    """Makes UUIDv7s, each greater than the one before, whatever the wall clock does meanwhile.

    Two makers must not share a seed outside of tests: their ids would be the same.
    """

    __slots__ = ("_clock", "_millis", "_rng", "_tail")

    def __init__(self, clock: Clock, rng: Random) -> None:
        self._clock = clock
        self._rng = rng
        self._millis = -1
        self._tail = 0

    def new(self) -> bytes:
        """The next id. Within a millisecond, or while the clock stands or goes back, it counts on."""
        millis = self._clock.now()[0] // 1000
        if millis > self._millis:
            self._start(millis)
        else:
            self._tail += 1 + self._rng.getrandbits(32)
            if self._tail >> TAIL_BITS:
                self._start(self._millis + 1)
        tail = self._tail
        whole = self._millis << 80 | 7 << 76 | tail >> 62 << 64 | 2 << 62 | tail & _LOW
        return whole.to_bytes(16, "big")

    def _start(self, millis: int) -> None:
        self._millis = millis
        self._tail = self._rng.getrandbits(TAIL_BITS - 1)  # the top bit is room to count on


def derive(parent: bytes, fence: int, n: int) -> bytes:
    """The id of output ``n`` of the turn that held ``parent`` under ``fence``: the same each time."""
    return derived_id(parent, b"%d/%d" % (fence, n))


def made_at(id: bytes) -> int | None:
    """When a UUIDv7 was made, in microseconds of wall time; None for any other UUID."""
    return version_7_time(id)


def parse_id(text: str) -> bytes:
    """The sixteen bytes of a UUID written with or without hyphens. Raises ``BadInput``."""
    hyphens = len(text) == 36 and text[8] == text[13] == text[18] == text[23] == "-"
    digits = text.replace("-", "") if hyphens else text
    if len(digits) == 32 and not set(digits) - _HEX:
        return bytes.fromhex(digits)
    raise BadInput(
        f"not a message id: {text[:60]!r}", "an id is a UUID", "copy it as send or poll printed it"
    )
