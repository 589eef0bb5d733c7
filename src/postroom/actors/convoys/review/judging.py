"""What comes of votes, and what a budget of tokens lets happen. No actor, no clock, no store."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import StrEnum

from ..plan import Hook, OnBudget, Reviewer, Reviewing
from ..rules.attempts import BLOCKED, PASSED, SKIPPED, UNRUN
from ..rules.standing import Note

BUDGET = "budget"
"""The name under which it is noted what a budget has done to a review."""

RAN = (PASSED, BLOCKED)


class Ruling(StrEnum):
    """What a review may do: as it was to, with one reviewer in place of a panel, or nothing."""

    GO = "go"
    ONE = "one"
    SKIP = "skip"
    STOP = "stop"


RULINGS = {
    (OnBudget.SKIP, True): Ruling.SKIP,
    (OnBudget.SKIP, False): Ruling.SKIP,
    (OnBudget.DOWNGRADE, True): Ruling.ONE,
    (OnBudget.DOWNGRADE, False): Ruling.SKIP,
    (OnBudget.STOP, True): Ruling.STOP,
    (OnBudget.STOP, False): Ruling.STOP,
}
"""What becomes of a panel (True) or a single review (False) once the tokens are used up."""

SAID = {
    Ruling.ONE: (SKIPPED, "one reviewer in place of a panel"),
    Ruling.SKIP: (SKIPPED, "not reviewed"),
    Ruling.STOP: (UNRUN, "not reviewed"),
}


def ruled(reviewing: Reviewing, used: float, *, panel: bool) -> tuple[Ruling, list[Note]]:
    """What a review may do of which ``used`` tokens are spent or about to be, and a note why not all."""
    if not reviewing.tokens or used < reviewing.tokens:
        return Ruling.GO, []
    ruling = RULINGS[reviewing.on_budget, panel]
    verdict, what = SAID[ruling]
    text = f"{what}: the budget of reviews is used up, {used:.0f} of {reviewing.tokens} tokens"
    return ruling, [Note(BUDGET, verdict, text)]


def bench_of(reviewing: Reviewing, hooks: Sequence[Hook], *, panel: bool) -> tuple[int, list[Reviewer]]:
    """How many have to vote, and who may be asked, in order: whoever cannot vote is stood in for.

    A hook with a command of its own is one more reviewer; one without takes the next that is declared,
    if there is one.
    """
    own = [Reviewer(hook.name, hook.command, timeout=hook.timeout) for hook in hooks if hook.command]
    declared = reviewing.reviewers
    first = reviewing.panel_size if panel else 1
    further = min(len(hooks) - len(own), max(0, len(declared) - first))
    return first + len(own) + further, [*own, *declared]


def still_wanted(places: int, votes: Collection[Note], *, asked: int, bench: int) -> int:
    """How many more have to be asked, so that ``places`` can vote."""
    unrun = sum(note.verdict not in RAN for note in votes)
    return max(0, min(places + unrun, bench) - asked)


def verdict_of(votes: Collection[Note], places: int, blocks: int) -> str:
    """The verdict of ``places`` reviewers, ``blocks`` of whom can block.

    Who could not vote has not passed anything: nothing is passed without a majority, nor when the
    missing votes could have blocked it.
    """
    blocked = sum(note.verdict == BLOCKED for note in votes)
    ran = sum(note.verdict in RAN for note in votes)
    if blocked >= blocks:
        return BLOCKED
    absent = max(0, places - ran)
    if 2 * ran <= places or blocked + absent >= blocks:
        return UNRUN
    return PASSED
