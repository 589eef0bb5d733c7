"""One run of a fleet: everything that is decided before anything happens."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct, structs

from ...store.errors import BadInput
from .spec import Fleet, check

FIXED_LEAST, FIXED_MOST = 1, 86_400


class Kind(StrEnum):
    """How threads are woken. ``ECONOMY`` is what postroom does; the others are there to compare with."""

    ECONOMY = "economy"
    FIXED = "fixed"
    BACKOFF = "backoff"


class Policy(Struct, frozen=True):
    """A policy as the command line names it; ``seconds`` is the interval of ``fixed``."""

    kind: Kind
    seconds: int = 0

    def __str__(self) -> str:
        return f"{self.kind}:{self.seconds}s" if self.kind is Kind.FIXED else str(self.kind)


def policy(text: str) -> Policy:
    """``economy``, ``backoff`` or ``fixed:SECONDSs``. Raises ``BadInput``."""
    name, colon, rest = text.partition(":")
    digits = rest.removesuffix("s")
    if name == Kind.FIXED and colon and digits.isascii() and digits.isdigit() and len(digits) < 9:
        seconds = int(digits)
        if not FIXED_LEAST <= seconds <= FIXED_MOST:
            why = f"an interval lies in {FIXED_LEAST} to {FIXED_MOST} s"
            raise BadInput(f"--policy {text}", why, "for example fixed:120s")
        return Policy(Kind.FIXED, seconds)
    if not colon and name in (Kind.ECONOMY, Kind.BACKOFF):
        return Policy(Kind(name))
    known = "known are economy, backoff and fixed:SECONDSs"
    raise BadInput(f"--policy {text[:60]}", known, "for example fixed:120s")


class Options(Struct, frozen=True):
    """A fleet, the seed of all chance in it, and how its threads are woken.

    ``thorough`` has every operation judged as it is committed; otherwise only what a run shows at its
    end, which is all that large fleets can afford.
    """

    fleet: Fleet
    seed: int
    policy: Policy
    thorough: bool

    @property
    def seconds(self) -> float:
        """For how long tasks arrive, in virtual seconds."""
        return self.fleet.fleet.days * 86_400

    @property
    def pairs(self) -> int:
        return self.fleet.fleet.pairs


THOROUGH_TASKS = 10_000
"""Runs with at most so many tasks are judged operation by operation."""


def options(
    fleet: Fleet, *, seed: int, policy: Policy, pairs: int | None = None, days: float | None = None
) -> Options:
    """The options of one run; ``pairs`` and ``days`` win over the file. Raises ``BadInput``."""
    size = fleet.fleet
    wanted = structs.replace(
        size,
        pairs=size.pairs if pairs is None else pairs,
        days=size.days if days is None else days,
    )
    fleet = structs.replace(fleet, fleet=wanted)
    check(fleet, "this fleet")
    tasks = wanted.pairs * wanted.days * fleet.arrivals.tasks_per_day
    return Options(fleet, seed, policy, tasks <= THOROUGH_TASKS)
