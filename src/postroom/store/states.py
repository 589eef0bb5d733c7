"""The life of a message, as one table of legal moves.

The SQL schema's CHECKs, the diagram in ARCHITECTURE.md and the tests are all derived from, or
compared with, ``MOVES``. No statement may change a state along an edge that is not listed here.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class State(IntEnum):
    """Where a message is. The first four are live, the rest final (``DEAD`` until requeued)."""

    READY = 0
    LEASED = 1
    DELAYED = 2
    HELD = 3
    DONE = 4
    DEAD = 5
    EXPIRED = 6
    BOUNCED = 7
    CANCELLED = 8

    @property
    def word(self) -> str:
        return self.name.lower()


LIVE = (State.READY, State.LEASED, State.DELAYED, State.HELD)
FINAL = (State.DONE, State.DEAD, State.EXPIRED, State.BOUNCED, State.CANCELLED)


class Move(NamedTuple):
    """One legal change of state. ``source`` is None where a message comes into being."""

    verb: str
    source: State | None
    target: State


MOVES: tuple[Move, ...] = (
    Move("send", None, State.READY),
    Move("send later", None, State.DELAYED),
    Move("send held", None, State.HELD),
    Move("hand over", None, State.LEASED),
    Move("bounce at once", None, State.BOUNCED),
    Move("claim", State.READY, State.LEASED),
    Move("hold", State.READY, State.HELD),
    Move("expire", State.READY, State.EXPIRED),
    Move("bounce", State.READY, State.BOUNCED),
    Move("cancel", State.READY, State.CANCELLED),
    Move("overflow", State.READY, State.DEAD),
    Move("damaged", State.READY, State.DEAD),
    Move("ack", State.LEASED, State.DONE),
    Move("retry", State.LEASED, State.DELAYED),
    Move("release", State.LEASED, State.READY),
    Move("take back", State.LEASED, State.READY),
    Move("back off", State.LEASED, State.DELAYED),
    Move("bury", State.LEASED, State.DEAD),
    Move("due", State.DELAYED, State.READY),
    Move("expire", State.DELAYED, State.EXPIRED),
    Move("bounce", State.DELAYED, State.BOUNCED),
    Move("cancel", State.DELAYED, State.CANCELLED),
    Move("resume", State.HELD, State.READY),
    Move("expire", State.HELD, State.EXPIRED),
    Move("bounce", State.HELD, State.BOUNCED),
    Move("cancel", State.HELD, State.CANCELLED),
    Move("requeue", State.DEAD, State.READY),
    Move("drop", State.DEAD, State.CANCELLED),
)

FENCE_BITS = 20
"""A fence is ``epoch << FENCE_BITS`` plus the claims of this message; it is compared for equality."""


def fence(epoch: int, claims: int) -> int:
    """The fence of a message claimed ``claims`` times in a store of this epoch. Below 2**53."""
    return (epoch << FENCE_BITS) + claims


def may_move(source: State | None, target: State) -> bool:
    """Whether any verb leads from ``source`` to ``target``."""
    return any(move.source is source and move.target is target for move in MOVES)
