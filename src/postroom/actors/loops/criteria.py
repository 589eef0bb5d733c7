"""Criteria: what the work must fulfil, who says so, and how far the parties have got with each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from ...mailbox.envelope import check_text
from ...store.errors import BadInput, Conflict, Refused
from .records import Criterion
from .states import CRITERION_VERBS, CriterionState, LoopState, Source, criterion_moved

if TYPE_CHECKING:
    from .change import Change

MOST = 200
LENGTH = 2000


def add(change: Change, text: str, source: Source) -> tuple[Criterion, bool]:
    """Propose a criterion; and whether it was there before, whatever has become of it.

    Raises ``BadInput``, ``Conflict`` beyond 200, ``Refused`` once the loop is over.
    """
    check_text("criterion", text, LENGTH)
    _not_over(change)
    for present in change.loop.criteria:
        if present.text == text:
            return present, True
    if len(change.loop.criteria) >= MOST:
        raise Conflict(f"{MOST} criteria", "a task takes no more", "put some of them together")
    added = Criterion(f"c{len(change.loop.criteria) + 1}", text, source)
    change.update(criteria=(*change.loop.criteria, added), revision=change.loop.revision + 1)
    change.note("criterion added", source, criterion=added.id, text=text)
    return added, False


def move(change: Change, verb: str, id: str, source: Source, reason: str | None) -> tuple[Criterion, bool]:
    """Move one criterion; and whether it was there already.

    Raises ``BadInput`` for an unknown verb, ``Refused`` for an unknown criterion, ``IllegalMove``.
    """
    if verb not in CRITERION_VERBS:
        raise BadInput(f"cannot {verb[:60]} a criterion", f"there are {', '.join(CRITERION_VERBS)}", "choose")
    if reason is not None:
        check_text("reason", reason, LENGTH)
    _not_over(change)
    before = next((one for one in change.loop.criteria if one.id == id), None)
    if before is None:
        raise Refused(
            f"no criterion {id[:60]}",
            f"task {change.binding.task} has {len(change.loop.criteria)}",
            f"see: postroom loop status {change.binding.task}",
        )
    if before.state is CRITERION_VERBS[verb]:
        return before, True
    after = replace(before, state=criterion_moved(before.state, verb), reason=reason)
    # What is fulfilled is no new agreement; what is wanted is.
    agreed = change.loop.revision + (after.state is not CriterionState.SATISFIED)
    change.update(
        criteria=tuple(after if one.id == id else one for one in change.loop.criteria), revision=agreed
    )
    change.note(f"criterion {after.state}", source, criterion=id, was=before.state, reason=reason)
    return after, False


def _not_over(change: Change) -> None:
    if change.loop.state is LoopState.FINISHED:
        raise Refused(f"task {change.binding.task} is finished", "its loop is over", "pair it again")
