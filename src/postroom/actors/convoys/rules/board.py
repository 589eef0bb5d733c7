"""A run in play: where everything stands, and what its last changes ask for.

The modules beside this one say what has happened (``attempts``, ``orders``, ``coming``) and what follows
(``starting``, ``retrying``, ``failing``, ``ending``). What has to be done collects in ``actions``, what
is to be put on record in ``events``. Times are wall seconds, given by the caller.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from .. import events as e
from ..plan import Convoy, Task
from .actions import Action, Await
from .breakers import Breakers
from .index import Index
from .standing import Standing, TaskState
from .states import ConvoyStatus, TaskStatus, convoy_moved, moved


class Board:
    """One run. ``plan`` is the convoy's tasks by id, ``tasks`` where each stands, in the same order.

    ``unserved`` are tasks that wait for an agent to be asked again, by the agent that the plan names.
    """

    def __init__(
        self, convoy: Convoy, plan: dict[str, Task], standing: Standing, tasks: dict[str, TaskState]
    ) -> None:
        self.convoy = convoy
        self.plan = plan
        self.standing = standing
        self.tasks = tasks
        self.index = Index(plan, tasks)
        self.breakers = Breakers(convoy, standing.breakers)
        self.actions: list[Action] = []
        self.events: list[e.Event] = []
        self.changed: dict[str, None] = {}
        self.added: list[str] = []
        self.unserved: dict[str, list[str]] = {}

    @property
    def status(self) -> ConvoyStatus:
        """Where the convoy is."""
        return self.standing.status

    def taken(self) -> tuple[list[Action], list[e.Event], list[str], list[str]]:
        """Take off what the last verbs led to: actions, events, tasks that changed, tasks that came in."""
        taken = (self.actions, self.events, list(self.changed), self.added)
        self.actions, self.events, self.changed, self.added = [], [], {}, []
        return taken

    # The one place where a status changes

    def move(self, id: str, verb: str) -> TaskState:
        """Change the status of a task along the table. Raises ``IllegalMove``."""
        state = self.tasks[id]
        before = state.status
        state.status = moved(verb, before)
        self.index.moved(id, before, state.status)
        self.changed[id] = None
        return state

    def move_convoy(self, verb: str) -> None:
        """Change the status of the convoy along the table. Raises ``IllegalMove``."""
        self.standing.status = convoy_moved(verb, self.standing.status)

    # Waiting for a place

    def ready(self, ids: Iterable[str]) -> None:
        """Let those of these tasks wait for a place that need nobody any more."""
        for id in self.index.met(ids):
            if self.tasks[id].status is TaskStatus.PENDING:
                self.move(id, "ready")
                self.index.offer(id)

    def hear_breakers(self) -> None:
        """Put on record what became of breakers; who waited for an agent that is back may start."""
        breakers = self.breakers
        changes, breakers.changed = breakers.changed, []
        freed, breakers.freed = set(breakers.freed), []
        self.events += (e.AgentBreaker(agent, state) for agent, state in changes)
        for name in list(self.unserved) if freed else ():
            if any(agent.name in freed for agent in breakers.chain(name)):
                self.offer_unserved(name)

    def offer_again(self, id: str) -> None:
        """A task that rested waits for a place."""
        self.tasks[id].resting = False
        self.changed[id] = None
        self.index.offer(id)

    # Waiting for an agent: who does is offered again as one, so one timer is enough for all

    def set_aside(self, id: str, seconds: float) -> None:
        """A task waits for its agent, or for a fallback of it, which may be asked in so many seconds."""
        agent, state = self.plan[id].agent, self.tasks[id]
        if agent not in self.unserved:
            self.actions.append(Await(agent, seconds))
        self.unserved.setdefault(agent, []).append(id)
        why = f"agent {agent} has failed too often and is left alone for a while"
        if state.reason != why:
            state.reason = why
            self.changed[id] = None

    @property
    def anybody_unserved(self) -> bool:
        """Whether a task waits for its agent that nobody has cancelled since."""
        ids = chain.from_iterable(self.unserved.values())
        return any(self.tasks[id].status is TaskStatus.WAITING for id in ids)

    def offer_unserved(self, agent: str) -> None:
        """Let those wait for a place who waited for this agent."""
        for id in self.unserved.pop(agent, ()):
            self.index.offer(id)
