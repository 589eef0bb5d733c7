"""Runs as anyone can see them: which there are of a file, and where each stands. Only reads."""

from __future__ import annotations

from typing import Any, TypeVar

from attrs import evolve, frozen

from ...store.port import Store
from ...store.records import Record
from .. import memory
from .entering import RunRecord
from .names import CONVOY, PLAN, RUN, RUNS, TASK, TEXT, manager_of
from .plan import Convoy, Task
from .rules.standing import Standing, TaskState
from .rules.states import ConvoyStatus, is_over
from .wires import convoy_wire

T = TypeVar("T")


@frozen
class Row:
    """One task of a report."""

    task: Task
    state: TaskState

    @property
    def id(self) -> str:
        """The name of the task."""
        return self.task.id

    @property
    def status(self) -> str:
        """Where it is."""
        return self.state.status.value

    @property
    def attempts(self) -> int:
        """How many were begun."""
        return self.state.attempts

    @property
    def seconds(self) -> float:
        """What its attempts took together."""
        return self.state.seconds

    @property
    def reason(self) -> str:
        """Why its last attempt failed, or it was not begun."""
        return self.state.reason


@frozen
class Report:
    """Where a run stands. ``tasks`` is in the order of the file."""

    convoy: str
    run: str
    standing: Standing
    tasks: tuple[Row, ...]

    @property
    def status(self) -> ConvoyStatus:
        """Where the convoy is."""
        return self.standing.status

    def view(self) -> dict[str, Any]:
        """The JSON of the command line."""
        view: dict[str, Any] = {"convoy": self.convoy, "run": self.run, "status": self.status.value}
        if self.standing.paused or self.standing.stopped:
            view["reason"] = self.standing.paused or self.standing.stopped
        return {**view, "tasks": [_row_view(row) for row in self.tasks]}


class Ledger:
    """Reads the runs of one store. What it has read and has not changed since it does not decode again."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._wire = convoy_wire()
        self._known: dict[tuple[str, str, str], tuple[int, Any]] = {}

    def newest(self, file: str, *, unfinished: bool) -> RunRecord | None:
        """The newest run of a file (an absolute path), or the newest that is not over."""
        for run in self.runs():
            if run.file == file and not (unfinished and self.is_over(run.id)):
                return run
        return None

    def runs(self) -> list[RunRecord]:
        """All runs, newest first: their ids are in order of time."""
        records = self._store.records(RUNS, RUN)
        found = [_run(record.key, self._wire.decode(record.value, Any)) for record in records]
        return sorted(found, key=lambda run: run.id, reverse=True)

    def run(self, id: str) -> RunRecord | None:
        """The run of this id."""
        found = self._store.records(RUNS, RUN, id)
        return _run(id, self._wire.decode(found[0].value, Any)) if found else None

    def is_over(self, run: str) -> bool:
        """Whether the run is done or failed. One that was entered but never set out is not."""
        standing = self.standing(run)
        return standing is not None and is_over(standing.status)

    def standing(self, run: str) -> Standing | None:
        """Where the convoy stands; None before it has set out."""
        return self._one(run, memory.KIND, "", Standing)

    def text(self, run: str) -> str:
        """The file of the run as it was resolved when it was entered; empty if there was none."""
        return "".join(self._all(run, TEXT, str).values())

    def plan(self, run: str) -> Convoy | None:
        """What the run does, with what was added to it; None if it was never entered."""
        convoy = self._one(run, CONVOY, "", Convoy)
        if convoy is None:
            return None
        tasks = tuple(self._all(run, PLAN, Task).values())
        return evolve(convoy, tasks=tasks)

    def report(self, run: str) -> Report | None:
        """Where the run stands; None before it has set out."""
        standing, convoy = self.standing(run), self.plan(run)
        if convoy is None or standing is None:
            return None
        states = self._all(run, TASK, TaskState)
        rows = tuple(Row(task, states.get(task.id) or TaskState()) for task in convoy.tasks)
        return Report(convoy.name, run, standing, rows)

    def _one(self, run: str, kind: str, key: str, as_type: type[T]) -> T | None:
        records = self._store.records(manager_of(run), kind, key)
        return self._decode(records[0].value, as_type) if records else None

    def _all(self, run: str, kind: str, as_type: type[T]) -> dict[str, T]:
        found = sorted(self._store.records(manager_of(run), kind), key=lambda record: record.key)
        return {record.key: self._remembered(run, kind, record, as_type) for record in found}

    def _remembered(self, run: str, kind: str, record: Record, as_type: type[T]) -> T:
        place = (run, kind, record.key)
        version, value = self._known.get(place, (0, None))
        if version != record.version:
            value = self._decode(record.value, as_type)
            self._known[place] = (record.version, value)
        remembered: T = value
        return remembered

    def _decode(self, value: bytes, as_type: type[T]) -> T:
        decoded: T = self._wire.decode(value, as_type)
        return decoded


def _row_view(row: Row) -> dict[str, Any]:
    view: dict[str, Any] = {
        "id": row.id,
        "status": row.status,
        "attempts": row.attempts,
        "seconds": round(row.seconds, 3),
        "reason": row.reason,
    }
    state = row.state
    if state.failure is not None:
        view["failure"] = state.failure.value
    if state.agent:
        view["agent"] = state.agent
    return {**view, "claimed": state.claimed, "checked": state.checked}


def _run(id: str, value: dict[str, Any]) -> RunRecord:
    return RunRecord(id, value["file"], value["settings"])
