"""What runs the rows: a part that breaks down is no success, and a soak goes on where it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest
from prove import proving, report, soaking
from prove.outcome import SHOWN, Outcome
from prove.parts import Done, Part, parts, run_parts
from prove.rows import ROWS, Row

ROW = Row("no such row", "nothing", "prove.nothing", 10, 25, 1, 10)


def done(outcome: Outcome | None, number: int = 3) -> Done:
    return Done(Part(ROW, number, 10, 77), 1.0, outcome, "it broke")


def wrong(outcome: Outcome | None) -> list[str]:
    results = {ROW.name: report.Result(10)}
    proving.take(results, done(outcome))
    return report.wrong(results)


def test_a_clean_part_is_right_and_one_that_counts_anything_is_wrong_even_if_it_says_nothing() -> None:
    assert wrong(Outcome(10)) == []
    for column in ("lost", "duplicated", "double_leases", "stuck", "other"):
        outcome = Outcome(10)
        setattr(outcome, column, 1)
        (said,) = wrong(outcome)
        assert "python tests/proof/run.py part no such row 10 77" in said


def test_a_part_that_did_less_than_it_should_is_wrong() -> None:
    assert wrong(Outcome(9)) == ["no such row: 9 of 10 were done"]


def test_only_the_first_failures_of_a_long_soak_are_kept() -> None:
    results: dict[str, report.Result] = {}
    for _ in range(SHOWN + 5):
        proving.take(results, done(None))
    result = results[ROW.name]
    assert (len(result.failures), result.failed, result.outcome.amount) == (SHOWN, SHOWN + 5, 0)
    assert report.wrong(results, goes_on=True)[-1] == f"no such row: {SHOWN + 5} parts failed in all"


def test_a_process_that_breaks_down_is_a_part_without_an_outcome() -> None:
    ended: list[Done] = []
    run_parts([Part(ROW, 0, 1, 1)], 1, ended.append, lambda running: None)
    (one,) = ended
    assert one.outcome is None
    assert "no such row" in one.error


def test_what_all_parts_measured_is_added_but_for_rates_and_units() -> None:
    outcome = Outcome(
        1, figures={"kills": 2.0, "p99_s": 2.0, "flips_per_cpu_second": 5.0, "waiting_least": 9.0}
    )
    outcome.add(
        Outcome(1, figures={"kills": 3.0, "p99_s": 1.0, "flips_per_cpu_second": 4.0, "waiting_least": 7.0})
    )
    assert outcome.figures == {"kills": 5.0, "p99_s": 2.0, "flips_per_cpu_second": 5.0, "waiting_least": 7.0}


def test_no_seed_is_used_twice_in_a_row_and_together_the_parts_are_the_amount() -> None:
    for row in ROWS:
        every = parts(row, row.soak, 1)
        assert len({part.seed for part in every}) == len(every)
        assert sum(part.amount for part in every) == row.soak


class Sitting:
    """Stands in for processes: does so many parts, and is stopped then."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.seeds: list[int] = []

    def run_parts(
        self,
        waiting: Iterable[Part],
        jobs: int,
        on_end: Callable[[Done], None],
        on_look: Callable[[Sequence[str]], None],
    ) -> None:
        for part in waiting:
            if not self.left:
                raise KeyboardInterrupt
            self.left -= 1
            self.seeds.append(part.seed)
            on_end(Done(part, 1.0, Outcome(part.amount)))


def test_a_soak_that_was_stopped_goes_on_with_the_next_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state_file = tmp_path / "soak.json"
    first, second = Sitting(2), Sitting(100)
    monkeypatch.setattr(soaking, "run_parts", first.run_parts)
    with pytest.raises(KeyboardInterrupt):
        soaking.soak([ROW], soaking.load(state_file, 5), state_file, 1.0, 1)
    (tmp_path / "soak.json.part").write_text("cut off in the middle of writing")
    assert soaking.load(state_file, 5).results[ROW.name].outcome.amount == 20

    monkeypatch.setattr(soaking, "run_parts", second.run_parts)
    soaking.soak([ROW], soaking.load(state_file, 5), state_file, 1.0, 1)
    ended = soaking.load(state_file, 5)
    assert ended.results[ROW.name].outcome.amount == ROW.soak
    assert [part.seed for part in parts(ROW, ROW.soak, 5)] == first.seeds + second.seeds
