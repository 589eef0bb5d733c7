"""The comparison for people: one table, and what it was measured under."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

View = Mapping[str, Any]

HEADINGS = ("peer", "style", "jobs/s", "lowest to highest", "of postroom", "durability", "how")
NUMBERS = (2, 3, 4)
"""Columns that stand to the right."""


def cells(view: View) -> tuple[str, ...]:
    """One line of the table. What was not measured says why in place of how."""
    rate, share, rounds = view["per_s"], view["of_postroom"], view["rounds_per_s"]
    return (
        view["peer"],
        view["style"],
        "-" if rate is None else f"{rate:,.0f}",
        f"{min(rounds):,.0f} to {max(rounds):,.0f}" if rounds else "-",
        "-" if share is None else f"{share:.2f}",
        view["durability"] or "-",
        view["note"] or view["how"],
    )


def table(views: Sequence[View]) -> list[str]:
    """Lines of aligned text."""
    rows = [HEADINGS, *map(cells, views)]
    widths = [max(len(row[n]) for row in rows) for n in range(len(HEADINGS))]
    return [
        "  ".join(
            each.rjust(width) if n in NUMBERS else each.ljust(width)
            for n, (each, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def captions(document: Mapping[str, Any]) -> list[str]:
    """What a picture of the figures must say beside them, in two short lines."""
    conditions = document["conditions"]
    return [
        "{at}, {cores} cores, {filesystem}, {fsyncs_per_s} fsyncs/s,"
        " load {load_before[0]} to {load_after[0]}, Python {python}".format_map(conditions),
        "{body_bytes}-byte bodies; medians of {rounds} rounds, {seconds_per_row} s in all".format_map(
            conditions
        ),
    ]


def circumstances(document: Mapping[str, Any]) -> list[str]:
    """Machine, software and sizes in a few lines."""
    conditions = document["conditions"]
    found = dict.fromkeys(v["version"] for v in document["ways"] if v["version"])
    named = {v["version"]: v["peer"] for v in reversed(document["ways"])}
    return [
        "{at}, {cpu}, {cores} cores, kernel {kernel}, {filesystem}, {fsyncs_per_s} fsyncs/s,"
        " load {load_before[0]} to {load_after[0]}".format_map(conditions),
        "Python {python}, SQLite {sqlite} for postroom and {sqlite_of_peers} for the others;"
        " {body_bytes}-byte bodies, {seconds_per_row} s a way in {rounds} rounds".format_map(conditions),
        "versions: " + ", ".join(f"{named[version]} {version}" for version in found),
    ]
