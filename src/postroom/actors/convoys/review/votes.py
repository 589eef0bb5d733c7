"""What those who review say to each other, and what is kept of a review that is under way."""

from __future__ import annotations

from typing import Any

from attrs import define, field, frozen

from ..messages import Review, Reviewed
from ..plan import Reviewer
from ..rules.standing import Note, Result


@frozen
class Vote:
    """To a reviewer who runs here: look at this change. ``seat`` is its place among those who are asked."""

    run: str
    task: str
    attempt: int
    seat: int
    reviewer: Reviewer
    change: dict[str, Any]
    cwd: str
    log: str


@frozen
class Voted:
    """From a reviewer: its vote; without a note, it was cut short. ``tokens`` None: nobody counted."""

    task: str
    attempt: int
    seat: int
    note: Note | None
    tokens: int | None = None


@frozen
class VoteOverdue:
    """A timer: a reviewer who pulls has had its time."""

    task: str
    attempt: int
    seat: int


@define
class Case:
    """A review under way, or waiting for its turn.

    ``bench`` are those who may be asked, in this order, until ``places`` of them could vote. ``asked``
    and ``votes`` are by seat, a place on the bench; ``asked`` has wall microseconds. ``remarks`` are
    what was noted besides.
    """

    review: Review
    panel: bool
    places: int = 0
    bench: list[Reviewer] = field(factory=list[Reviewer])
    asked: dict[str, int] = field(factory=dict[str, int])
    votes: dict[str, Note] = field(factory=dict[str, Note])
    remarks: list[Note] = field(factory=list[Note])
    tokens: int = 0

    @property
    def missing(self) -> list[str]:
        """The seats that were asked and have not voted."""
        return [seat for seat in self.asked if seat not in self.votes]


@frozen
class Closed:
    """A review that is over: what was reviewed, and what the manager was told."""

    result: Result
    told: Reviewed


@define
class Docket:
    """The reviews of a run: tasks whose review is ``open``, and those that ``wait`` for their turn.

    ``tokens`` are what reviews have used, ``counted`` the votes that this is the sum of.
    """

    tokens: int = 0
    counted: int = 0
    open: list[str] = field(factory=list[str])
    waiting: list[str] = field(factory=list[str])


def correlation(task: str, attempt: int, seat: str) -> str:
    """What ties a reply to the vote that it is."""
    return f"review/{attempt}/{seat}/{task}"


def vote_of(correlation: str | None) -> tuple[str, int, str] | None:
    """The task, the attempt and the seat that a reply is about, if it is about a vote."""
    kind, attempt, seat, task = (*(correlation or "").split("/", 3), "", "", "", "")[:4]
    if kind != "review" or not (attempt.isdecimal() and seat.isdecimal() and task):
        return None
    return task, int(attempt), seat
