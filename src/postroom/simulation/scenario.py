"""Scenarios: small TOML files that say who takes part, what they are given to do, and what breaks.

A number may also be a range ``[low, high]``, out of which each seed draws its own.
"""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

from msgspec import Struct

from ..store.errors import BadInput
from . import files
from .planning import FAULTS

BUILT_IN = Path(__file__).with_name("scenarios")

Whole = int | tuple[int, int]
Number = float | tuple[float, float]


class Fleet(Struct, frozen=True, forbid_unknown_fields=True):
    """Who takes part. ``nodes`` run actors and restart when they die; the others stand outside.

    ``concurrency`` is how many turns of a node's worker may run at once. ``commit_seconds`` is what a
    commit takes, on average.
    """

    nodes: Whole = (2, 3)
    concurrency: Whole = (1, 6)
    senders: Whole = (1, 3)
    askers: Whole = (0, 2)
    pullers: Whole = (0, 2)
    commit_seconds: Number = 0.001


class Load(Struct, frozen=True, forbid_unknown_fields=True):
    """What is sent: ``jobs`` in bursts over ``seconds``, and how many of a hundred are not plain ones.

    ``slow`` take a while, ``flaky`` fail at first, ``poison`` fail until the faults stop, ``fatal`` kill
    the process that runs them until then, ``reject`` are refused for good, ``timer`` set a timer.
    """

    jobs: Whole = (110, 150)
    questions: Whole = (0, 12)
    pulled: Whole = (0, 16)
    steps: Whole = (8, 24)
    burst: Whole = (4, 20)
    seconds: Number = (2.0, 6.0)
    slow: int = 5
    flaky: int = 5
    poison: int = 1
    fatal: int = 0
    reject: int = 2
    timer: int = 6
    urgent: int = 8


class Faults(Struct, frozen=True, forbid_unknown_fields=True):
    """How many faults a run has, and how likely each kind is; a kind without a weight never comes."""

    amount: Whole = 0
    weights: dict[str, int] = {}


class Scenario(Struct, frozen=True, forbid_unknown_fields=True):
    """A whole scenario. ``patience`` is how many virtual seconds everything may take to drain."""

    about: str = ""
    patience: float = 240.0
    fleet: Fleet = Fleet()
    load: Load = Load()
    faults: Faults = Faults()


def names() -> list[str]:
    """The scenarios that come with postroom."""
    return sorted(path.stem for path in BUILT_IN.glob("*.toml"))


def load(named: str) -> Scenario:
    """A scenario by its name, or by the path of a file. Raises ``BadInput`` with the key that is wrong."""
    path = BUILT_IN / f"{named}.toml" if named in names() else Path(named)
    do = f"name a file, or one of: {', '.join(names())}"
    missing = BadInput(f"no scenario {named}", "there is no such file", do)
    return checked(files.read(path, named, missing), named)


def checked(table: dict[str, Any], named: str) -> Scenario:
    """A scenario out of a parsed file. Raises ``BadInput``."""
    scenario = files.converted(table, Scenario, named)
    for key, why in _flaws(scenario):
        raise BadInput(f"{named}: {key}", why, "correct that key")
    return scenario


def draw(rng: Random, span: Whole) -> int:
    """A whole number out of a range; a single number stands for itself."""
    return span if isinstance(span, int) else rng.randint(*span)


def draw_number(rng: Random, span: Number) -> float:
    """A number out of a range, in whole milliseconds where it is drawn."""
    return round(rng.uniform(*span), 3) if isinstance(span, tuple) else float(span)


LEAST = {"fleet.nodes": 1, "fleet.concurrency": 1, "fleet.senders": 1, "load.burst": 1, "load.jobs": 1}
MOST = {
    "fleet.nodes": 20,
    "fleet.concurrency": 1000,
    "fleet.senders": 100,
    "fleet.askers": 100,
    "fleet.pullers": 100,
    "fleet.commit_seconds": 10,
    "faults.amount": 1000,
}


def _flaws(scenario: Scenario) -> list[tuple[str, str]]:
    """What is wrong with the numbers, as (key path, why)."""
    flaws: list[tuple[str, str]] = []
    for part in ("fleet", "load", "faults"):
        record = getattr(scenario, part)
        for field in record.__struct_fields__:
            value = getattr(record, field)
            if not isinstance(value, dict):
                flaws += _flaws_of_number(f"{part}.{field}", value)
    for kind, weight in scenario.faults.weights.items():
        key = f"faults.weights.{kind}"
        if kind not in FAULTS:
            flaws.append((key, f"there is no such fault; there are {', '.join(sorted(FAULTS))}"))
        elif weight < 0:
            flaws.append((key, f"it is {weight}, less than 0"))
    if scenario.faults.amount != 0 and not any(scenario.faults.weights.values()):
        flaws.append(("faults.weights", "there are to be faults, and none has a weight"))
    if not 1 <= scenario.patience <= 100_000:
        flaws.append(("patience", f"it is {scenario.patience}, not in 1 to 100000"))
    return flaws


def _flaws_of_number(key: str, value: Number) -> list[tuple[str, str]]:
    low, high = value if isinstance(value, tuple) else (value, value)
    least, most = LEAST.get(key, 0), MOST.get(key, 1_000_000)
    if not low <= high:
        return [(key, f"the range {low} to {high} runs backwards")]
    if low < least or high > most:
        return [(key, f"it is {value}, not in {least} to {most}")]
    return []
