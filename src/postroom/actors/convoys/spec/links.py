"""What the parts of a convoy say of each other: whether it is there, and leads to no circle."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from ..blanks import Path
from ..plan import LOCAL, Convoy, Hook, HookKind, Input, OnOverlap, Reviewing, Route, Task
from . import keys
from .agents import pulling
from .faults import Faults
from .graph import Order, cycles_in, told
from .overlaps import overlaps
from .spelling import check_spelling

MOST_OVERLAPS = 20
"""Overlaps that are told of one file."""


def check_links(convoy: Convoy, declared: Iterable[str], faults: Faults) -> None:
    """Note what does not fit together. ``declared`` are the names of all tasks, also of those unread."""
    tasks, names = {task.id: task for task in convoy.tasks}, dict.fromkeys(declared)
    for task in convoy.tasks:
        _check_needs(task, tasks, names, faults)
        _check_doer(task, convoy, faults)
        _check_hooks(task.hooks, ("tasks", task.id, "hooks"), convoy, faults)
    _check_hooks(convoy.hooks, ("convoy", "hooks"), convoy, faults)
    _check_reviewers(convoy, faults)
    check_spelling(convoy, faults)
    if sum(len(task.outputs) for task in convoy.tasks) > keys.MOST_OUTPUTS:
        faults.add(("tasks",), f"have more than {keys.MOST_OUTPUTS} outputs together", "make fewer")
    rings = list(cycles_in({task.id: task.needs for task in convoy.tasks}))
    for ring in rings:
        key = "depends_on" if ring[1] in tasks[ring[0]].depends_on else "inputs"
        where = ("tasks", ring[0], key)
        faults.add(where, f"need each other: {told(ring)}", "remove one of these")
    if convoy.on_overlap is OnOverlap.REFUSE and not rings:
        _check_overlaps(convoy, faults)


def _check_needs(task: Task, tasks: Mapping[str, Task], declared: Collection[str], faults: Faults) -> None:
    for n, other in enumerate(task.depends_on):
        path: Path = ("tasks", task.id, "depends_on", n)
        if other not in declared:
            faults.add(path, f"no task is named {other}", _meant(other, task, declared, faults))
        elif other in task.depends_on[:n]:
            faults.add(path, f"{other} is named twice", "name it once")
    for given in task.inputs:
        path = ("tasks", task.id, "inputs", given.name)
        if given.task not in declared:
            faults.add(path, f"no task is named {given.task}", _meant(given.task, task, declared, faults))
        elif given.task in tasks:
            _check_output(given, path, tasks[given.task], faults)


def _check_output(given: Input, path: Path, maker: Task, faults: Faults) -> None:
    outputs = [output.name for output in maker.outputs]
    if given.output not in outputs and not faults.touch(("tasks", maker.id, "outputs")):
        do = faults.hint(given.output, outputs) or f"declare it among the outputs of {maker.id}"
        faults.add(path, f"{maker.id} has no output {given.output}", do)


def _meant(name: str, task: Task, declared: Collection[str], faults: Faults) -> str:
    """Another task that may have been meant."""
    return faults.hint(name, (other for other in declared if other != task.id))


def _check_doer(task: Task, convoy: Convoy, faults: Faults) -> None:
    """A prompt needs an agent to read it; whoever pulls is sent a prompt and nothing else."""
    path: Path = ("tasks", task.id, "agent")
    if task.has_prompt and task.agent == LOCAL:
        faults.add(path, "a prompt needs an agent", "name one of [agents], here or under [defaults]")
    elif not task.work.prompt and task.agent in pulling(convoy.agents):
        faults.add(
            path,
            f"{task.agent} is sent prompts, and this task is none",
            "say it as a prompt, or name an agent without an inbox",
        )


def _check_hooks(hooks: Sequence[Hook], path: Path, convoy: Convoy, faults: Faults) -> None:
    names = [agent.name for agent in convoy.agents]
    for n, hook in enumerate(hooks):
        here = (*path, n)
        if hook.kind is HookKind.REVIEW and not convoy.reviewing.reviewers:
            faults.add(here, "a hook that reviews needs a reviewer", "declare [[review.reviewers]]")
        elif hook.agent and hook.agent not in names:
            faults.add((*here, "agent"), f"no agent is named {hook.agent}", faults.hint(hook.agent, names))
        elif hook.agent and convoy.agent(hook.agent).inbox:
            faults.add((*here, "agent"), f"{hook.agent} pulls, and a hook cannot wait", "name another")


def _check_reviewers(convoy: Convoy, faults: Faults) -> None:
    """Whoever may be asked to review is there: a missing reviewer never passes anything."""
    reviewing, count = convoy.reviewing, len(convoy.reviewing.reviewers)
    told: dict[Route, Path] = {reviewing.route: ("review", "route")}
    for task in convoy.tasks:
        if task.review is not None:
            told.setdefault(task.review, ("tasks", task.id, "review"))
    for route, path in told.items():
        needed = _reviewers_of(route, reviewing)
        if count < needed:
            faults.add(
                path,
                f"{route} takes {needed} reviewer{'s' if needed > 1 else ''}, and there {_are(count)}",
                "declare more [[review.reviewers]]" + (", or lower panel_size" if needed > 1 else ""),
            )


def _reviewers_of(route: Route, reviewing: Reviewing) -> int:
    """How many reviewers a route may take. ``auto`` takes a panel for paths that only the run shows."""
    panels = route is Route.PANEL or (
        route is Route.AUTO and bool(reviewing.panel_paths or reviewing.panel_agents)
    )
    if panels:
        return reviewing.panel_size
    return 0 if route is Route.NONE else 1


def _are(count: int) -> str:
    return {0: "are none", 1: "is 1"}.get(count, f"are {count}")


def _check_overlaps(convoy: Convoy, faults: Faults) -> None:
    order = Order({task.id: task.needs for task in convoy.tasks})
    for n, found in enumerate(overlaps(convoy.tasks, order)):
        if n == MOST_OVERLAPS:
            return
        faults.add(
            ("tasks", found.second, "files", found.at),
            f"{found.file} is {found.first}'s too, and both could run at once",
            'let one depend on the other, or say on_overlap = "serialise"',
        )
