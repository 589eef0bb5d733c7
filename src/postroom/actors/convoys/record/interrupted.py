"""Which runs are interrupted: not over, and nobody plays them. A few reads, however many runs there are.

Every run that is not over has a mark in the index, which commits with what opens or ends it.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen
from msgspec import Struct, json

from ....store.port import Store
from ....store.records import Write
from ..events import NAMES, Event
from ..living import players
from ..names import OPEN, RUNS, manager_of
from ..rules.states import ConvoyStatus, is_over

CHANGING = frozenset(kind for kind, name in NAMES.items() if name.startswith("convoy."))
"""The events that may come with another status of the convoy."""


@frozen
class Interrupted:
    """A run with work left that nobody plays. ``status`` is where its manager has left it."""

    run: str
    status: ConvoyStatus


def interrupted(store: Store) -> list[Interrupted]:
    """The runs that could be resumed, oldest first."""
    marks = store.records(RUNS, OPEN)
    played = players(store) if marks else {}
    return [
        Interrupted(mark.key, ConvoyStatus(_decoder.decode(mark.value).status))
        for mark in marks
        if manager_of(mark.key) not in played
    ]


def marked(run: str, status: ConvoyStatus, events: Iterable[Event]) -> Write | None:
    """What these events, which have led to this status, do to the mark of a run; None for nothing."""
    changes = any(type(event) in CHANGING for event in events)
    return mark(run, status) if changes else None


def mark(run: str, status: ConvoyStatus = ConvoyStatus.INTERRUPTED) -> Write:
    """The mark of a run, which one that is over has not; the first is written when it is entered."""
    return Write(RUNS, OPEN, run, None if is_over(status) else json.encode(_Mark(status)))


class _Mark(Struct):
    status: str


_decoder = json.Decoder(_Mark)
