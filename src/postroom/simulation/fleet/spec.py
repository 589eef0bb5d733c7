"""Fleet files: who takes part, what they are given to do, how they are woken and what goes wrong.

Shares are between 0 and 1, times are in seconds unless their name says otherwise, and what is not
given is as in the fleet that comes with postroom.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec import Struct

from ...store.errors import BadInput
from .. import files
from .spreads import Skewed, Spread, flaws

DEFAULT = Path(__file__).with_name("default.toml")


class Size(Struct, frozen=True, forbid_unknown_fields=True):
    """How many. Each pair is a worker and its binding; ``workers_per_manager`` pairs share a manager."""

    pairs: int = 10
    workers_per_manager: int = 1
    days: float = 1.0


class Arrivals(Struct, frozen=True, forbid_unknown_fields=True):
    """When tasks come. ``day`` is from which hour to which; outside it tasks come ``night`` times as often.

    Tasks come at random moments, in bursts of ``burst``. ``follow_up`` is the share of reports on which
    the manager gives the worker another task; those count among ``tasks_per_day``, which is per pair.
    ``shared`` is the share of tasks that any worker may take.
    """

    tasks_per_day: float = 30.0
    day: tuple[float, float] = (7.0, 21.0)
    night: float = 0.25
    burst: int = 1
    follow_up: float = 0.2
    shared: float = 0.0


class Turns(Struct, frozen=True, forbid_unknown_fields=True):
    """How long turns take, and which share of them ends with a ``nack``.

    ``slow`` is the share of workers that take ``slow_factor`` times as long.
    """

    worker: Spread = Skewed(120.0, 360.0, 20.0, 600.0)
    manager: Spread = Skewed(40.0, 100.0, 20.0, 300.0)
    fails: float = 0.01
    slow: float = 0.05
    slow_factor: float = 3.0


class Threads(Struct, frozen=True, forbid_unknown_fields=True):
    """What app threads do: how often they show signs of life while awake, and how they fail.

    ``crashes`` is the share of turns in which the thread dies; it can be woken again after ``restart``.
    ``unassigned`` is the share of addresses whose thread is known only after ``assigned_after``.
    """

    heartbeat: float = 120.0
    lease: float = 300.0
    crashes: float = 0.002
    restart: Spread = (30.0, 300.0)
    unassigned: float = 0.0
    assigned_after: Spread = 3600.0


class Operators(Struct, frozen=True, forbid_unknown_fields=True):
    """Who delivers wakes: after ``delay``, or for a share of them ``late_delay``, or never.

    ``fails`` is the share of attempts that surely had no effect, ``unsure`` the share of which nobody can
    say whether they had one; half of those had.
    """

    delay: Spread = Skewed(5.0, 15.0, 1.0, 60.0)
    late: float = 0.002
    late_delay: Spread = (200.0, 900.0)
    lost: float = 0.003
    fails: float = 0.002
    unsure: float = 0.001


class Dispatcher(Struct, frozen=True, forbid_unknown_fields=True):
    """The process that dispatches and wakes, and through which threads fetch their mail.

    ``torn`` is the share of its crashes that come between a commit and its answer.
    """

    crashes_per_day: float = 1.0
    restart: Spread = (2.0, 60.0)
    torn: float = 0.5


class Prices(Struct, frozen=True, forbid_unknown_fields=True):
    """What a delivered wake and a turn cost, in ``currency``."""

    wake: float = 0.02
    turn: float = 0.15
    currency: str = "USD"


class Fleet(Struct, frozen=True, forbid_unknown_fields=True):
    """A whole fleet. ``patience`` is how many virtual hours what is left at the end may take to drain."""

    about: str = ""
    patience: float = 24.0
    fleet: Size = Size()
    arrivals: Arrivals = Arrivals()
    turns: Turns = Turns()
    threads: Threads = Threads()
    operators: Operators = Operators()
    dispatcher: Dispatcher = Dispatcher()
    prices: Prices = Prices()


def load(path: str | None) -> Fleet:
    """The fleet of a file, or the built-in one. Raises ``BadInput`` with the key that is wrong."""
    file = DEFAULT if path is None else Path(path)
    named = file.name if path is None else path
    missing = BadInput(f"no fleet {named}", "there is no such file", "name a TOML file")
    return checked(files.read(file, named, missing), named)


def checked(table: dict[str, Any], named: str) -> Fleet:
    """A fleet out of a parsed file. Raises ``BadInput`` with the path of the key that is wrong."""
    fleet = files.converted(table, Fleet, named)
    check(fleet, named)
    return fleet


def check(fleet: Fleet, named: str) -> None:
    """Refuse impossible numbers. Raises ``BadInput`` with the path of the first key that is wrong."""
    for key, why in _flaws(fleet):
        raise BadInput(f"{named}: {key}", why, "correct that key")


DAY = 86_400.0
BOUNDS: dict[str, tuple[float, float]] = {
    "patience": (0.1, 720),
    "fleet.pairs": (1, 1_000_000),
    "fleet.workers_per_manager": (1, 1_000_000),
    "fleet.days": (0.001, 366),
    "arrivals.tasks_per_day": (0, 20_000),
    "arrivals.day": (0, 24),
    "arrivals.night": (0, 100),
    "arrivals.burst": (1, 1000),
    "arrivals.follow_up": (0, 0.95),
    "turns.worker": (1, DAY),
    "turns.manager": (1, DAY),
    "turns.fails": (0, 0.9),
    "turns.slow_factor": (1, 100),
    "threads.heartbeat": (10, DAY),
    "threads.lease": (20, DAY),
    "threads.crashes": (0, 0.9),
    "threads.restart": (0, DAY),
    "threads.assigned_after": (0, 7 * DAY),
    "operators.delay": (0, DAY),
    "operators.late_delay": (0, DAY),
    "operators.lost": (0, 0.9),
    "operators.fails": (0, 0.9),
    "dispatcher.crashes_per_day": (0, 2000),
    "dispatcher.restart": (0, DAY),
    "prices.wake": (0, 1e6),
    "prices.turn": (0, 1e6),
}
"""Between which numbers each key must lie; what is not named is a share."""


def _flaws(fleet: Fleet) -> list[tuple[str, str]]:
    found = flaws("patience", fleet.patience, *BOUNDS["patience"])
    for part in fleet.__struct_fields__[2:]:
        record = getattr(fleet, part)
        for name in record.__struct_fields__:
            key = f"{part}.{name}"
            if name == "day":
                found += _flaws_of_day(key, record.day)
            elif name != "currency":
                found += flaws(key, getattr(record, name), *BOUNDS.get(key, (0, 1)))
    return found + _contradictions(fleet)


def _flaws_of_day(key: str, day: tuple[float, float]) -> list[tuple[str, str]]:
    """The hours of a day may run past midnight."""
    return [flaw for hour in day for flaw in flaws(key, hour, *BOUNDS[key])][:1]


def _contradictions(fleet: Fleet) -> list[tuple[str, str]]:
    """What no number says by itself."""
    found: list[tuple[str, str]] = []
    operators, arrivals = fleet.operators, fleet.arrivals
    if arrivals.tasks_per_day and arrivals.day[0] == arrivals.day[1] and not arrivals.night:
        found.append(("arrivals", "the day has no hours, and none come at night: there is no time for tasks"))
    whole = operators.late + operators.lost + operators.fails + operators.unsure
    if whole > 0.95:
        found.append(
            ("operators", f"late, lost, fails and unsure make up {whole:g} of all wakes, not at most 0.95")
        )
    if fleet.threads.lease <= fleet.threads.heartbeat:
        why = f"{fleet.threads.lease:g} s is not longer than a heartbeat's {fleet.threads.heartbeat:g} s"
        found.append(("threads.lease", f"{why}: leases would lapse in every turn"))
    if not fleet.prices.currency.isprintable() or not 1 <= len(fleet.prices.currency) <= 8:
        found.append(("prices.currency", "it is 1 to 8 printable characters"))
    return found
