"""What every row of a benchmark answers, however little was asked of it."""

from __future__ import annotations

from postroom.bench.rows import Measured


def assert_measured(measured: Measured) -> None:
    """Its figure and the numbers behind it are numbers. Raises ``AssertionError``."""
    assert measured.value == measured.value
    assert all(isinstance(number, float | int) for number in measured.detail.values())
