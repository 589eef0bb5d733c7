"""Runs as anyone can see them: which there are of a file, and where each stands. Only reads."""

from __future__ import annotations

from typing import Any, TypeVar

from attrs import frozen

from ...mailbox.codec import encode
from ...store.port import Store
from ...store.records import Put, Write
from .. import memory
from ..wire import make_wire
from .board import TaskState
from .manager import Standing
from .names import PLAN, RUN, RUNS, manager_of
from .plan import Convoy
from .states import CONVOY_MOVES, ConvoyStatus, is_final

T = TypeVar("T")


@frozen
class RunRecord:
    """One run of a file. ``settings`` are the inputs that were set on its command line."""

    id: str
    file: str
    settings: dict[str, str]


@frozen
class Row:
    """One task of a report. ``seconds`` is what its attempts took together."""

    id: str
    status: str
    attempts: int
    seconds: float
    reason: str = ""


@frozen
class Report:
    """Where a run stands. ``tasks`` is in the order of the file."""

    convoy: str
    run: str
    status: ConvoyStatus
    tasks: tuple[Row, ...]

    def view(self) -> dict[str, Any]:
        """The JSON of the command line."""
        tasks = [
            {
                "id": row.id,
                "status": row.status,
                "attempts": row.attempts,
                "seconds": round(row.seconds, 3),
                "reason": row.reason,
            }
            for row in self.tasks
        ]
        return {"convoy": self.convoy, "run": self.run, "status": self.status.value, "tasks": tasks}


def registration(run: RunRecord) -> Put:
    """The operation that enters a new run in the index."""
    value = encode({"file": run.file, "settings": run.settings})
    return Put((Write(RUNS, RUN, run.id, value, expect=0),))


class Ledger:
    """Reads the runs of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._wire = make_wire()

    def newest(self, file: str, *, unfinished: bool) -> RunRecord | None:
        """The newest run of a file (an absolute path), or the newest that is not over."""
        for run in self._runs(file):
            if not (unfinished and self.is_over(run.id)):
                return run
        return None

    def is_over(self, run: str) -> bool:
        """Whether the run is done or failed. One that was entered but never set out is not."""
        standing = self._standing(run)
        return standing is not None and is_final(CONVOY_MOVES, standing.status)

    def plan(self, run: str) -> Convoy | None:
        """What the run does; None before it has set out."""
        return self._one(run, PLAN, PLAN, Convoy)

    def report(self, run: str) -> Report | None:
        """Where the run stands; None before it has set out."""
        convoy, standing = self.plan(run), self._standing(run)
        if convoy is None or standing is None:
            return None
        rows = tuple(_row(task.id, standing.tasks.get(task.id, TaskState())) for task in convoy.tasks)
        return Report(convoy.name, run, standing.status, rows)

    def _runs(self, file: str) -> list[RunRecord]:
        """The runs of a file, newest first: their ids are in order of time."""
        records = self._store.records(RUNS, RUN)
        found = [_run(record.key, self._decode(record.value, dict[str, Any])) for record in records]
        return sorted((run for run in found if run.file == file), key=lambda run: run.id, reverse=True)

    def _standing(self, run: str) -> Standing | None:
        return self._one(run, memory.KIND, "", Standing)

    def _one(self, run: str, kind: str, key: str, as_type: type[T]) -> T | None:
        records = self._store.records(manager_of(run), kind, key)
        return self._decode(records[0].value, as_type) if records else None

    def _decode(self, value: bytes, as_type: type[T]) -> T:
        decoded: T = self._wire.decode(value, as_type)
        return decoded


def _row(id: str, state: TaskState) -> Row:
    return Row(id, state.status.value, state.attempts, state.seconds, state.reason)


def _run(id: str, value: dict[str, Any]) -> RunRecord:
    return RunRecord(id, value["file"], value["settings"])
