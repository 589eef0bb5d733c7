from __future__ import annotations

from postroom.mailbox.evidence import Claims
from postroom.store.records import InboxCounts
from postroom.telemetry.reading import Reading
from postroom.telemetry.store_families import store_families


def counts_of(inbox: str, **known: int) -> InboxCounts:
    """Counts of one inbox: what is given, and nothing else."""
    numbers = (
        "accepted", "ready", "leased", "delayed", "held", "done", "dead", "expired", "bounced",
        "cancelled", "overflowed", "lost_leases", "retried",
    )  # fmt: skip
    return InboxCounts(
        inbox=inbox,
        oldest_ready_us=known.get("oldest_ready_us"),
        paused=bool(known.get("paused")),
        draining=bool(known.get("draining")),
        ended=bool(known.get("ended")),
        bound=100_000,
        policy="reject",
        ordered=False,
        **{number: known.get(number, 0) for number in numbers},
    )


def samples(
    counts: list[InboxCounts], *, inboxes: tuple[str, ...] = (), roles: tuple[str, ...] = ()
) -> dict[tuple[str, tuple[str, ...]], float]:
    """Every sample of these counts by its name and label values."""
    reading = Reading(counts, {"runtime": 2}, 3, set(), {"useful": 4}, Claims(5, 2))
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in store_families(reading, inboxes=inboxes, roles=roles)
        for sample in family.samples
    }


def test_a_declared_inbox_has_its_own_label_and_the_rest_counts_as_other() -> None:
    seen = samples(
        [
            counts_of("worker/a", ready=2, accepted=2),
            counts_of("worker/b", ready=3, accepted=3),
            counts_of("worker/c", ready=4, accepted=4),
        ],
        inboxes=("worker/a",),
    )
    assert seen["postroom_messages", ("worker", "worker/a", "ready")] == 2
    assert seen["postroom_messages", ("worker", "other", "ready")] == 7
    assert seen["postroom_messages_accepted_total", ("worker", "other")] == 7


def test_all_states_together_are_what_was_accepted() -> None:
    states = ("ready", "leased", "delayed", "held", "done", "dead", "expired", "bounced")
    known = {state: 2**n for n, state in enumerate(states)}
    seen = samples([counts_of("worker/a", cancelled=256, accepted=511, **known)])
    shown = sum(
        value
        for (name, _), value in seen.items()
        if name in {"postroom_messages", "postroom_messages_final_total", "postroom_dead_letters"}
    )
    assert shown == seen["postroom_messages_accepted_total", ("worker", "other")] == 511


def test_the_oldest_of_several_inboxes_is_shown_in_seconds() -> None:
    seen = samples(
        [
            counts_of("worker/a", oldest_ready_us=1_500_000),
            counts_of("worker/b", oldest_ready_us=500_000),
            counts_of("worker/c"),
        ]
    )
    assert seen["postroom_oldest_ready_age_seconds", ("worker", "other")] == 1.5


def test_declared_inboxes_and_roles_show_zeros_in_an_empty_store() -> None:
    seen = samples([], inboxes=("worker/a",), roles=("reviewer",))
    assert seen["postroom_messages", ("worker", "worker/a", "leased")] == 0
    assert seen["postroom_messages_final_total", ("reviewer", "other", "done")] == 0
    assert seen["postroom_lost_leases_total", ("reviewer", "other")] == 0
    assert seen["postroom_oldest_ready_age_seconds", ("worker", "worker/a")] == 0


def test_a_million_inboxes_do_not_make_a_million_series() -> None:
    many = [f"worker/{n:04}" for n in range(1000)]
    seen = samples([counts_of(name, ready=1) for name in many], inboxes=tuple(many))
    ready = {labels: n for (_, labels), n in seen.items() if labels[-1:] == ("ready",)}
    assert len(ready) == 201
    assert sum(ready.values()) == 1000


def test_inboxes_are_counted_by_the_strongest_of_their_switches() -> None:
    seen = samples(
        [
            counts_of("worker/a"),
            counts_of("worker/b", paused=1, draining=1),
            counts_of("worker/c", draining=1),
            counts_of("worker/d", paused=1, ended=1),
        ]
    )
    shown = {labels[1]: n for (name, labels), n in seen.items() if name == "postroom_inboxes"}
    assert shown == {"open": 1, "paused": 1, "draining": 1, "ended": 1}


def test_troubles_sessions_and_activations_come_from_the_store() -> None:
    seen = samples([counts_of("worker/a", overflowed=1, lost_leases=2, retried=3)])
    assert seen["postroom_overflows_total", ("worker", "other")] == 1
    assert seen["postroom_lost_leases_total", ("worker", "other")] == 2
    assert seen["postroom_retries_total", ("worker", "other")] == 3
    assert seen["postroom_sessions", ("runtime",)] == 2
    assert seen["postroom_activations", ()] == 3


def test_claims_are_counted_with_those_that_were_refuted() -> None:
    seen = samples([])
    assert seen["postroom_convoy_claims_total", ()] == 5
    assert seen["postroom_convoy_claims_refuted_total", ()] == 2
