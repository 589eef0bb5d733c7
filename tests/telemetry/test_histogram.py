from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.telemetry import histogram
from postroom.telemetry.histogram import Histogram


def test_a_sample_on_a_bound_counts_below_it() -> None:
    h = Histogram((1.0, 2.0))
    h.add_all([1.0, 1.5, 2.0, 99.0])
    assert h.cumulative() == ([("1.0", 1), ("2.0", 3), ("+Inf", 4)], 103.5)


def test_a_sample_below_zero_counts_as_zero() -> None:
    h = Histogram((1.0,))
    h.add(-5.0)
    h.add_all([-5.0])
    assert h.cumulative() == ([("1.0", 2), ("+Inf", 2)], 0.0)


@given(st.lists(st.floats(min_value=0, max_value=1e6), max_size=50))
def test_many_samples_at_once_count_like_one_by_one(values: list[float]) -> None:
    together, singly = Histogram((0.5, 10.0, 1000.0)), Histogram((0.5, 10.0, 1000.0))
    together.add_all(values)
    for value in values:
        singly.add(value)
    assert together.cumulative()[0] == singly.cumulative()[0]
    assert together.cumulative()[1] == pytest.approx(singly.cumulative()[1])


@pytest.mark.parametrize(
    ("bounds", "lowest", "highest"),
    [
        (histogram.WAIT_SECONDS, 0.001, 86400.0),
        (histogram.WORK_SECONDS, 0.001, 7200.0),
        (histogram.COMMIT_SECONDS, 0.00005, 10.0),
        (histogram.BATCH_OPERATIONS, 1.0, 4096.0),
    ],
)
def test_bounds_rise_over_the_range_that_matters(
    bounds: tuple[float, ...], lowest: float, highest: float
) -> None:
    assert (bounds[0], bounds[-1]) == (lowest, highest)
    assert list(bounds) == sorted(set(bounds))
