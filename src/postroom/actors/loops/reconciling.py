"""Reconciling what is recorded with what is true: dead holders, dangling bindings, stuck and expired loops.

Finding only reads. Putting right is one transaction for each finding, which looks again first: what is no
longer so is left alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from ...mailbox import heartbeats, pairs
from ...mailbox.ids import id_text
from ...mailbox.moments import age_us
from ...store.clock import MICROS
from ...store.errors import PostroomError
from ...store.records import Operation, Settle, Tick, Unrouted, Verdict
from ...store.transact import transact
from . import budgets
from .change import SENDER, Change, binding_of, changed
from .sides import LIVE, side_of
from .standing import NO_PROGRESS_SECONDS, deadlock, no_progress, unfinished
from .states import LoopState, moved
from .together import together

if TYPE_CHECKING:
    from ...mailbox.pairs import Binding
    from ...store.port import Store
    from ...store.records import StoredMessage

Nap = Callable[[float], None]
STUCK = "task_stuck"
HOLDER_DEAD = "its holder is dead"
LOOK = 1000


class Finding(Struct, frozen=True):
    """One thing that is not as recorded. ``about`` names it, ``action`` is what putting it right does.

    ``applied`` says whether that was done; ``error`` why it was not.
    """

    kind: str
    task: str | None
    about: str
    why: str
    action: str
    applied: bool = False
    error: str | None = None


def find(
    store: Store,
    stuck_seconds: float = NO_PROGRESS_SECONDS,
    *,
    is_gone: Callable[[str], bool],
) -> list[Finding]:
    """Everything that is not as recorded. ``is_gone`` tells whether a process has ended.

    Raises ``BadInput`` for an absurd duration. Changes nothing.
    """
    heartbeats.check_seconds("stuck", stuck_seconds)
    found = list(_dead_sessions(store, is_gone))
    for binding in pairs.bindings(store):
        if binding.state == pairs.ACTIVE:
            found += _in_task(store, binding, stuck_seconds)
    return found


def _dead_sessions(store: Store, is_gone: Callable[[str], bool]) -> Iterator[Finding]:
    now = store.clock.now().boot
    for session in store.sessions():
        gone = is_gone(session.process)
        if gone or session.expires <= now:
            why = "its process has ended" if gone else "it was not renewed"
            yield Finding("dead_session", None, f"session {session.id} ({session.name})", why, "take_back")


def _in_task(store: Store, binding: Binding, stuck_seconds: float) -> Iterator[Finding]:
    task = binding.task
    change = Change(store, binding)
    if (lost := _dangling(store, binding)) is not None:
        yield Finding("dangling_binding", task, lost, "the inbox has ended, or never was", "end_binding")
        return
    for message, why in _dead_leases(store, binding):
        yield Finding("dead_holder", task, id_text(message.id), why, "retry")
    if (spent := budgets.overrun(change)) is not None:
        yield Finding(
            "expired_loop", task, spent, "the budget is spent and the loop runs on", "pause_and_ask"
        )
    if (still := stuck(store, change, stuck_seconds)) is not None:
        yield Finding("stuck_task", task, binding.worker, still, "tell_manager")


def _dangling(store: Store, binding: Binding) -> str | None:
    """The first inbox of a binding that takes no more mail."""
    for address in (binding.manager, binding.worker):
        counts = store.counts(address)
        if not counts or counts[0].ended:
            return address
    return None


def _dead_leases(store: Store, binding: Binding) -> Iterator[tuple[StoredMessage, str]]:
    """The leases of the worker if its heartbeat is dead. Who never sent one cannot be judged by it."""
    last, _ = heartbeats.find(store, heartbeats.WORKER, binding.task)
    if last is None or age_us(store.clock, last.at) < heartbeats.DEAD_SECONDS * MICROS:
        return
    age = age_us(store.clock, last.at) / MICROS
    for message in store.peek(binding.worker, LOOK, state="leased"):
        if message.state == "leased":
            yield message, f"{binding.worker} gave its last sign of life {age:.0f} s ago"


def stuck(store: Store, change: Change, seconds: float) -> str | None:
    """Why a task has not moved for so long, in words; None if it moves or has nothing to do."""
    binding, loop = change.binding, change.loop
    if (why := no_progress(store, binding, seconds)) is not None:
        return why
    if loop.state is LoopState.PAUSED:
        return None  # it was asked about
    if (why := _untaken(store, binding, seconds)) is not None:
        return why
    if not unfinished(loop) or age_us(store.clock, loop.changed) < seconds * MICROS:
        return None
    roles = (heartbeats.MANAGER, heartbeats.WORKER)
    sides = {role: side_of(store, binding, role) for role in roles}
    last = {role: heartbeats.find(store, role, binding.task)[0] for role in roles}
    if (why := deadlock(loop, sides, last)) is not None:
        return why
    if any(side.busy or side.waiting for side in sides.values()):
        return None
    age = age_us(store.clock, loop.changed) / MICROS
    return (
        f"iteration {loop.iteration} is unfinished, no mail is anywhere, and nothing happened for {age:.0f} s"
    )


def _untaken(store: Store, binding: Binding, seconds: float) -> str | None:
    """Which mail waits for so long while nobody is at work on that inbox. A backlog that moves is none."""
    for role in (heartbeats.MANAGER, heartbeats.WORKER):
        last, _ = heartbeats.find(store, role, binding.task)
        if heartbeats.health(store.clock, last) is heartbeats.Health.HEALTHY:
            continue
        for counts in store.counts(pairs.address_of(binding, role)):
            waits = (counts.oldest_ready_us or 0) / MICROS
            if counts.ready and waits >= seconds and not counts.paused and not counts.leased:
                return f"mail waits in {counts.inbox} for {waits:.0f} s and its {role} shows no sign of life"
    return None


def apply(store: Store, finding: Finding, stuck_seconds: float, *, nap: Nap = time.sleep) -> Finding:
    """Put one finding right, durably; the answer says whether it was done, or why not."""
    try:
        if finding.kind == "dead_session":
            transact(store, [Tick()], nap=nap)
            return replace(finding, applied=True)
        assert finding.task is not None, "all others are about a task"
        done = APPLIERS[finding.kind](store, finding, stuck_seconds, nap)
    except PostroomError as error:
        return replace(finding, error=str(error))
    return replace(finding, applied=done, error=None if done else "it is no longer so")


def _end_binding(store: Store, finding: Finding, stuck_seconds: float, nap: Nap) -> bool:
    """End a binding one of whose inboxes is gone."""

    def decide() -> tuple[bool, list[Operation]]:
        binding = binding_of(store, finding.task or "")
        if _dangling(store, binding) is None:
            return False, []
        change = Change(store, binding)
        _, put = pairs.unbind(store, binding.task)
        assert put is not None, "an active binding can be ended"
        change.write(*put.writes)
        if change.loop.state is not LoopState.FINISHED:
            change.update(state=moved(change.loop.state, "force"), paused_by=None)
        change.note("finished", SENDER, forced=True, reason=f"{finding.about}: {finding.why}")
        return True, change.operations()

    return together(store, decide, nap=nap)


def _retry(store: Store, finding: Finding, stuck_seconds: float, nap: Nap) -> bool:
    """Take one lease back, as a failed attempt: its message is ready at once, or dead after the last."""

    def decide() -> tuple[bool, list[Operation]]:
        for message, _ in _dead_leases(store, binding_of(store, finding.task or "")):
            if id_text(message.id) == finding.about:
                settle = Settle(message.id, message.fence, Verdict.RETRY, delay_us=0, reason=HOLDER_DEAD)
                return True, [settle]
        return False, []

    return together(store, decide, nap=nap)


def _pause_and_ask(store: Store, finding: Finding, stuck_seconds: float, nap: Nap) -> bool:
    return changed(store, finding.task or "", lambda change: budgets.enforce(change) is not None, nap=nap)


def _tell_manager(store: Store, finding: Finding, stuck_seconds: float, nap: Nap) -> bool:
    """Send the manager one message about a stuck task; none while the last one is unsettled."""

    def decide(change: Change) -> bool:
        why = stuck(store, change, stuck_seconds)
        if why is None:
            return False
        if _told(store, change.binding):
            return True  # the manager has the message, and has not settled it yet
        change.note("stuck", SENDER, why=why)
        change.send(change.binding.manager, STUCK, {"why": why}, priority="high", unrouted=Unrouted.HOLD)
        return True

    return changed(store, finding.task or "", decide, nap=nap)


def _told(store: Store, binding: Binding) -> bool:
    messages = (m for state in LIVE for m in store.peek(binding.manager, LOOK, state=state))
    return any(m.type == STUCK and m.correlation_id == binding.task for m in messages)


APPLIERS: dict[str, Callable[[Store, Finding, float, Nap], bool]] = {
    "dangling_binding": _end_binding,
    "dead_holder": _retry,
    "expired_loop": _pause_and_ask,
    "stuck_task": _tell_manager,
}
