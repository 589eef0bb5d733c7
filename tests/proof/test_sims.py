"""The row of simulated runs, a small share of it."""

from __future__ import annotations

import pytest
from prove import sims

from postroom.simulation import cast


def test_a_share_of_the_seeds_is_clean() -> None:
    told: list[int] = []
    outcome = sims.run(2, 21, told.append)
    assert outcome.clean, outcome.breaches
    assert told == [1, 2]
    assert outcome.messages >= 2 * sims.MESSAGES
    assert sum(n for name, n in outcome.figures.items() if name.startswith("fault_")) >= 2 * sims.FAULTS


def test_a_breach_is_told_with_the_command_that_shows_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    once = cast.Worker.note

    def twice(self: cast.Worker) -> None:
        once(self)
        once(self)

    monkeypatch.setattr(cast.Worker, "note", twice)
    outcome = sims.run(1, 21, lambda _: None)
    assert outcome.duplicated
    assert outcome.breaches[0].startswith("postroom simulate --scenario faults --seed ")


def test_a_fault_that_never_met_anything_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sims, "ENOUGH", 1)
    outcome = sims.run(1, 21, lambda _: None)
    assert outcome.other
    assert any("it never happened" in breach for breach in outcome.breaches)
