"""Circuit breakers: an agent that fails again and again is left alone for a while, then tried once.

The three states and the single probe are those of Nygard, "Release It!" (2007), chapter 5.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import NamedTuple

from ..plan import LOCAL, Agent, Convoy
from .standing import Breaker

CLOSED, OPEN, HALF_OPEN = "closed", "open", "half-open"

BREAKER_MOVES = {
    ("fail", CLOSED): CLOSED,
    ("trip", CLOSED): OPEN,
    ("probe", OPEN): HALF_OPEN,
    ("succeed", CLOSED): CLOSED,
    ("succeed", HALF_OPEN): CLOSED,
    ("fail", HALF_OPEN): OPEN,
    ("give up", HALF_OPEN): OPEN,
}
"""What ``verb`` makes of a state. What is not listed changes nothing: it is news of an earlier time."""


class Choice(NamedTuple):
    """Who does a task: ``agent``; or nobody before ``at``. ``instead_of`` is whom a fallback stands for."""

    agent: str = ""
    instead_of: str = ""
    at: float = 0.0


class Breakers:
    """The breakers of a run.

    ``changed`` has what each verb did: agent and new state. ``freed`` are agents that could not be
    asked before and may be asked now.
    """

    def __init__(self, convoy: Convoy, kept: MutableMapping[str, Breaker]) -> None:
        self._convoy = convoy
        self._kept = kept
        self.changed: list[tuple[str, str]] = []
        self.freed: list[str] = []

    def chain(self, name: str) -> list[Agent]:
        """An agent, its fallback, the fallback of that, and so on; each once."""
        found: dict[str, Agent] = {}
        while name and name not in found:
            found[name] = self._convoy.agent(name)
            name = found[name].fallback
        return list(found.values())

    def choose(self, task: str, name: str, now: float) -> Choice:
        """Who does this task now, asking the fallbacks of an agent in turn.

        If that is an agent whose rest is over, the task becomes its one probe.
        """
        if name == LOCAL:
            return Choice(LOCAL)
        times: list[float] = []
        for agent in self.chain(name):
            at = self._left_alone_until(agent, now)
            if at <= now:
                self._probe(agent.name, task)
                return Choice(agent.name, name if agent.name != name else "")
            times.append(at)
        return Choice(at=min(times))

    def succeeded(self, name: str, task: str) -> None:
        """An agent has done its part of a task. While it is tried, only its probe speaks for it."""
        breaker = self._kept.get(name)
        if breaker is None or _is_old_news(breaker, task):
            return
        was = breaker.state
        if self._move(name, "succeed", breaker):
            breaker.failures, breaker.probe = 0, ""
            if was != CLOSED:
                self.freed.append(name)

    def failed(self, name: str, task: str, now: float) -> None:
        """An agent has failed. Once it has done so ``threshold`` times in a row it is left alone.

        Tasks that say themselves what to run have nothing in common but this: they have no breaker.
        """
        if name == LOCAL:
            return
        breaker = self._kept.setdefault(name, Breaker())
        if _is_old_news(breaker, task):
            return
        breaker.failures += breaker.state == CLOSED
        trips = breaker.state == CLOSED and breaker.failures >= self._convoy.agent(name).threshold
        if self._move(name, "trip" if trips else "fail", breaker) and breaker.state == OPEN:
            breaker.since, breaker.probe = now, ""

    def given_up(self, name: str, task: str) -> None:
        """A task was cut short, or did not get as far as the agent: if it was the probe, another may be."""
        breaker = self._kept.get(name)
        if breaker is not None and breaker.probe == task and self._move(name, "give up", breaker):
            breaker.probe = ""
            self.freed.append(name)

    def _left_alone_until(self, agent: Agent, now: float) -> float:
        breaker = self._kept.get(agent.name)
        if breaker is None or breaker.state == CLOSED:
            return now
        if breaker.state == HALF_OPEN:
            return now + agent.cooldown
        return max(now, breaker.since + agent.cooldown)

    def _probe(self, name: str, task: str) -> None:
        breaker = self._kept.get(name)
        if breaker is not None and self._move(name, "probe", breaker):
            breaker.probe = task

    def _move(self, name: str, verb: str, breaker: Breaker) -> bool:
        """Make a move, if it is one; whether it was."""
        after = BREAKER_MOVES.get((verb, breaker.state))
        if after is None:
            return False
        if after != breaker.state:
            breaker.state = after
            self.changed.append((name, after))
        return True


def _is_old_news(breaker: Breaker, task: str) -> bool:
    """Whether this task was begun before the agent was left alone: now its probe decides."""
    return breaker.state == HALF_OPEN and breaker.probe != task
