"""How a loop says no. Each has a stable code; what was changed all the same is said in its docstring."""

from __future__ import annotations

from ...store.errors import Conflict, Refused


class StaleIteration(Conflict):
    """The iteration that was named is not the one the loop is in. Nothing was changed."""

    code = "stale_requested_iteration"


class MissingEvidence(Refused):
    """An iteration ends only with the evidence that its loop requires. Nothing was changed."""

    code = "missing_evidence"


class MaxIterationsReached(Refused):
    """There is no iteration left. The loop is paused and its manager was asked."""

    code = "max_iterations_reached"


class BudgetReached(Refused):
    """A budget is spent. Nothing of the request was done; the loop is paused and its manager was asked."""

    code = "budget_reached"


class LoopPaused(Refused):
    """The loop waits for an answer about its budget. Nothing was changed."""

    code = "loop_paused"


class NudgesExpired(Refused):
    """The time in which nudges were allowed is over. Nothing was changed."""

    code = "nudges_expired"


class Forbidden(Refused):
    """The task lacks the permission for this. Nothing was changed."""

    code = "permission_missing"


class IllegalMove(Refused):
    """No legal move leads there from the present state. Nothing was changed."""

    code = "illegal_move"
