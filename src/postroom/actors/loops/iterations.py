"""Starting a loop and going on to its next iteration, each of which ends with evidence."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from ...mailbox.envelope import check_text
from ...mailbox.moments import moment
from ...store.errors import BadInput, Conflict, Refused
from . import budgets
from .errors import LoopPaused, MaxIterationsReached, MissingEvidence, StaleIteration
from .evidence import missing
from .records import Evidence, history
from .states import LoopState, moved

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .change import Change

MOST_ITERATIONS = 10_000
MOST_KINDS = 20
LONGEST_NUDGING = 366 * 86_400.0
KIND_LENGTH = 64


class Terms(Struct, frozen=True, kw_only=True):
    """What a loop is started with. ``limits`` are budgets by name; ``nudge_seconds`` ends the nudging."""

    limits: dict[str, int]
    required: tuple[str, ...] = ()
    require_acks: bool = False
    nudge_seconds: float | None = None


def checked_terms(
    limits: Mapping[str, int],
    required: Sequence[str] = (),
    *,
    require_acks: bool = False,
    nudge_seconds: float | None = None,
) -> Terms:
    """The terms of a loop. Raises ``BadInput`` for what makes no sense."""
    found = budgets.check_limits(limits)
    iterations = found.get("iterations", MOST_ITERATIONS)
    if iterations > MOST_ITERATIONS:
        raise BadInput(f"{iterations} iterations", f"1 to {MOST_ITERATIONS} are taken", "choose fewer")
    if len(required) > MOST_KINDS:
        raise BadInput(
            f"{len(required)} kinds of evidence", f"at most {MOST_KINDS} are taken", "ask for fewer"
        )
    kinds = tuple(dict.fromkeys(check_text("kind of evidence", kind, KIND_LENGTH) for kind in required))
    if nudge_seconds is not None and not (isfinite(nudge_seconds) and 0 < nudge_seconds <= LONGEST_NUDGING):
        raise BadInput(
            f"nudges are allowed for {nudge_seconds} s", "it lies above 0, up to a year", "choose another"
        )
    return Terms(limits=found, required=kinds, require_acks=require_acks, nudge_seconds=nudge_seconds)


def start(change: Change, terms: Terms) -> bool:
    """Begin iteration 1; whether the loop had been started so before.

    Raises ``Conflict`` if it was started with other terms, ``Refused`` if it is over.
    """
    loop = change.loop
    if loop.state is LoopState.FINISHED:
        raise Refused(f"task {change.binding.task} is finished", "its loop is over", "pair it again")
    if loop.state is not LoopState.IDLE:
        present = Terms(
            limits=loop.limits,
            required=loop.required,
            require_acks=loop.require_acks,
            nudge_seconds=loop.nudge_seconds,
        )
        if present == terms:
            return True
        raise Conflict(
            f"the loop of task {change.binding.task} was started",
            "with other terms",
            f"see: postroom loop status {change.binding.task}",
        )
    change.update(
        state=moved(loop.state, "start"),
        started=moment(change.store.clock),
        iteration=1,
        limits=terms.limits,
        required=terms.required,
        require_acks=terms.require_acks,
        nudge_seconds=terms.nudge_seconds,
        base=budgets.counted(change.store, change.binding),
        revision=loop.revision + 1,
    )
    change.note("started", change.binding.manager, limits=terms.limits, required=list(terms.required))
    return False


def add_evidence(change: Change, iteration: int, evidence: Sequence[Evidence]) -> None:
    """Keep evidence for the present iteration. Raises ``StaleIteration`` for another one, ``Refused``."""
    if change.loop.state is LoopState.IDLE:
        raise _not_started(change)
    if iteration != change.loop.iteration:
        raise _stale(change, iteration)
    change.update(evidence=(*change.loop.evidence, *evidence))
    change.note("evidence", change.binding.manager, evidence=_plain(evidence))


def go_on(change: Change, iteration: int, evidence: Sequence[Evidence]) -> dict[str, Any]:
    """End ``iteration`` and tell the worker to begin the next; answers its number and the message's id.

    Repeated with the same evidence it changes nothing and answers the same, with ``already``. Raises
    ``StaleIteration``, ``MissingEvidence``, ``MaxIterationsReached`` (and pauses), ``LoopPaused``,
    ``Forbidden``, and what refuses the message.
    """
    loop = change.loop
    if loop.state is LoopState.IDLE:
        raise _not_started(change)
    if iteration == loop.iteration - 1 and (before := _answer_before(change, iteration, evidence)):
        return {**before, "already": True}
    if iteration != loop.iteration:
        raise _stale(change, iteration)
    change.permitted("loop.continue")
    given = (*loop.evidence, *evidence)
    if lacking := missing(loop.required, given) or ([] if given else ["any"]):
        raise MissingEvidence(
            f"missing_{lacking[0]}_evidence",
            f"iteration {iteration} ends with evidence: {', '.join(lacking)}",
            'give --evidence \'{"checked": ..., "how": ..., "result": "pass"}\'',
        )
    if _no_more(change):
        return {}
    if loop.state is LoopState.PAUSED:
        raise LoopPaused(
            f"the loop of task {change.binding.task} is paused",
            f"its {loop.paused_by} are spent",
            f"run: postroom loop resume {change.binding.task} --add {loop.paused_by}=N",
        )
    if budgets.refused(change):
        return {}
    return _begin_next(change, evidence, given)


def _no_more(change: Change) -> bool:
    """Whether that was the last iteration; the loop is then paused, once, and the change refused."""
    loop = change.loop
    limit = loop.limits.get("iterations")
    if limit is None or loop.iteration < limit:
        return False
    if loop.state is LoopState.RUNNING:
        budgets.pause(change, "iterations")
    change.refusal = MaxIterationsReached(
        "max_iterations_reached",
        f"task {change.binding.task} may have {limit} iterations",
        f"finish it, or run: postroom loop resume {change.binding.task} --add iterations=N",
    )
    return True


def _begin_next(change: Change, evidence: Sequence[Evidence], given: Sequence[Evidence]) -> dict[str, Any]:
    following = change.loop.iteration + 1
    state = moved(change.loop.state, "continue")
    change.note("continued", change.binding.manager, evidence=_plain(evidence), all=_plain(given))
    id = change.send(
        change.binding.worker,
        "continue_iteration",
        {
            "iteration": following,
            "max_iterations": change.loop.limits.get("iterations"),
            "evidence": _plain(given),
            "required_evidence": list(change.loop.required),
        },
        sender=change.binding.manager,
    )
    change.update(state=state, iteration=following, evidence=())
    return {"iteration": following, "message": id, "already": False}


def _answer_before(change: Change, iteration: int, evidence: Sequence[Evidence]) -> dict[str, Any] | None:
    """What this call was answered before, if it is the one that ended the iteration before this."""
    for event in reversed(history(change.store, change.binding.task)):
        if event.event == "continued":
            same = event.iteration == iteration and event.data["evidence"] == _plain(evidence)
            return {"iteration": iteration + 1} if same else None
    return None


def _plain(evidence: Sequence[Evidence]) -> list[Any]:
    plain: list[Any] = msgspec.to_builtins(list(evidence))
    return plain


def _not_started(change: Change) -> Refused:
    task = change.binding.task
    return Refused(
        f"task {task} has no loop",
        "nobody started one",
        f"run: postroom loop start {task} --max-iterations N",
    )


def _stale(change: Change, iteration: int) -> StaleIteration:
    return StaleIteration(
        "stale_requested_iteration",
        f"the loop is in iteration {change.loop.iteration}, not {iteration}",
        f"look again with: postroom loop status {change.binding.task}",
    )
