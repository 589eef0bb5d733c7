"""Finishing a task: refused, with all that is missing, until nothing is; then its binding ends, once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from ...mailbox import pairs, threads, wakes
from ...mailbox.envelope import check_text
from ...mailbox.ids import id_text
from ...store.errors import BadInput
from ...store.records import Changed, Control, Operation, Switch, Tick
from . import acks, budgets
from .change import Change, binding_of
from .evidence import not_passed
from .sides import LIVE, shared_leases
from .states import OPEN_CRITERIA, LoopState, moved
from .together import together

if TYPE_CHECKING:
    from ...mailbox.pairs import Binding
    from ...store.port import Store
    from ...store.records import Answer, StoredMessage

LOOK = 1000
"""Live messages of each state that are looked through in one inbox."""

NAMED = 20
REASON_LENGTH = 2000


class Lack(Struct, frozen=True):
    """One thing that keeps a task from being finished: its kind, what it is about, and what to do."""

    kind: str
    about: str
    why: str
    do: str


class Finish(Struct, frozen=True):
    """How an attempt to finish ended. With anything ``missing`` nothing was changed, unless forced."""

    binding: Binding
    missing: tuple[Lack, ...] = ()
    finished: bool = False
    already: bool = False
    forced: bool = False
    ended_inboxes: tuple[str, ...] = ()


def lacks(change: Change) -> list[Lack]:
    """Everything that is missing before a task may be finished."""
    loop, task = change.loop, change.binding.task
    found: list[Lack] = []
    if "task.finish" not in loop.permissions:
        do = f"postroom loop permit {task} task.finish"
        found.append(Lack("permission", "task.finish", "it was taken away", do))
    if loop.state is LoopState.PAUSED:
        do = f"postroom loop resume {task} --add {loop.paused_by}=N"
        found.append(Lack("budget", loop.paused_by or "budget", "the loop is paused: it is spent", do))
    elif (spent := budgets.overrun(change)) is not None:
        found.append(Lack("budget", spent, "it is spent", f"postroom loop status {task}"))
    for one in loop.criteria:
        if one.state in OPEN_CRITERIA:
            do = f"postroom loop criterion satisfy {task} {one.id}"
            found.append(Lack("criterion", one.id, f"{one.state}, not satisfied: {one.text}", do))
    if loop.started is not None:
        do = f"postroom loop evidence {task} --iteration {loop.iteration} --evidence JSON"
        about = f"iteration {loop.iteration}"
        found += [Lack("evidence", about, why, do) for why in not_passed(loop.required, loop.evidence)]
    if loop.require_acks:
        do = f"postroom loop ack {task} accepted --role ROLE"
        found += [Lack("ack", task, why, do) for why in acks.lacking(change.store, change.binding, loop)]
    return found + [_unsettled(message) for message in live_mail(change.store, change.binding)]


def _unsettled(message: StoredMessage) -> Lack:
    """The lack of one live message."""
    id = id_text(message.id)
    do = f"postroom ack {id} --fence {message.fence}" if message.state == "leased" else f"postroom show {id}"
    kind = "lease" if message.state == "leased" else "mail"
    return Lack(kind, id, f"a {message.type} in {message.recipient} is {message.state}", do)


def live_mail(store: Store, binding: Binding) -> list[StoredMessage]:
    """The task's unsettled mail: all in the worker's inbox, and the manager's that belongs to it.

    A worker has one task only; of a manager's mail it is what carries the task as its correlation or
    comes from the worker. Mail of a shared inbox counts while one of the two holds it.
    """
    found = _live(store, binding.worker)
    found += [
        m
        for m in _live(store, binding.manager)
        if m.correlation_id == binding.task or m.sender == binding.worker
    ]
    found += shared_leases(store, binding.worker)
    found += [m for m in shared_leases(store, binding.manager) if m.correlation_id == binding.task]
    return found


def _live(store: Store, inbox: str) -> list[StoredMessage]:
    """Live messages of an inbox, at most 1000 of each state as it is stored."""
    return [m for state in LIVE for m in store.peek(inbox, LOOK, state=state) if m.state in LIVE]


def finish(
    store: Store,
    task: str,
    *,
    force: bool = False,
    reason: str | None = None,
    nap: Callable[[float], None] = time.sleep,
) -> Finish:
    """End a task if nothing is missing, or by ``force``, for which a ``reason`` is kept.

    The end of the binding, of a disposable one's inboxes and their threads, and of the loop are one
    transaction. Mail that comes to the worker between the looking and the commit is noticed there, and
    everything is looked at anew. Repeated, it answers ``already``. Raises ``BadInput``, ``StoreBusy``, and
    ``Refused`` for a task that was never paired. Not for a handle that a ``GroupCommit`` uses.
    """
    if force and reason is None:
        raise BadInput("--force without a reason", "it is kept in the history", "give --reason R")
    if reason is not None:
        check_text("reason", reason, REASON_LENGTH)
    looks = 0

    def decide() -> tuple[Finish, list[Operation]]:
        nonlocal looks
        done, operations = _decide(store, task, force, reason)
        looking = [] if force or not operations else _look_again(store, done)
        looks = len(looking)
        return done, [*looking, *operations]

    def still(answers: Sequence[Answer]) -> bool:
        return all(not answer.count for answer in answers[:looks] if isinstance(answer, Changed))

    return together(store, decide, still=still, nap=nap)


def _look_again(store: Store, done: Finish) -> list[Operation]:
    """Operations that find out in the transaction itself whether mail has come since all was looked at.

    A purge answers how many messages it has cancelled: if that is any, nothing of it is committed. What
    has expired is no mail, so that is swept before.
    """
    inboxes = {done.binding.worker, *done.ended_inboxes}
    known = [inbox for inbox in sorted(inboxes) if store.counts(inbox)]
    return [Tick(), *(Control(inbox, Switch.PURGE) for inbox in known)]


def _decide(store: Store, task: str, force: bool, reason: str | None) -> tuple[Finish, list[Operation]]:
    binding = binding_of(store, task, ended=True)
    if binding.state != pairs.ACTIVE:
        return Finish(binding, finished=True, already=True), []
    change = Change(store, binding)
    missing = tuple(lacks(change))
    if missing and not force:
        return Finish(binding, missing), []
    was = change.loop.state
    ended, put = pairs.unbind(store, task)
    assert put is not None, "an active binding can be ended"
    change.write(*put.writes)
    change.update(state=moved(was, "force" if missing else "finish"), paused_by=None)
    kept = [f"{one.kind} {one.about}: {one.why}" for one in missing[:NAMED]]
    change.note("finished", binding.manager, forced=bool(missing), reason=reason, missing=kept)
    inboxes = _to_end(store, binding)
    change.do(*(Control(inbox, Switch.END) for inbox in inboxes))
    for inbox in inboxes:
        _, version = threads.find(store, inbox)
        change.write(*([threads.THREADS.remove(inbox, version)] if version else []))
        off = wakes.called_off(store, inbox)
        change.write(*([] if off is None else [off]))
    if was is LoopState.PAUSED and binding.worker not in inboxes:
        change.pause_worker(Switch.RESUME)
    done = Finish(ended, missing, finished=True, forced=bool(missing), ended_inboxes=inboxes)
    return done, change.operations()


def _to_end(store: Store, binding: Binding) -> tuple[str, ...]:
    """The inboxes that end with a disposable binding; a manager's only with its last one."""
    if not binding.disposable:
        return ()
    others = any(
        other.manager == binding.manager and other.task != binding.task and other.state == pairs.ACTIVE
        for other in pairs.bindings(store)
    )
    wanted = (binding.worker,) if others else (binding.manager, binding.worker)
    return tuple(inbox for inbox in wanted if any(not counts.ended for counts in store.counts(inbox)))
