"""Figures for people: a table with a bar for each row, and what changed since another run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .rows import Better, meets

WIDTH = 24
"""Cells of a bar. The stretch mark stands at three quarters of it."""

RowView = Mapping[str, Any]


LEGEND = "bar: # value, | reach, ! stretch; ms, KiB, %, commits and costs are better the shorter"


def heading() -> str:
    """The line above the rows."""
    return f"{'row':<15} {'value':>8} {'unit':<9} {'':<{WIDTH}} {'reach':>6} {'stretch':>7}"


def line(row: RowView) -> str:
    """One row: name, value, bar with the marks, and which mark it met, or why there is no value."""
    value, reach, stretch = row["value"], row["reach"], row["stretch"]
    drawn = " " * WIDTH
    if value is not None and reach is not None:
        drawn = bar(value, reach, reach if stretch is None else stretch)
    text = f"{row['name']:<15} {_number(value):>8} {row['unit']:<9} {drawn}"
    text += f" {_number(reach):>6} {_number(stretch):>7}  {verdict(row)}"
    said = row["note"] or _shown(row)
    return f"{text}: {said}" if said else text


def circumstances(conditions: Mapping[str, Any]) -> list[str]:
    """The conditions that matter most, in two lines."""
    return [
        "{cpu}, {cores} cores, load {load_before[0]} to {load_after[0]}, {filesystem},"
        " {fsyncs_per_s} fsyncs/s".format_map(conditions),
        "Python {python}, trio {trio}, apsw {apsw}, SQLite {sqlite}; {senders} senders,"
        " {body_bytes}-byte bodies, {seconds_per_row} s a row, took {took_s} s".format_map(conditions),
    ]


def verdict(row: RowView) -> str:
    """``stretch``, ``reach``, ``missed``, ``no mark`` or ``not measured``."""
    if row["value"] is None:
        return "not measured"
    if row["reach"] is None:
        return "no mark"
    better = Better(row["better"])
    for mark in ("stretch", "reach"):
        if row[mark] is not None and meets(row["value"], row[mark], better):
            return mark
    return "missed"


def bar(value: float, reach: float, stretch: float) -> str:
    """The value as a bar, with both marks in it; what is longer than the bar ends in ``>``."""
    full = (max(reach, stretch) or max(value, 1.0)) / 0.75  # a mark may be that there is nothing
    filled = round(WIDTH * value / full)
    cells = ["#" if cell < filled else "." for cell in range(WIDTH)]
    cells[_cell(reach, full)] = "|"
    cells[_cell(stretch, full)] = "!"
    if filled > WIDTH:
        cells[-1] = ">"
    return "".join(cells)


def comparison(rows: Sequence[RowView], old: Sequence[RowView]) -> list[str]:
    """Each row against the same row of another run; a change below a fifth says nothing."""
    before = {row["name"]: row for row in old}
    lines: list[str] = []
    for row in rows:
        earlier = before.get(row["name"])
        if earlier is None or earlier["value"] is None or row["value"] is None:
            lines.append(f"{row['name']:<15} nothing to compare")
            continue
        lines.append(_compared(row, earlier["value"]))
    return lines


def _compared(row: RowView, earlier: float) -> str:
    value = row["value"]
    if earlier == 0:
        return f"{row['name']:<15} {_number(earlier)} -> {_number(value)}"
    change = value / earlier - 1
    word = "same"
    if abs(change) >= 0.2:
        word = "better" if (change > 0) == (row["better"] == Better.HIGHER) else "worse"
    return f"{row['name']:<15} {_number(earlier)} -> {_number(value)} ({change:+.0%}, {word})"


def _shown(row: RowView) -> str:
    """The details that the row wants beside its value, under their names."""
    return ", ".join(f"{name} {_number(row['detail'].get(name))}" for name in row.get("shown", ()))


def _cell(mark: float, full: float) -> int:
    return min(WIDTH - 1, round(WIDTH * mark / full))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
