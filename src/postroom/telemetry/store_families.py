"""Families computed from the store: the same from every exporter, and across restarts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from ..mailbox.address import role_of
from ..store.clock import MICROS
from ..store.records import InboxCounts
from .claim_families import claim_families
from .labels import INBOX_CAP, OTHER, ROLE_CAP, Allowed
from .reading import Reading
from .wake_families import wake_families

LIVE_WORDS: tuple[str, ...] = ("ready", "leased", "delayed", "held")
FINAL_WORDS: tuple[str, ...] = ("done", "expired", "bounced", "cancelled")
INBOX_STATES: tuple[str, ...] = ("open", "paused", "draining", "ended")

PER_INBOX = ("role", "inbox")


class Totals:
    """The counts of all inboxes that share one pair of labels."""

    __slots__ = ("inboxes", "oldest_us", "sums")

    SUMMED: ClassVar[tuple[str, ...]] = (
        *LIVE_WORDS,
        *FINAL_WORDS,
        "dead",
        "accepted",
        "overflowed",
        "lost_leases",
        "retried",
    )

    def __init__(self) -> None:
        self.sums = dict.fromkeys(self.SUMMED, 0)
        self.oldest_us = 0
        self.inboxes = dict.fromkeys(INBOX_STATES, 0)

    def add(self, counts: InboxCounts) -> None:
        for field in self.SUMMED:
            self.sums[field] += getattr(counts, field)
        self.oldest_us = max(self.oldest_us, counts.oldest_ready_us or 0)
        self.inboxes[inbox_state(counts)] += 1


def inbox_state(counts: InboxCounts) -> str:
    """One word for what an inbox as a whole does; the strongest of its switches."""
    if counts.ended:
        return "ended"
    if counts.paused:
        return "paused"
    return "draining" if counts.draining else "open"


Grouped = dict[tuple[str, str], Totals]


def group(reading: Reading, inboxes: Iterable[str], roles: Iterable[str]) -> Grouped:
    """Sum the counts by role and inbox label. What is declared is there even without any mail."""
    declared = Allowed(reading.declared.union(inboxes), INBOX_CAP)
    seen = {role_of(counts.inbox) for counts in reading.counts}
    known = Allowed(seen.union(roles, map(role_of, declared)), ROLE_CAP)
    grouped: Grouped = {(known.label(role), OTHER): Totals() for role in known}
    grouped |= {(known.label(role_of(inbox)), inbox): Totals() for inbox in declared}
    for counts in reading.counts:
        key = (known.label(role_of(counts.inbox)), declared.label(counts.inbox))
        grouped.setdefault(key, Totals()).add(counts)
    return dict(sorted(grouped.items()))


def store_families(
    reading: Reading, *, inboxes: Iterable[str] = (), roles: Iterable[str] = ()
) -> Iterator[Metric]:
    """Everything that is computed from one reading of the store."""
    grouped = group(reading, inboxes, roles)
    yield from message_families(grouped)
    yield from trouble_families(grouped)
    yield inbox_family(grouped)
    sessions = GaugeMetricFamily(
        "postroom_sessions", "Live sessions by kind of participant.", labels=("kind",)
    )
    kinds = Allowed(reading.sessions, ROLE_CAP)
    by_kind: dict[str, int] = {}
    for kind, count in reading.sessions.items():
        label = kinds.label(kind)
        by_kind[label] = by_kind.get(label, 0) + count
    for label, count in sorted(by_kind.items()):
        sessions.add_metric((label,), count)
    yield sessions
    yield GaugeMetricFamily(
        "postroom_activations", "Living instances of stateful actors.", value=reading.activations
    )
    yield from wake_families(reading.wakes)
    yield from claim_families(reading.claims)


def message_families(grouped: Grouped) -> Iterator[Metric]:
    """Where the messages are. accepted = messages + dead letters + final, at any moment."""
    messages = GaugeMetricFamily(
        "postroom_messages",
        "Live messages by state: ready is the depth of an inbox, leased its leases.",
        labels=(*PER_INBOX, "state"),
    )
    final = CounterMetricFamily(
        "postroom_messages_final",
        "Messages that reached a final state other than dead, for all time.",
        labels=(*PER_INBOX, "state"),
    )
    for key, totals in grouped.items():
        for word in LIVE_WORDS:
            messages.add_metric((*key, word), totals.sums[word])
        for word in FINAL_WORDS:
            final.add_metric((*key, word), totals.sums[word])
    yield messages
    yield final
    yield counter(grouped, "postroom_messages_accepted", "Messages accepted, for all time.", "accepted")
    dead = GaugeMetricFamily(
        "postroom_dead_letters", "Dead letters that nobody requeued or dropped.", labels=PER_INBOX
    )
    oldest = GaugeMetricFamily(
        "postroom_oldest_ready_age_seconds",
        "Age of the oldest ready message; 0 when none is ready.",
        labels=PER_INBOX,
        unit="seconds",
    )
    for key, totals in grouped.items():
        dead.add_metric(key, totals.sums["dead"])
        oldest.add_metric(key, totals.oldest_us / MICROS)
    yield dead
    yield oldest


def trouble_families(grouped: Grouped) -> Iterator[Metric]:
    """What went otherwise than hoped, for all time."""
    yield counter(grouped, "postroom_overflows", "Messages that met a full inbox.", "overflowed")
    yield counter(
        grouped,
        "postroom_lost_leases",
        "Settlements refused because their lease no longer held.",
        "lost_leases",
    )
    yield counter(grouped, "postroom_retries", "Messages sent back to be tried again.", "retried")


def counter(grouped: Grouped, name: str, text: str, field: str) -> Metric:
    family = CounterMetricFamily(name, text, labels=PER_INBOX)
    for key, totals in grouped.items():
        family.add_metric(key, totals.sums[field])
    return family


def inbox_family(grouped: Grouped) -> Metric:
    family = GaugeMetricFamily(
        "postroom_inboxes", "Inboxes by what they do as a whole.", labels=("role", "state")
    )
    by_role: dict[str, dict[str, int]] = {}
    for (role, _), totals in grouped.items():
        sums = by_role.setdefault(role, dict.fromkeys(INBOX_STATES, 0))
        for state, count in totals.inboxes.items():
            sums[state] += count
    for role, sums in by_role.items():
        for state, count in sums.items():
            family.add_metric((role, state), count)
    return family
