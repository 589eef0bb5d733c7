from __future__ import annotations

from postroom.store.events import (
    ActorParked,
    ActorRestarted,
    BatchCommitted,
    CommitFailed,
    LeaseLost,
    Overflowed,
    TurnsEnded,
    ignore,
)
from postroom.telemetry.process_families import OUTCOMES, ProcessFamilies


def samples(families: ProcessFamilies) -> dict[tuple[str, tuple[str, ...]], float]:
    """Every sample by its name and label values."""
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in families.collect()
        for sample in family.samples
    }


def test_declared_roles_show_zeros_before_anything_happens() -> None:
    seen = samples(ProcessFamilies(["worker"]))
    for outcome in OUTCOMES:
        assert seen["postroom_turn_wait_seconds_count", ("worker", outcome)] == 0
        assert seen["postroom_turn_handling_seconds_sum", ("worker", outcome)] == 0
    assert seen["postroom_actors_parked_total", ("worker",)] == 0
    assert seen["postroom_turn_lost_leases_total", ("worker",)] == 0
    assert seen["postroom_turn_overflows_total", ("worker",)] == 0
    assert seen["postroom_store_errors_total", ("outcome_unknown",)] == 0
    assert seen["postroom_commit_seconds_count", ("thread",)] == 0


def test_ended_turns_count_their_wait_and_their_handling_apart() -> None:
    families = ProcessFamilies()
    families(TurnsEnded("worker", "ack", [(0.5, 2.0), (0.002, 60.0)]))
    seen = samples(families)
    assert seen["postroom_turn_wait_seconds_bucket", ("worker", "ack", "0.0025")] == 1
    assert seen["postroom_turn_wait_seconds_bucket", ("worker", "ack", "0.5")] == 2
    assert seen["postroom_turn_handling_seconds_count", ("worker", "ack")] == 2
    assert seen["postroom_turn_handling_seconds_sum", ("worker", "ack")] == 62.0


def test_commits_count_time_place_and_size() -> None:
    families = ProcessFamilies()
    families(BatchCommitted(operations=3, seconds=0.0004, in_thread=False))
    families(CommitFailed("outcome_unknown"))
    families(CommitFailed("never heard of"))
    seen = samples(families)
    assert seen["postroom_commit_seconds_bucket", ("loop", "0.0005")] == 1
    assert seen["postroom_commit_operations_bucket", ("2.0",)] == 0
    assert seen["postroom_commit_operations_bucket", ("4.0",)] == 1
    assert seen["postroom_store_errors_total", ("outcome_unknown",)] == 1
    assert seen["postroom_store_errors_total", ("other",)] == 1


def test_troubles_are_counted_by_role() -> None:
    families = ProcessFamilies()
    for event in (
        ActorRestarted("worker", "error"),
        ActorParked("worker"),
        LeaseLost("worker"),
        Overflowed("worker"),
    ):
        families(event)
    seen = samples(families)
    assert seen["postroom_actor_restarts_total", ("worker", "error")] == 1
    assert seen["postroom_actors_parked_total", ("worker",)] == 1
    assert seen["postroom_turn_lost_leases_total", ("worker",)] == 1
    assert seen["postroom_turn_overflows_total", ("worker",)] == 1


def test_an_unknown_event_changes_nothing() -> None:
    families = ProcessFamilies(["worker"])
    before = samples(families)
    families("something else")
    ignore("something else")
    assert samples(families) == before


def test_label_values_stay_bounded_whatever_the_events_say() -> None:
    families = ProcessFamilies()
    for n in range(500):
        families(TurnsEnded(f"role{n}", f"outcome{n}", [(0.0, 0.0)]))
        families(ActorRestarted("role0", f"reason{n}"))
    seen = samples(families)
    turns = [key for key in seen if key[0] == "postroom_turn_wait_seconds_count"]
    restarts = [key for key in seen if key[0] == "postroom_actor_restarts_total"]
    assert len(turns) == 201
    assert len(restarts) == 21
