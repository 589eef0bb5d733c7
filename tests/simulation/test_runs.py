"""Whole runs: clean where nothing is broken, found out where something is."""

from __future__ import annotations

import pytest
from msgspec import structs

from postroom.simulation import cast
from postroom.simulation.options import Options, expand
from postroom.simulation.planning import Fault
from postroom.simulation.running import Result, run
from postroom.simulation.scenario import load
from postroom.store.rules import sessions


def calm(*faults: Fault, **changes: object) -> Options:
    """A small run in which only these faults come."""
    options = expand("calm", load("calm"), 1).lighter(3)
    return structs.replace(options, nodes=("node-1", "node-2"), faults=faults, **changes)


def crash(at: float, **fields: object) -> Fault:
    return structs.replace(Fault("crash", at, "node-1", amount=0.2), **fields)


def kinds(result: Result) -> set[str]:
    return {breach.kind for breach in result.breaches}


def test_a_calm_run_is_clean_and_without_faults() -> None:
    result = run(calm())
    assert result.clean, result.breaches
    assert result.faults == {}
    assert result.messages > 50


def test_a_crash_is_survived_and_redelivers() -> None:
    result = run(calm(Fault("crash-after-commit", 0.5, "node-1", "commit", 1, None, 0.2), crash(1.4)))
    assert result.clean, result.breaches
    assert result.faults == {"crash": 1, "crash-after-commit": 1}
    assert result.happened["process gone"] >= 2
    assert result.redelivered


def test_a_crash_that_nobody_sees_is_told_by_its_lapsed_session() -> None:
    result = run(calm(crash(0.9, seen=False), crash(0.9, node="node-2", seen=False)))
    assert result.clean, result.breaches
    assert result.virtual_seconds > 50


def test_a_process_that_stands_still_past_its_lease_is_too_late() -> None:
    result = run(
        calm(Fault("pause", 0.6, "node-1", seconds=70.0), Fault("pause", 0.6, "node-2", seconds=65.0))
    )
    assert result.clean, result.breaches
    assert result.happened["session lost"]


def test_an_effect_that_is_noted_twice_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    once = cast.Worker.note

    def twice(self: cast.Worker) -> None:
        once(self)
        once(self)

    monkeypatch.setattr(cast.Worker, "note", twice)
    assert kinds(run(calm())) == {"effect"}


@pytest.mark.parametrize("part", ["note", "send"])
def test_what_a_turn_drops_before_it_is_settled_is_found(monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    def drop(*args: object) -> None:
        """It is never asked of the store."""

    monkeypatch.setattr(cast.Worker, part, drop)
    assert kinds(run(calm())) == {"effect"}


def test_leases_that_nobody_takes_back_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def keep(*args: object) -> tuple[int, int]:
        return 0, 0

    monkeypatch.setattr(sessions, "take_back", keep)
    result = run(calm(*(crash(0.05 * n) for n in range(2, 30, 3)), patience=20.0))
    assert "stuck" in kinds(result)


def test_a_process_that_ends_of_its_own_error_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object) -> None:
        raise ZeroDivisionError("broken")

    monkeypatch.setattr("postroom.actors.runtime.Runtime.ring", broken)
    result = run(calm(patience=5.0))
    assert "unexpected" in kinds(result)
    assert any("ended of ZeroDivisionError: broken" in breach.what for breach in result.breaches)


def test_an_error_that_ends_the_whole_run_is_a_breach_of_its_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object) -> None:
        raise ZeroDivisionError("broken")

    monkeypatch.setattr("postroom.simulation.outside.Operator.requeue", broken)
    result = run(calm())
    assert result.breaches[-1].kind == "unexpected"
    assert "the run ended of ZeroDivisionError at test_runs.py" in result.breaches[-1].what
