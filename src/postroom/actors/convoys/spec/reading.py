"""Read a convoy file: from TOML to a ``Convoy``, or to every fault it has."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping
from typing import Any

from ..plan import AUTO_CAP, DEFAULT_CONCURRENCY, Convoy, HookPoint, Task
from . import keys
from .agents import read_agents, read_budget, read_reviewing
from .allowing import read_allowed
from .faults import Faults
from .filling import values_of
from .links import check_links
from .naming import Names, names_given
from .parsing import parsed
from .parts import OF_TASK, read_gates, read_hooks
from .paths import check_folder
from .programs import Programs
from .shapes import Table, fitting
from .tasks import Tasks


def read_convoy(
    file: pathlib.Path, settings: Mapping[str, str] | None = None, *, processors: int | None = None
) -> Convoy:
    """The convoy a file declares, with ``settings`` in place of its ``[input]`` values.

    ``processors`` is what ``concurrency = "auto"`` means; without it, those this process may use.
    Raises ``BadFile``, a ``BadInput`` with everything that is wrong. Imports the modules of its
    callables; nothing else is run or changed.
    """
    text, raw = parsed(file)
    faults = Faults(str(file), text)
    convoy = _convoy(raw, file, settings or {}, processors or len(os.sched_getaffinity(0)), faults)
    Programs(faults).check(convoy)
    faults.settle()
    return convoy


def whole_path(file: pathlib.Path) -> pathlib.Path:
    """The path from the root, without ``..``: what names a file whatever the current folder is."""
    return pathlib.Path(os.path.abspath(file))  # noqa: PTH100  # Path.absolute keeps ".."


def _convoy(
    raw: Table, file: pathlib.Path, settings: Mapping[str, str], processors: int, faults: Faults
) -> Convoy:
    top = fitting(raw, keys.TOP, (), faults)
    said = dict(top.get("convoy", {}))
    place = said.pop("folder", ".")
    given = place if isinstance(place, str) else "."
    folder, values = values_of(top.get("input", {}), settings, given, whole_path(file).parent, faults)

    def section(name: str) -> Any:
        return values.filled(top.get(name, {}), (name,))

    said = {**values.filled(said, ("convoy",)), "folder": folder if isinstance(place, str) else place}
    head = fitting(said, keys.CONVOY, ("convoy",), faults)
    if given != ".":
        check_folder(folder, ("convoy", "folder"), faults)
    gates = read_gates(head.get("gates", ()), ("convoy", "gates"), faults)
    hooks = read_hooks(head.get("hooks", ()), tuple(HookPoint), ("convoy", "hooks"), faults)
    names = Names((), names_given(gates, hooks), faults)
    gates, hooks = names.named(gates, ("convoy", "gates")), names.named(hooks, ("convoy", "hooks"))
    agents = read_agents(section("agents"), ("agents",), faults)
    taken = [hook.name for hook in hooks if hook.on in OF_TASK]
    reader = Tasks(folder, values, taken, [agent.name for agent in agents], faults)
    reader.share(top.get("defaults", {}), stop=head.get("on_failure") == keys.STOP)
    convoy = Convoy(
        name=head.get("name", file.stem),
        concurrency=_concurrency(head, processors, faults),
        tasks=_tasks(raw, top, reader, faults),
        folder=folder,
        agents=agents,
        gates=gates,
        hooks=hooks,
        reviewing=read_reviewing(section("review"), ("review",), faults),
        budget=read_budget(section("budget"), ("budget",), faults),
        allowed=read_allowed(top.get("secrets", {}), ("secrets",), faults),
        **_given(head, {"on_overlap": "on_overlap", "max_injections": "injections"}),
    )
    check_links(convoy, top.get("tasks", {}), faults)
    return convoy


def _tasks(raw: Table, top: Table, reader: Tasks, faults: Faults) -> tuple[Task, ...]:
    if raw.get("tasks", {}) == {}:
        faults.add(("tasks",), "there are none", "declare at least one, such as [tasks.build]")
    declared: Table = top.get("tasks", {})
    if len(declared) > keys.MOST_TASKS:
        faults.add(
            ("tasks",), f"there are {len(declared)}, at most {keys.MOST_TASKS} are taken", "split them"
        )
        return ()
    tasks = (reader.read(id, value) for id, value in declared.items())
    return tuple(task for task in tasks if task is not None)


def _concurrency(head: Table, processors: int, faults: Faults) -> int:
    given: int | str = head.get("concurrency", DEFAULT_CONCURRENCY)
    if given == keys.AUTO_WORD:
        return min(processors, int(head.get("max_concurrency", AUTO_CAP)))
    if "max_concurrency" in head:
        path = ("convoy", "max_concurrency")
        faults.add(path, f'only concurrency = "{keys.AUTO_WORD}" has that', "lower concurrency itself")
    return int(given)


def _given(kept: Table, fields: Mapping[str, str]) -> dict[str, Any]:
    """What a table says, by the attributes that its keys become."""
    return {attribute: kept[key] for key, attribute in fields.items() if key in kept}
