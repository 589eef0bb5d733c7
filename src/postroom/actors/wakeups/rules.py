"""Whom to wake: the only place where it is decided.

Every needless wake costs money, and a wake into a turn that runs costs the turn. So a role is woken if
there is claimable mail for it, it holds no live lease, and no wake is under way already.
"""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from shlex import quote
from typing import NamedTuple

from msgspec import Struct

from ...store.urls import is_store

POLL_SECONDS = 30


class Status(StrEnum):
    """What a plan says of one role."""

    READY = "ready_to_send"
    SKIPPED = "skipped_healthy"
    BLOCKED = "blocked_missing_thread"


class Reason(StrEnum):
    """Why it says so."""

    MAIL = "mail"
    HEALTHY = "healthy"
    NO_MAIL = "no_mail"
    IN_FLIGHT = "in_flight"
    WAKE_PENDING = "wake_pending"
    JOINING = "joining"
    NO_THREAD = "no_thread"


class Facts(NamedTuple):
    """What the decision is made from.

    ``mail``: there is something to claim, in the own inbox or as a share of the role's. ``leased``:
    mail is held under a live lease. ``pending``: a wake is under way and its window not over.
    ``joining``: the mail there is may still wait for more, to be woken for together.
    ``awake``: a sign of life came within the last 180 seconds. ``threaded``: there is a thread to wake.
    """

    mail: bool
    leased: bool
    pending: bool
    joining: bool
    awake: bool
    threaded: bool


class Action(Struct, frozen=True, gc=False):
    """What is to be done about one role. ``prompt`` is the text to paste, None where nothing is to do."""

    role: str
    address: str
    status: Status
    send_ready: bool
    thread_id: str | None
    prompt: str | None
    reason: Reason


@cache  # there are 64 cases, and plans of very many roles
def judge(facts: Facts) -> tuple[Status, Reason]:
    """Whether to wake, and why or why not."""
    if facts.pending:
        return Status.SKIPPED, Reason.WAKE_PENDING
    if facts.leased:
        return Status.SKIPPED, Reason.IN_FLIGHT
    if not facts.mail:
        return Status.SKIPPED, Reason.HEALTHY if facts.awake else Reason.NO_MAIL
    if facts.joining:
        return Status.SKIPPED, Reason.JOINING
    if not facts.threaded:
        return Status.BLOCKED, Reason.NO_THREAD
    return Status.READY, Reason.MAIL


def share(ready: int, pending: int) -> int:
    """How many wakes the mail in a role's shared inbox justifies.

    One for each message that is ready, less those of the role who are being woken already: each of
    them takes from that inbox too.
    """
    return max(0, ready - pending)


def prompt(task: str, role: str, address: str, store_url: str) -> str:
    """The text for the thread, on one line: typed into a terminal, a second line would be sent alone."""
    at = f" --store {quote(store_url)}" if is_store(store_url) else ""
    name = quote(task)
    return (
        f"You are the {role} of task {task}, and there is mail for you in {address}."
        f" Run: postroom poll{at} {address} --wait {POLL_SECONDS}"
        f" - do what each message asks, settle it with: postroom ack{at} ID --fence F"
        f" - and poll again. An empty poll is never a reason to stop:"
        f" say that you are there with: postroom heartbeat{at} {name} --role {role}"
        f" - and wait to be woken again."
    )
