"""How a task stands: who is alive, what lies where, what is missing, and what to do about it.

Everything is read as of now and nothing is judged that cannot be seen from the records.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from ...mailbox import heartbeats, threads
from ...mailbox.heartbeats import Health
from ...mailbox.moments import age_us
from ...mailbox.pairs import ACTIVE
from ...store.clock import MICROS
from . import acks, budgets
from .beating import budget_view
from .change import Change, binding_of
from .sides import Side, poll_command, side_of
from .states import OPEN_CRITERIA, LoopState

if TYPE_CHECKING:
    from ...mailbox.heartbeats import Heartbeat
    from ...mailbox.pairs import Binding
    from ...store.port import Store
    from .records import Loop

NO_PROGRESS_SECONDS = 3600.0
LOOK = 1000
"""How many finished messages are looked through for one that was finished lately."""


class Standing(Struct, frozen=True):
    """One task as it stands. ``stuck`` says what is not moving, in words."""

    binding: Binding
    loop: Loop
    health: dict[str, Health]
    last: dict[str, Heartbeat | None]
    sides: dict[str, Side]
    budget: dict[str, budgets.Use]
    overrun: str | None
    deadlock: str | None
    no_progress: str | None


def standing(
    store: Store,
    task: str,
    stale_seconds: float = heartbeats.STALE_SECONDS,
    no_progress_seconds: float = NO_PROGRESS_SECONDS,
) -> Standing:
    """How a task stands. Raises ``Refused`` for one that was never paired, ``BadInput``."""
    heartbeats.check_seconds("no progress", no_progress_seconds)
    heartbeats.check_seconds("stale", stale_seconds)
    change = Change(store, binding_of(store, task, ended=True))
    binding, loop = change.binding, change.loop
    last = {role: heartbeats.find(store, role, task)[0] for role in (heartbeats.MANAGER, heartbeats.WORKER)}
    last[heartbeats.DISPATCHER] = heartbeats.find(store, heartbeats.DISPATCHER, heartbeats.MAIN)[0]
    sides = {role: side_of(store, binding, role) for role in (heartbeats.MANAGER, heartbeats.WORKER)}
    active = binding.state == ACTIVE
    return Standing(
        binding,
        loop,
        {role: heartbeats.health(store.clock, beat, stale_seconds) for role, beat in last.items()},
        last,
        sides,
        budgets.usage(store, binding, loop),
        budgets.overrun(change) if active else None,
        deadlock(loop, sides, last) if active else None,
        no_progress(store, binding, no_progress_seconds) if active else None,
    )


def unfinished(loop: Loop) -> bool:
    """Whether there is work that somebody should be doing."""
    return loop.state is LoopState.RUNNING or (
        loop.state is LoopState.IDLE and any(one.state in OPEN_CRITERIA for one in loop.criteria)
    )


def deadlock(loop: Loop, sides: dict[str, Side], last: dict[str, Heartbeat | None]) -> str | None:
    """Why nothing will ever happen by itself: both sides wait, and no mail is anywhere between them.

    Only if both have looked and found nothing since; who has never looked may just not have begun.
    """
    waiting = [beat is not None and beat.idle > 0 for role, beat in last.items() if role in sides]
    if not (unfinished(loop) and all(waiting)):
        return None
    if any(side.busy or side.waiting or side.paused for side in sides.values()):
        return None
    manager, worker = (sides[role].address for role in (heartbeats.MANAGER, heartbeats.WORKER))
    return (
        f"{manager} waits for {worker} and {worker} waits for {manager}:"
        f" no mail is in either inbox, and iteration {loop.iteration} is unfinished"
    )


def no_progress(store: Store, binding: Binding, seconds: float) -> str | None:
    """Which lease of the worker lasts for so long with nothing finished after it, in words.

    Finished counts what was sent after the message in hand. Mail older than that one, come back and
    finished meanwhile, is not seen.
    """
    now = store.clock.now().wall
    for message in store.peek(binding.worker, LOOK, state="leased"):
        if message.state != "leased":
            continue
        told = store.message(message.id)
        claims = [] if told is None else [event.at for event in told.history if event.event == "claim"]
        held = (now - max(claims, default=now)) / MICROS
        if held >= seconds and not _finished_since(
            store, binding.worker, message.seq, now - seconds * MICROS
        ):
            return f"{binding.worker} holds a {message.type} for {held:.0f} s and has finished nothing since"
    return None


def _finished_since(store: Store, inbox: str, seq: int, wall: float) -> bool:
    found = store.peek(inbox, LOOK, state="done", after=seq)
    return any(message.final_at is not None and message.final_at >= wall for message in found)


def next_actions(found: Standing) -> list[str]:
    """What an operator should do, most urgent first. Who sleeps with nothing to do is left alone."""
    if found.binding.state != ACTIVE:
        return []
    actions: list[str] = []
    if found.health[heartbeats.DISPATCHER] is not Health.HEALTHY:
        actions.append("start_dispatch")
    for role, side in found.sides.items():
        health = found.health[role]
        if side.gone:
            actions.append(f"register_{role}")
        elif side.paused:
            continue  # it could not take anything
        elif health is Health.MISSING or (health is Health.STALE and side.busy):
            actions.append(f"wake_{role}")
    if found.loop.state is LoopState.PAUSED:
        actions.append("resume_or_finish")
    elif found.overrun is not None:
        actions.append("answer_budget")
    if found.no_progress is not None:
        actions.append("inspect_worker")
    if found.deadlock is not None:
        actions.append("nudge_worker")
    return actions


def standing_view(store: Store, found: Standing, at: str = "") -> dict[str, Any]:
    """The JSON of ``loop status``; ``at`` are options that go with every command."""
    loop, binding = found.loop, found.binding
    last = acks.latest(store, binding)
    return {
        "ok": all(health is Health.HEALTHY for health in found.health.values()),
        "task": binding.task,
        "binding": binding.state,
        "state": str(loop.state),
        **{role: str(health) for role, health in found.health.items()},
        "sessions": {role: _session(store, found, role, at) for role in found.sides},
        "next_actions": next_actions(found),
        "iteration": loop.iteration,
        "max_iterations": loop.limits.get("iterations"),
        "revision": loop.revision,
        "paused_by": loop.paused_by,
        "budget": budget_view(found.budget),
        "required_evidence": list(loop.required),
        "evidence": msgspec.to_builtins(loop.evidence),
        "criteria": msgspec.to_builtins(loop.criteria),
        "require_acks": loop.require_acks,
        "acks": {role: msgspec.to_builtins(ack) for role, ack in last.items()},
        "permissions": list(loop.permissions),
        "waiting_deadlock": found.deadlock,
        "no_progress": found.no_progress,
    }


def _session(store: Store, found: Standing, role: str, at: str) -> dict[str, Any]:
    side, beat = found.sides[role], found.last[role]
    thread, _ = threads.find(store, side.address)
    return {
        "address": side.address,
        "thread_id": None if thread is None else thread.thread_id,
        "thread_title": None if thread is None else thread.title,
        "communication": {
            "receives": "polls" if thread is None else "woken",
            "requires_polling": thread is None,  # nobody can be told that there is mail
            "poll_command": poll_command(side.address, at),
        },
        "heartbeat_seconds": None if beat is None else age_us(store.clock, beat.at) / MICROS,
        "idle": None if beat is None else beat.idle,
        "mail": side.mail,
        "shared_mail": side.shared,
        "leased": side.leased,
        "delayed": side.waiting,
        "paused": side.paused,
        "ended": side.gone,
    }
