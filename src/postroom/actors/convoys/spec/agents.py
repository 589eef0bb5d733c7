"""Who does tasks and who reviews them, as a file declares it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..blanks import Path
from ..plan import LOCAL, Agent, Budget, Reviewer, Reviewing
from . import keys
from .faults import Faults
from .graph import cycles_in, told
from .parts import pick
from .shapes import NAME, Table, fitting, table_of

WAYS = ("command", "call", "inbox")


def read_agents(table: Table, path: Path, faults: Faults) -> tuple[Agent, ...]:
    """The agents, each with a fallback that is there, and that leads to no circle."""
    agents: list[Agent] = []
    for name, item in table.items():
        here = (*path, name)
        if not NAME.fits(name):
            faults.add(here, "an agent's name is 1 to 128 characters")
        if name == LOCAL:
            faults.add(here, f"{LOCAL} is whoever does tasks that are no prompts", "give it another name")
        agents.append(_agent(name, item, here, faults))
    names = [agent.name for agent in agents]
    for agent in agents:
        if agent.fallback and agent.fallback not in names:
            do = faults.hint(agent.fallback, names)
            faults.add((*path, agent.name, "fallback"), f"no agent is named {agent.fallback}", do)
    for ring in cycles_in({agent.name: [agent.fallback] for agent in agents if agent.fallback}):
        where = (*path, ring[0], "fallback")
        faults.add(where, f"stand in for each other: {told(ring)}", "remove one of these")
    return tuple(agents)


def _agent(name: str, item: object, path: Path, faults: Faults) -> Agent:
    kept = fitting(item, keys.AGENT, path, faults)
    if table_of(item) is not None:
        pick(table_of(item) or {}, WAYS, path, faults)
    return Agent(name, **kept)


def pulling(agents: Iterable[Agent]) -> set[str]:
    """The agents that may send a task to whoever pulls, by themselves or by one that stands in."""
    known = {agent.name: agent for agent in agents}
    found: set[str] = set()
    for name in known:
        seen: list[str] = []
        at: str = name
        while at in known and at not in seen and not known[at].inbox:
            seen.append(at)
            at = known[at].fallback
        if at in known and known[at].inbox:
            found.update((*seen, at))
    return found


def read_reviewing(value: Table, path: Path, faults: Faults) -> Reviewing:
    """How tasks are reviewed, and by whom."""
    kept = fitting(value, keys.REVIEW, path, faults)
    items: Sequence[object] = kept.pop("reviewers", ())
    reviewers = tuple(_reviewer(item, (*path, "reviewers", n), faults) for n, item in enumerate(items))
    names = [reviewer.name for reviewer in reviewers]
    for n, name in enumerate(names):
        if name and name in names[:n]:
            faults.add((*path, "reviewers", n, "name"), f"{name} is named twice", "name it anew")
    given: dict[str, Any] = {keys.REVIEW_FIELDS[key]: item for key, item in kept.items()}
    reviewing = Reviewing(reviewers=reviewers, **given)
    if reviewing.blocks > reviewing.panel_size:
        faults.add(
            (*path, "blocks"),
            f"a panel of {reviewing.panel_size} never has {reviewing.blocks} votes",
            "lower blocks, or raise panel_size",
        )
    return reviewing


def _reviewer(item: object, path: Path, faults: Faults) -> Reviewer:
    kept = fitting(item, keys.REVIEWER, path, faults)
    table = table_of(item)
    if table is not None:
        pick(table, WAYS, path, faults)
        if "name" not in table:
            faults.add(path, "has no name", "give it one")
    kept.setdefault("name", "")
    return Reviewer(**kept)


def read_budget(value: Table, path: Path, faults: Faults) -> Budget:
    """What a run may spend."""
    return Budget(**fitting(value, keys.BUDGET, path, faults))
