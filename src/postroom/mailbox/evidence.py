"""What was said to be done, and how much of it a check found otherwise: one record for each run of a convoy.

A claim of whoever does the work proves nothing; how often such claims were refuted tells what they are worth.
"""

from __future__ import annotations

from msgspec import Struct

from .keeping import Kept


class Claims(Struct, frozen=True, gc=False):
    """``made``: attempts that ended with the word that the task is done; ``refuted``: the failed of them."""

    made: int = 0
    refuted: int = 0


CLAIMS = Kept("postroom/claims", "run", Claims)
"""By the id of the run; kept when the run begins, pauses and ends."""
