"""Heartbeats of the two sides of a task, each answered with what to do next."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from ...mailbox import heartbeats, pairs, threads
from ...mailbox.envelope import check_text
from ...store.errors import Conflict, Refused
from ...store.records import Operation, Put, Write
from ...store.transact import transact
from ..wakeups import autopilot
from . import budgets
from .change import Change, binding_of
from .sides import Side, next_commands, side_of
from .states import LoopState
from .together import together

if TYPE_CHECKING:
    from ...mailbox.heartbeats import Health, Heartbeat
    from ...mailbox.pairs import Binding
    from ...store.port import Store
    from .records import Loop


class Beat(Struct, frozen=True):
    """A heartbeat and what it found. ``was`` is the health that it had before."""

    binding: Binding
    side: Side
    loop: Loop
    heartbeat: Heartbeat
    was: Health
    budget: dict[str, budgets.Use]
    overrun: str | None = None


def beat_of(store: Store, task: str, role: str, thread_id: str | None = None) -> tuple[Beat, list[Operation]]:
    """The heartbeat to keep and what commits it; a budget found spent pauses the loop with it.

    For those who commit it themselves: the first operation is guarded, and only if it is not refused do
    the others follow. Raises ``BadInput``, ``Refused`` for a task that is not paired or over, ``Conflict``
    for another thread than the assigned one.
    """
    heartbeats.check_role(role)
    change = _open(store, task)
    _check_thread(store, pairs.address_of(change.binding, role), thread_id)
    budgets.enforce(change)
    beat, write = _beat(change, role, thread_id)
    change.write(write)
    return beat, change.operations()


def heartbeat(
    store: Store,
    task: str,
    role: str,
    thread_id: str | None = None,
    *,
    nap: Callable[[float], None] = time.sleep,
) -> Beat:
    """Keep a sign of life; durable on return. A budget found spent pauses the loop in the same commit.

    After a few in a row of both sides that found nothing to do, the task's autopilot is ended, too.

    Raises as ``beat_of`` does, and ``StoreBusy``. Not for a handle that a ``GroupCommit`` uses.
    """
    beat = together(store, lambda: beat_of(store, task, role, thread_id), nap=nap)
    _rest(store, beat.binding, nap)
    return beat


def _rest(store: Store, binding: Binding, nap: Callable[[float], None]) -> None:
    """End the autopilot of a task whose two sides have had nothing to do for a while."""
    write = autopilot.rested(store, binding)
    if write is not None:
        # Of two heartbeats at once one ends it; the answer to the other is refused and means the same.
        transact(store, [Put((write,))], nap=nap)


def _open(store: Store, task: str) -> Change:
    change = Change(store, binding_of(store, task))
    if change.loop.state is LoopState.FINISHED:
        raise Refused(f"task {task} is finished", "its loop is over", "stop: there is nothing more to do")
    return change


def _check_thread(store: Store, address: str, thread_id: str | None) -> None:
    if thread_id is None:
        return
    check_text("thread id", thread_id)
    assigned, _ = threads.find(store, address)
    if assigned is not None and assigned.thread_id != thread_id:
        raise Conflict(
            f"{address} has thread {assigned.thread_id}",
            f"{thread_id} is another",
            "stop this session, or rotate the thread",
        )


def _beat(change: Change, role: str, thread_id: str | None) -> tuple[Beat, Write]:
    store, binding, loop = change.store, change.binding, change.loop
    side = side_of(store, binding, role)
    before, _ = heartbeats.find(store, role, binding.task)
    made, write = heartbeats.beat(store, role, binding.task, thread_id=thread_id, busy=side.busy)
    beat = Beat(
        binding,
        side,
        loop,
        made,
        heartbeats.health(store.clock, before),
        budgets.usage(store, binding, loop),
        budgets.overrun(change),
    )
    return beat, write


def beat_view(beat: Beat, at: str = "") -> dict[str, Any]:
    """The JSON of a heartbeat; ``at`` are options that go with every command."""
    loop, side, task = beat.loop, beat.side, beat.binding.task
    commands = next_commands(task, side, at)
    if loop.state is LoopState.PAUSED and side.role == heartbeats.MANAGER:
        commands.insert(0, f"postroom loop resume{at} {task} --add {loop.paused_by}=N")
    return {
        "task": task,
        "role": side.role,
        "address": side.address,
        "health": str(heartbeats.Health.HEALTHY),
        "was": str(beat.was),
        "thread_id": beat.heartbeat.thread_id,
        "idle": beat.heartbeat.idle,
        "mail": side.mail,
        "shared_mail": side.shared,
        "leased": side.leased,
        "next": commands,
        "state": str(loop.state),
        "iteration": loop.iteration,
        "max_iterations": loop.limits.get("iterations"),
        "paused": loop.state is LoopState.PAUSED or side.paused,
        "paused_by": loop.paused_by,
        "budget": budget_view(beat.budget),
    }


def budget_view(budget: dict[str, budgets.Use]) -> dict[str, Any]:
    """The JSON of all budgets; what is not reported is null, and said to be so."""
    return {name: {"limit": use.limit, "used": use.used, "state": use.word} for name, use in budget.items()}
