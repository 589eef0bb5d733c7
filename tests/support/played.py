"""Plays a convoy in this process, to its end, its pause or its interruption."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import trio

from postroom import open_postroom
from postroom.actors.convoys.entering import RunRecord, enter
from postroom.actors.convoys.ledger import Report
from postroom.actors.convoys.ordering import give
from postroom.actors.convoys.plan import Convoy, Gate, Retry, Task, Work
from postroom.actors.convoys.playing import play
from postroom.actors.convoys.wires import convoy_wire
from postroom.store.port import Store


def shell(folder: Path, id: str, line: str, *depends_on: str, retries: int = 0, gate: str = "") -> Task:
    """A task that is a line for the shell, and has a gate that is another."""
    gates = (Gate(f"{id}-gate", command=("sh", "-c", gate)),) if gate else ()
    return Task(
        id,
        str(folder),
        Work(("sh", "-c", line)),
        depends_on=depends_on,
        gates=gates,
        retry=Retry(retries, backoff=0),
    )


async def played(
    store: Store,
    folder: Path,
    *tasks: Task,
    run: str = "r1",
    resume: bool = False,
    stop_when: Callable[[Report], bool] | None = None,
) -> Report:
    """Enter a run of these tasks, or resume it, and play it; its logs are in ``folder``."""
    stop = trio.Event()

    def watch(report: Report) -> None:
        if stop_when is not None and stop_when(report):
            stop.set()

    async with open_postroom(store, wire=convoy_wire()) as office:
        convoy = Convoy("test", 2, tasks, str(folder))
        if not resume:
            await enter(office, RunRecord(run, "/work.toml", {}), convoy, 'name = "test"\n')
        return await play(office, run, convoy, folder, stop=stop, watch=watch)


async def ordered(store: Store, order: object, run: str = "r1") -> None:
    """Give an order to a run that nobody plays."""
    async with open_postroom(store, wire=convoy_wire()) as office:
        await give(office, run, order)


def has_begun(id: str) -> Callable[[Report], bool]:
    """Whether a task of a report is running."""
    return lambda report: any(row.id == id and row.status == "running" for row in report.tasks)
