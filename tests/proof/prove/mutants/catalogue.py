"""The list of all mutants, read from the files beside this one."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Sequence
from pathlib import Path

from .mutant import Mutant

GROUPS = (
    "durability",
    "leases",
    "fates",
    "turns",
    "life",
    "said",
    "shown",
    "pull",
    "loops",
    "gateway",
    "wire",
    "places",
    "ends",
    "people",
    "checks",
    "reviews",
    "recorded",
    "declared",
)

NOT_HERE = (
    "rescue and recovery by snapshot, a frozen now(), NOTIFY without a poll, LISTEN after the poll,"
    " fences that wrap belong to PostgreSQL, which does not exist yet"
)


def _read(group: str) -> list[Mutant]:
    text = Path(__file__).with_name(f"{group}.toml").read_text()
    return [Mutant(**fields) for fields in tomllib.loads(text)["mutant"]]


def _spread(groups: Collection[Sequence[Mutant]]) -> list[Mutant]:
    """All of them, each group at equal distances: a stretch of the list has its share of every group."""
    placed = [((n + 0.5) / len(group), mutant) for group in groups for n, mutant in enumerate(group)]
    return [mutant for _, mutant in sorted(placed, key=lambda place: place[0])]


BY_GROUP = {group: _read(group) for group in GROUPS}
MUTANTS: tuple[Mutant, ...] = tuple(mutant for group in BY_GROUP.values() for mutant in group)

SPREAD: tuple[Mutant, ...] = tuple(_spread(BY_GROUP.values()))
"""The same, in the order in which they are tried."""
