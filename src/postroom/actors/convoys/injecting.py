"""A task that is added to a run: read from a file of its own, and checked against all the run has."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from attrs import evolve

from ...store.errors import BadInput
from .messages import Inject
from .plan import Convoy, OnOverlap, Task
from .spec import keys
from .spec.faults import Faults
from .spec.filling import values_of
from .spec.links import check_links
from .spec.parsing import parsed
from .spec.parts import OF_TASK
from .spec.programs import Programs
from .spec.shapes import Table, fitting
from .spec.tasks import Tasks

KEY_DIGITS = 16


def injection(file: Path, plan: Convoy, settings: Mapping[str, str], *, by: str, key: str | None) -> Inject:
    """The order that adds the one task of a file to the run of ``plan``, as whom ``by`` names.

    ``settings`` are the inputs that were set for the run. ``key`` makes it safe to say twice; without
    one it is the hash of the file. What a convoy file says under ``[defaults]`` does not hold for it.
    The modules of calls must be importable, as for the run itself. Raises ``BadFile``, a ``BadInput``
    with everything that is wrong. Nothing is run or changed.
    """
    text, raw = parsed(file)
    named = key or sha256(text.encode()).hexdigest()[:KEY_DIGITS]
    task = _read(file, text, raw, plan, settings)
    return Inject(evolve(task, source=f"{by} {named}"), by, named)


def _read(file: Path, text: str, raw: Table, plan: Convoy, settings: Mapping[str, str]) -> Task:
    faults = Faults(str(file), text)
    declared: Table = fitting(raw, {"tasks": keys.TOP["tasks"]}, (), faults).get("tasks", {})
    faults.settle()
    if len(declared) != 1:
        raise BadInput(f"{file} has {len(declared)} tasks", "one is added at a time", "write one [tasks.ID]")
    (id,) = declared
    _, values = values_of(dict(settings), {}, plan.folder, Path(plan.folder), faults)
    taken = [hook.name for hook in plan.hooks if hook.on in OF_TASK]
    reader = Tasks(plan.folder, values, taken, [agent.name for agent in plan.agents], faults)
    task = reader.read(id, declared[id])
    if task is not None:
        others = tuple(other for other in plan.tasks if other.id != id)
        # Whom it overlaps with is judged by the run, which knows who is done.
        whole = evolve(plan, tasks=(*others, task), on_overlap=OnOverlap.SERIALISE)
        check_links(whole, [other.id for other in whole.tasks], faults)
    faults.settle()
    assert task is not None, "why it is none was a fault"
    Programs(faults).check(evolve(plan, tasks=(task,)))
    faults.settle()
    return task
