"""The budget of a run: how the command line adds to it, and how much of it is used."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from ..store.errors import BadInput

if TYPE_CHECKING:
    from ..actors.convoys.messages import Allow
    from ..actors.convoys.plan import Convoy
    from ..actors.convoys.rules.standing import Standing

WHAT = ("turns", "tokens", "seconds")
METAVAR = "turns=N,tokens=N,seconds=S"
MOST = 10**12


class Used(NamedTuple):
    """What a run has used up of a thing that is bounded, with what was allowed besides."""

    what: str
    used: float
    bound: float

    def __str__(self) -> str:
        return f"{self.used:g} of {self.bound:g} {self.what}"


def read_allowance(text: str) -> dict[str, float]:
    """What ``turns=5,tokens=1000`` adds. Raises ``BadInput``."""
    more: dict[str, float] = {}
    for part in text.split(","):
        what, _, number = part.strip().partition("=")
        if what not in WHAT or what in more:
            raise BadInput(f"--allow {part[:60]}", f"it takes {METAVAR}, each once", "for example turns=5")
        more[what] = _amount(what, number)
    return more


def _amount(what: str, text: str) -> float:
    try:
        number = float(text) if what == "seconds" else int(text)
    except ValueError:
        number = math.nan
    if not 0 < number <= MOST:
        raise BadInput(f"{what}={text[:60]}", f"it is a number above 0 and at most {MOST:g}", "give another")
    return number


def allow_order(more: dict[str, float], by: str) -> Allow:
    """The order that adds this to the budget of a run."""
    from ..actors.convoys.messages import Allow
    from ..actors.convoys.rules.standing import Spent

    turns, tokens = (round(more.get(what, 0)) for what in ("turns", "tokens"))
    return Allow(Spent(turns, tokens, float(more.get("seconds", 0.0))), by)


def used_of(convoy: Convoy, standing: Standing) -> list[Used]:
    """How much of its budget a run has used, as far as it has one."""
    from ..actors.convoys.rules.starting import spending

    return [Used(what, round(used, 1), bound) for what, used, bound in spending(convoy.budget, standing)]
