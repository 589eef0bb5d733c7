"""The list of all mutants, read from the files beside this one."""

from __future__ import annotations

import tomllib
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
)

NOT_HERE = (
    "rescue and recovery by snapshot, a frozen now(), NOTIFY without a poll, LISTEN after the poll,"
    " fences that wrap belong to PostgreSQL, which does not exist yet"
)


def _read(group: str) -> list[Mutant]:
    text = Path(__file__).with_name(f"{group}.toml").read_text()
    return [Mutant(**fields) for fields in tomllib.loads(text)["mutant"]]


MUTANTS: tuple[Mutant, ...] = tuple(mutant for group in GROUPS for mutant in _read(group))
