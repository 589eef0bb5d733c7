"""Starting those who see to the reviews of a run."""

from __future__ import annotations

from functools import partial

from ...system import System
from ..names import reviewer_of, reviewing_of
from ..plan import Reviewing as Rules
from ..work.halts import Halts
from .reviewer import Reviewer
from .reviewing import Reviewing


async def start_reviewing(office: System, run: str, rules: Rules, halts: Halts) -> None:
    """Start them. At once, there are as many reviewers as there may be reviews, or as a panel has.

    Raises what ``System.start`` raises.
    """
    at_once = max(rules.concurrency, rules.panel_size)
    await office.start(reviewer_of(run), partial(Reviewer, halts), concurrency=at_once)
    await office.start(reviewing_of(run), Reviewing)
