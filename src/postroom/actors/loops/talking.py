"""What the two sides of a task say to each other beside the work: nudges, notices, decisions, handoffs.

Whatever is said is a message in the same transaction as the history's line about it. With a key, saying
it again changes nothing and is answered as the first time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...mailbox import heartbeats
from ...mailbox.codec import decode
from ...mailbox.envelope import check_text
from ...mailbox.ids import id_text
from ...mailbox.moments import age_us
from ...store.clock import MICROS
from ...store.errors import BadInput
from . import budgets
from .cycling import check_seen
from .errors import LoopPaused, NudgesExpired
from .states import DECISIONS, PERMISSIONS, LoopState

if TYPE_CHECKING:
    from .change import Change

LENGTH = 4000
LOOK = 100
"""How many unread messages a nudge is compared with."""


def nudge(change: Change, text: str, key: str | None) -> dict[str, Any]:
    """Remind the worker; answers the message's id and the nudges used.

    The same words are not sent again while the worker has not taken the first ones; that costs nothing
    and answers ``duplicate``. Raises ``BadInput``, ``Forbidden``, ``NudgesExpired``, ``LoopPaused``, and
    ``BudgetReached`` (and pauses) when the nudges are spent.
    """
    check_text("nudge", text, LENGTH)
    content = f"nudge {text}"
    if (before := change.once(key, content)) is not None:
        return {**before, "already": True}
    change.permitted("communication.nudge_worker")
    if (unread := _unread(change, text)) is not None:
        return {"id": unread, "state": "duplicate", **_nudges(change), "already": False}
    _may_nudge(change)
    if _nudges_spent(change) or budgets.refused(change):
        return {}
    change.update(spent={**change.loop.spent, "nudges": change.loop.spent.get("nudges", 0) + 1})
    change.note("nudged", change.binding.manager, text=text)
    id = change.send(
        change.binding.worker,
        "nudge",
        {"text": text, "iteration": change.loop.iteration},
        sender=change.binding.manager,
        priority="high",
    )
    answer = {"id": id, "state": "accepted", **_nudges(change)}
    change.remember(key, content, answer)
    return {**answer, "already": False}


def _unread(change: Change, text: str) -> str | None:
    """The id of the same nudge, if the worker has not taken it yet."""
    for message in change.store.peek(change.binding.worker, LOOK, state="ready"):
        ours = message.type == "nudge" and message.correlation_id == change.binding.task
        if ours and decode(message.body).get("text") == text:
            return id_text(message.id)
    return None


def _may_nudge(change: Change) -> None:
    loop, task = change.loop, change.binding.task
    if loop.state is LoopState.PAUSED and loop.paused_by != "nudges":
        raise LoopPaused(
            f"the loop of task {task} is paused",
            f"its {loop.paused_by} are spent",
            f"run: postroom loop resume {task} --add {loop.paused_by}=N",
        )
    if loop.nudge_seconds is None or loop.started is None:
        return
    if age_us(change.store.clock, loop.started) >= loop.nudge_seconds * MICROS:
        raise NudgesExpired(
            f"task {task} takes no more nudges",
            f"they were allowed for {loop.nudge_seconds:g} s",
            "decide otherwise: postroom loop decide",
        )


def _nudges_spent(change: Change) -> bool:
    """Whether no nudge is left; the loop is then paused, once, and the change refused."""
    limit = change.loop.limits.get("nudges")
    if limit is None or change.loop.spent.get("nudges", 0) < limit:
        return False
    if change.loop.state is LoopState.RUNNING:
        budgets.pause(change, "nudges")
    change.refusal = budgets.reached(change.binding.task, "nudges")
    return True


def _nudges(change: Change) -> dict[str, Any]:
    used, limit = change.loop.spent.get("nudges", 0), change.loop.limits.get("nudges")
    return {"nudges_used": used, "max_nudges": limit}


def notify(change: Change, text: str, key: str | None) -> dict[str, Any]:
    """Tell the manager something; answers the message's id. Raises ``BadInput``, ``Forbidden``."""
    check_text("notice", text, LENGTH)
    change.permitted("communication.notify_manager")
    body = {"text": text, "iteration": change.loop.iteration}
    return _say(change, "notify", change.binding.worker, change.binding.manager, body, key)


def hand_off(change: Change, role: str, summary: str, next: str, key: str | None) -> dict[str, Any]:
    """Leave a message to the next session of the same role. Raises ``BadInput``, ``Forbidden``."""
    heartbeats.check_role(role)
    check_text("summary", summary, LENGTH)
    check_text("next", next, LENGTH)
    change.permitted("context.handoff")
    binding = change.binding
    address = binding.manager if role == heartbeats.MANAGER else binding.worker
    body = {"role": role, "summary": summary, "next": next, "iteration": change.loop.iteration}
    return _say(change, "handoff", address, address, body, key)


def _say(
    change: Change, type: str, sender: str, to: str, body: dict[str, Any], key: str | None
) -> dict[str, Any]:
    content = f"{type} {sorted(body.items())}"
    if (before := change.once(key, content)) is not None:
        return {**before, "already": True}
    change.note(type, sender, **{name: value for name, value in body.items() if name != "iteration"})
    answer = {"id": change.send(to, type, body, sender=sender), "state": "accepted", "to": to}
    change.remember(key, content, answer)
    return {**answer, "already": False}


def decide(
    change: Change, decision: str, reason: str, key: str | None, seen: int | None = None
) -> dict[str, Any]:
    """Record what the manager has decided, having ``seen`` everything up to this event, if that is given.

    Raises ``BadInput``, ``Forbidden``, and ``Conflict`` if there have been others since. It is a fact of
    the history and does nothing: what follows from it is done by its own command.
    """
    if decision not in DECISIONS:
        raise BadInput(f"no decision {decision[:60]!r}", f"there are {', '.join(DECISIONS)}", "take one")
    check_text("reason", reason, LENGTH)
    content = f"decide {decision} {reason}"
    if (before := change.once(key, content)) is not None:
        return {**before, "already": True}
    check_seen(change, seen)
    change.permitted(DECISIONS[decision])
    change.note("decided", change.binding.manager, decision=decision, reason=reason)
    answer = {"decision": decision, "reason": reason, "number": change.loop.events}
    change.remember(key, content, answer)
    return {**answer, "already": False}


def permit(change: Change, permission: str, *, granted: bool) -> bool:
    """Grant a permission or take it away; whether that changed anything. Raises ``BadInput``."""
    if permission not in PERMISSIONS:
        raise BadInput(
            f"no permission {permission[:60]!r}", f"there are {', '.join(PERMISSIONS)}", "take one of them"
        )
    present = change.loop.permissions
    if (permission in present) is granted:
        return False
    wanted = {*present, permission} if granted else {*present} - {permission}
    change.update(permissions=tuple(name for name in PERMISSIONS if name in wanted))
    change.note("permitted" if granted else "forbidden", change.binding.manager, permission=permission)
    return True
