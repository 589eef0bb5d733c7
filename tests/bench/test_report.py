"""What people read: verdicts, bars, and what changed since another run."""

from typing import Any

import pytest

from postroom.bench import report


def row(value: float | None, better: str = "higher", **changed: Any) -> dict[str, Any]:
    view: dict[str, Any] = {"name": "durable", "what": "all of it", "value": value, "unit": "x"}
    view |= {"reach": 0.45, "stretch": 0.6, "better": better, "note": "", "detail": {}}
    return view | changed


@pytest.mark.parametrize(
    ("value", "better", "expected"),
    [
        (0.61, "higher", "stretch"),
        (0.5, "higher", "reach"),
        (0.44, "higher", "missed"),
        (0.44, "lower", "stretch"),
        (0.7, "lower", "missed"),
        (None, "higher", "not measured"),
    ],
)
def test_a_verdict_names_the_best_mark_that_is_met(value: float | None, better: str, expected: str) -> None:
    assert report.verdict(row(value, better)) == expected


def test_a_bar_has_both_marks_and_grows_with_the_value() -> None:
    short, long = report.bar(0.2, 0.45, 0.6), report.bar(0.5, 0.45, 0.6)
    assert len(short) == len(long) == report.WIDTH
    assert short.count("|") == short.count("!") == 1
    assert long.count("#") > short.count("#")


def test_a_bar_that_is_too_long_says_so() -> None:
    assert report.bar(9.0, 0.45, 0.6).endswith(">")


def test_a_row_without_a_value_says_why() -> None:
    assert report.line(row(None, note="no time was left")).endswith("not measured: no time was left")


@pytest.mark.parametrize(
    ("old", "new", "better", "word"),
    [
        (0.5, 0.55, "higher", "same"),
        (0.5, 0.7, "higher", "better"),
        (0.5, 0.3, "higher", "worse"),
        (0.5, 0.3, "lower", "better"),
    ],
)
def test_a_change_below_a_fifth_is_no_change(old: float, new: float, better: str, word: str) -> None:
    (line,) = report.comparison([row(new, better)], [row(old, better)])
    assert line.endswith(f", {word})")


def test_a_row_that_the_other_run_lacks_is_not_compared() -> None:
    assert report.comparison([row(1.0)], []) == ["durable         nothing to compare"]


def test_a_mark_may_be_that_there_is_nothing() -> None:
    assert report.bar(0.0, 0.0, 0.0).startswith("!")
    assert "#" in report.bar(3.0, 0.0, 0.0)
