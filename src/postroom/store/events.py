"""Facts for whoever is watching: plain records that the floors hand to an observer they are given.

An observer is a callable taking one event. It is called on the event loop, between two batches or
two turns, so it must be quick, must not await and must not raise. Events carry whole batches where
there are many of a kind, so that watching costs little. Nothing depends on an event arriving: what
must survive a restart is in the store.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct


class BatchCommitted(Struct, gc=False, frozen=True):
    """A batch of ``operations`` became durable; statements and commit took ``seconds`` together."""

    operations: int
    seconds: float
    in_thread: bool


class CommitFailed(Struct, gc=False, frozen=True):
    """A batch was not committed, or nobody knows. ``error`` is the code of the error raised."""

    error: str


class TurnsEnded(Struct, gc=False, frozen=True):
    """Turns of one role that ended alike.

    ``outcome`` is ``ack``, ``retry``, ``release``, ``dead`` or ``lost``. Each sample is how long
    the message waited since it was ready, and how long its handler ran; both in seconds.
    """

    role: str
    outcome: str
    samples: Sequence[tuple[float, float]]


class ActorRestarted(Struct, gc=False, frozen=True):
    """A supervisor started an actor again. ``reason`` is a short fixed word, such as ``crash``."""

    role: str
    reason: str


class ActorParked(Struct, gc=False, frozen=True):
    """An actor restarted too often; it stays down and its mail waits."""

    role: str


class LeaseLost(Struct, gc=False, frozen=True):
    """A settlement came too late: the fence no longer held, and none of its effects were kept."""

    role: str


class Overflowed(Struct, gc=False, frozen=True):
    """A turn of ``role`` sent past the bound of a recipient and waits for it to drain."""

    role: str


Observer = Callable[[object], None]
"""Takes any event; one it does not know it ignores."""


def ignore(event: object) -> None:
    """The observer of a program that watches nothing."""
