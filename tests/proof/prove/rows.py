"""The rows of the proof: what is broken, how often, and what runs it."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from importlib import import_module
from typing import cast

from msgspec import Struct
from prove.mutants.catalogue import MUTANTS
from prove.outcome import Outcome, Tell

SEEDS_APART = 1_000_003
"""How far the seeds of two parts that follow each other are apart."""

MUTANTS_OF_A_PART = 25


class Place(StrEnum):
    """Where the parts of a row run: on one of the places, beside the others, or with nobody beside them.

    What runs beside the others mostly waits, one such part at a time.
    """

    CORE = "core"
    BESIDE = "beside"
    ALONE = "alone"


Run = Callable[[int, int, Tell], Outcome]


class Row(Struct, frozen=True):
    """One fault, or kind of faults.

    ``module`` has the function ``run(amount, seed, tell)``. ``proof``, ``soak`` and ``share`` are the
    amounts of `make proof`, of the soak and of each run of CI. A row is done in parts of ``part``
    units, each a process with a seed of its own.
    """

    name: str
    title: str
    module: str
    proof: int
    soak: int
    share: int
    part: int
    place: Place = Place.CORE

    def load(self) -> Run:
        """The function that does it."""
        return cast("Run", import_module(self.module).run)


ALL = len(MUTANTS)
"""How many mutants there are: an amount that other seeds add nothing to."""

PROVED = 48
"""How many of them `make proof` has the time to try; the soak, and the table in MUTANTS.md, try all."""

ROWS = (
    Row("simulated", "simulated runs, each with faults", "prove.sims", 2_000, 200_000, 60, 250),
    Row(
        "power-cuts",
        "power-cut images of the whole protocol",
        "prove.powercuts",
        50_000,
        2_000_000,
        1_500,
        5_000,
    ),
    Row("nth-faults", "store faults at the Nth operation", "prove.nth", 5_000, 100_000, 200, 1_250),
    Row("flips", "bytes flipped in the log and the file", "prove.flips", 20_000, 1_000_000, 600, 2_500),
    Row("races", "races of ack, expiry and extend", "prove.races", 20_000, 1_000_000, 1_000, 5_000),
    Row("models", "random operations against a model", "prove.models", 2_000, 100_000, 60, 500),
    Row("inputs", "bad inputs to every parser", "prove.inputs_row", 200_000, 20_000_000, 5_000, 50_000),
    Row(
        "disks", "full disks, lost permissions, failing syncs", "prove.disks", 120, 5_000, 6, 60, Place.BESIDE
    ),
    Row(
        "sharing",
        "dispatchers, forks, foreign writers, restores",
        "prove.sharing",
        24,
        1_000,
        4,
        12,
        Place.BESIDE,
    ),
    Row("kills", "KILL, STOP and TERM of real processes", "prove.kills", 300, 10_000, 10, 300, Place.ALONE),
    Row(
        "mutants",
        "deliberate breaks of the code, caught",
        "prove.mutants_row",
        PROVED,
        ALL,
        4,
        MUTANTS_OF_A_PART,
    ),
)


def row_named(name: str) -> Row:
    """The row of that name. Raises ``KeyError``."""
    return {row.name: row for row in ROWS}[name]
