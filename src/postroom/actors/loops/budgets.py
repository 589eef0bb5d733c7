"""Budgets: what a loop may use up, what it has used, and what happens when that is too much.

A budget that is spent pauses the loop and its worker's inbox and asks the manager, in one transaction.
What nobody reports is *not reported*; it never counts as nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from ...mailbox import wakes
from ...mailbox.moments import age_us
from ...store.clock import MICROS
from ...store.errors import BadInput, Conflict
from ...store.records import Switch, Unrouted
from .errors import BudgetReached
from .states import LoopState, moved

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...mailbox.pairs import Binding
    from ...store.port import Store
    from .change import Change
    from .records import Loop

BUDGETS: dict[str, str] = {
    "iterations": "iterations of the loop",
    "nudges": "nudges that the manager sends",
    "turns": "messages that the worker has settled",
    "wakes": "wakes of the worker",
    "tokens": "tokens, as they are reported",
    "seconds": "seconds since the loop was started",
}
USED_UP = ("turns", "wakes", "tokens", "seconds")
"""Budgets that are spent as time goes by; the others when somebody asks for one more."""

REPORTED = ("tokens",)
MOST = 1 << 53
MOST_OF = {"seconds": 366 * 86_400, "iterations": 10_000}


class Use(Struct, frozen=True):
    """One budget: ``limit`` is None if there is none, ``used`` if nobody has reported it."""

    limit: int | None
    used: int | None

    @property
    def spent(self) -> bool:
        """Whether nothing is left of it."""
        return self.limit is not None and self.used is not None and self.used >= self.limit

    @property
    def word(self) -> str:
        """``not reported``, ``spent``, ``unlimited`` or ``left``."""
        if self.used is None:
            return "not reported"
        return "spent" if self.spent else "unlimited" if self.limit is None else "left"


def counted(store: Store, binding: Binding) -> dict[str, int]:
    """What the store has counted for all time of the worker; a name is missing if nothing counts it."""
    found: dict[str, int] = {}
    for counts in store.counts(binding.worker):
        found["turns"] = counts.done + counts.dead + counts.retried
    wake, version = wakes.find(store, binding.worker)
    if version:
        under_way = wake.state in wakes.UNDER_WAY
        found["wakes"] = wake.useful + wake.empty + wake.lost + under_way
    return found


def usage(store: Store, binding: Binding, loop: Loop) -> dict[str, Use]:
    """Every budget of a loop, with what of it is used."""
    used: dict[str, int] = {"iterations": loop.iteration, "nudges": loop.spent.get("nudges", 0)}
    used |= {name: loop.spent[name] for name in REPORTED if name in loop.spent}
    if loop.started is not None:
        used |= {name: max(0, n - loop.base.get(name, 0)) for name, n in counted(store, binding).items()}
        used["seconds"] = age_us(store.clock, loop.started) // MICROS
    return {name: Use(loop.limits.get(name), used.get(name)) for name in BUDGETS}


def check_limits(limits: Mapping[str, int]) -> dict[str, int]:
    """``limits`` if all are known budgets and sensible numbers. Raises ``BadInput``."""
    for name, limit in limits.items():
        if name not in BUDGETS:
            raise BadInput(f"no budget {name[:60]!r}", f"there are {', '.join(BUDGETS)}", "take one of them")
        most = MOST_OF.get(name, MOST)
        if not 1 <= limit <= most:
            raise BadInput(f"{name} is {limit}", f"it must lie in 1 to {most}", "choose another")
    return dict(limits)


def overrun(change: Change) -> str | None:
    """The first budget that is used up and stops a running loop, if any."""
    if change.loop.state is not LoopState.RUNNING:
        return None
    found = usage(change.store, change.binding, change.loop)
    return next((name for name in USED_UP if found[name].spent), None)


def pause(change: Change, budget: str) -> None:
    """Pause the loop and its worker's inbox, and ask the manager what to do."""
    use = usage(change.store, change.binding, change.loop)[budget]
    task = change.binding.task
    change.update(state=moved(change.loop.state, "pause"), paused_by=budget)
    change.note("paused", "postroom/loop", budget=budget, limit=use.limit, used=use.used)
    change.pause_worker(Switch.PAUSE)
    # It must not fail for want of room: a manager that is gone gets a bounce instead.
    change.send(
        change.binding.manager,
        "budget_reached",
        {
            "budget": budget,
            "limit": use.limit,
            "used": use.used,
            "iteration": change.loop.iteration,
            "question": f"the {budget} of task {task} are spent: go on with more, or finish?",
            "commands": [
                f"postroom loop resume {task} --add {budget}=N",
                f"postroom finish {task} --force --reason R",
            ],
        },
        priority="high",
        unrouted=Unrouted.HOLD,
        bounded=False,
    )


def enforce(change: Change) -> str | None:
    """Pause the loop if a budget is used up; answers which."""
    budget = overrun(change)
    if budget is not None:
        pause(change, budget)
    return budget


def refused(change: Change) -> bool:
    """Whether a budget forbids to go on; the change then pauses the loop and is refused."""
    budget = enforce(change)
    if budget is not None:
        change.refusal = reached(change.binding.task, budget)
    return budget is not None


def reached(task: str, budget: str) -> BudgetReached:
    """The refusal of one who wants more than a budget has."""
    return BudgetReached(
        f"the {budget} of task {task} are spent",
        "the loop is paused until its manager answers",
        f"run: postroom loop resume {task} --add {budget}=N",
    )


def spend(change: Change, budget: str, amount: int, key: str | None) -> bool:
    """Report that so much more of a budget is used; whether that was known under ``key``.

    Raises ``BadInput``, and ``Conflict`` if the key was used for something else.
    """
    if budget not in REPORTED:
        raise BadInput(
            f"{budget[:60]} are not reported", f"reported are {', '.join(REPORTED)}", "the others are counted"
        )
    if not 0 <= amount <= MOST:
        raise BadInput(f"the amount is {amount}", f"it must lie in 0 to {MOST}", "choose another")
    content = f"spend {budget} {amount}"
    if change.once(key, content) is not None:
        return True
    total = change.loop.spent.get(budget, 0) + amount
    change.update(spent={**change.loop.spent, budget: total})
    change.note("spent", "postroom/loop", budget=budget, amount=amount, total=total)
    change.remember(key, content, {})
    enforce(change)
    return False


def resume(change: Change, more: Mapping[str, int]) -> None:
    """Raise limits by ``more`` and let a paused loop and its worker go on.

    Raises ``BadInput``, ``IllegalMove`` if it is not paused, and ``Conflict`` if a budget would stop it
    again at once.
    """
    check_limits(more)
    state = moved(change.loop.state, "resume")
    paused_by = change.loop.paused_by
    limits = dict(change.loop.limits)
    for name, amount in more.items():
        if name not in limits:
            raise BadInput(f"{name} has no limit", "there is nothing to add to", "leave it out")
        limits[name] += amount
    change.update(limits=check_limits(limits))
    found = usage(change.store, change.binding, change.loop)
    still = [name for name in USED_UP if found[name].spent]
    if paused_by in found and found[paused_by].spent and paused_by not in still:
        still.append(paused_by)
    if still:
        raise Conflict(
            f"the {still[0]} of task {change.binding.task} are still spent",
            f"{found[still[0]].used} of {found[still[0]].limit} are used",
            f"add more: --add {still[0]}=N",
        )
    change.update(state=state, paused_by=None)
    change.note("resumed", change.binding.manager, added=dict(more))
    change.pause_worker(Switch.RESUME)
