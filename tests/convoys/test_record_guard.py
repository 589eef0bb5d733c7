"""The guard finds nothing wrong with a run that was played, and whatever is changed in one afterwards."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
import trio
from attrs import evolve, frozen
from played import has_begun, played, shell
from scribe import Scribe

from postroom.actors import memory
from postroom.actors.convoys import events as e
from postroom.actors.convoys.ledger import Ledger
from postroom.actors.convoys.names import OPEN, RUNS, TASK, checker_of, manager_of
from postroom.actors.convoys.plan import Task
from postroom.actors.convoys.record.facts import Fact
from postroom.actors.convoys.record.guard import RULES, Breach, guard
from postroom.actors.convoys.record.interrupted import mark
from postroom.actors.convoys.record.ndjson import NAME, settle
from postroom.actors.convoys.rules.standing import Standing, TaskState, Try
from postroom.actors.convoys.rules.states import ConvoyStatus, TaskStatus
from postroom.actors.convoys.wires import convoy_wire
from postroom.actors.convoys.work.commands import LOGS_MARK, RUN_MARK
from postroom.mailbox.desk import Desk
from postroom.mailbox.ids import IdMaker
from postroom.store.clock import SystemClock
from postroom.store.memory import MemoryStore
from postroom.store.port import Store
from postroom.store.records import InboxSpec, Put, Register, Write
from postroom.store.transact import transact_one
from postroom.store.urls import open_store


@frozen
class Room:
    """The run ``r1`` that was played, and where its file is."""

    store: Store
    folder: Path

    @property
    def path(self) -> Path:
        return self.folder / NAME

    def breaches(self) -> list[Breach]:
        return guard(self.store, "r1", self.path)

    def rules(self) -> set[str]:
        return {breach.rule for breach in self.breaches()}

    def put(self, *writes: Write) -> None:
        transact_one(self.store, Put(writes))

    def state(self, task: str) -> TaskState:
        report = Ledger(self.store).report("r1")
        assert report is not None
        return next(row.state for row in report.tasks if row.id == task)

    def change_task(self, task: str, **changes: Any) -> None:
        value = convoy_wire().encode(evolve(self.state(task), **changes))
        self.put(Write(manager_of("r1"), TASK, task, value))

    def change_standing(self, **changes: Any) -> None:
        standing = Ledger(self.store).standing("r1")
        assert standing is not None
        value = convoy_wire().encode(evolve(standing, **changes))
        self.put(Write(manager_of("r1"), memory.KIND, "", value))

    def scribe(self) -> Scribe:
        standing = Ledger(self.store).standing("r1")
        assert standing is not None
        return Scribe(self.store, "r1", standing.events, standing.pages)


def tasks_of(folder: Path) -> tuple[Task, ...]:
    """Tasks that between them are retried, checked, refuted, skipped and failed."""
    return (
        shell(folder, "twice", "test -e was || { touch was; exit 1; }", retries=1),
        shell(folder, "gated", "true", "twice", gate="test -e was"),
        shell(folder, "refuted", "true", gate="exit 1", retries=1),
        shell(folder, "after", "true", "refuted"),
    )


@pytest.fixture(scope="module")
def first_room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    folder = tmp_path_factory.mktemp("run")
    with closing(open_store(f"sqlite:///{folder}/postroom.db", create=True)) as store:
        trio.run(partial(played, store, folder, *tasks_of(folder)))
        settle(store, "r1", folder / NAME)
        yield Room(store, folder)


@pytest.fixture
def room(first_room: Room, tmp_path: Path) -> Iterator[Room]:
    """A copy of the one run, to be changed at will."""
    shutil.copy(first_room.path, tmp_path)
    first_room.store.backup(str(tmp_path / "copy.db"))
    with closing(open_store(f"sqlite:///{tmp_path}/copy.db", create=False)) as store:
        yield Room(store, tmp_path)


def test_nothing_is_wrong_with_a_run_that_was_played(room: Room) -> None:
    report = Ledger(room.store).report("r1")
    assert report is not None
    assert [row.status for row in report.tasks] == ["done", "done", "failed", "skipped"]
    assert room.breaches() == []


async def test_nothing_is_wrong_with_a_run_that_was_interrupted(tmp_path: Path) -> None:
    store = MemoryStore(SystemClock())
    report = await played(
        store,
        tmp_path,
        shell(tmp_path, "first", "true"),
        shell(tmp_path, "second", "sleep 60", "first"),
        stop_when=has_begun("second"),
    )
    assert report.status is ConvoyStatus.INTERRUPTED
    settle(store, "r1", tmp_path / NAME)
    assert guard(store, "r1", tmp_path / NAME) == []


def test_nothing_is_wrong_with_a_run_that_was_never_begun() -> None:
    assert guard(MemoryStore(SystemClock()), "r1") == []


def add_fact(room: Room, *events: object) -> None:
    scribe = room.scribe()
    scribe.write(*events)
    room.change_standing(events=scribe.events, pages=scribe.pages)
    settle(room.store, "r1", room.path)


def add_unknown_fact(room: Room) -> None:
    scribe = room.scribe()
    scribe.put(_fact(scribe.events + 1, "task.gone"))
    room.change_standing(events=scribe.events, pages=scribe.pages)
    settle(room.store, "r1", room.path)


def leave_a_gap(room: Room) -> None:
    scribe = room.scribe()
    scribe.put(_fact(scribe.events + 2, "convoy.unpaused", by="me"))
    room.change_standing(events=scribe.events, pages=scribe.pages)


def _fact(seq: int, type: str, **data: Any) -> Fact:
    return Fact(seq, 1.0, type, data)


def leave_mail(room: Room, inbox: str) -> None:
    transact_one(room.store, Register((InboxSpec(inbox),)))
    Desk(room.store, IdMaker(room.store.clock, Random(1))).send(inbox, "Again", b"{}")


TAMPERED: dict[str, tuple[str, str, Callable[[Room], object]]] = {
    # what was changed: (rule, task, how)
    "a task is not over": (
        "terminal",
        "after",
        lambda room: room.change_task("after", status=TaskStatus.WAITING),
    ),
    "a task failed in a run that is done": (
        "terminal",
        "refuted",
        lambda room: room.change_standing(status=ConvoyStatus.DONE),
    ),
    "a task is done without what it needs": (
        "needs",
        "after",
        lambda room: room.change_task("after", status=TaskStatus.DONE, claimed=True),
    ),
    "an attempt is not listed": ("attempts", "twice", lambda room: room.change_task("twice", tries=[])),
    "an attempt is not counted": ("attempts", "gated", lambda room: room.change_task("gated", attempts=0)),
    "an attempt is not on record": (
        "attempts",
        "gated",
        lambda room: room.change_task(
            "gated", attempts=2, tries=[Try(1, "local", 1, outcome="x"), Try(2, "local", 1, outcome="x")]
        ),
    ),
    "an attempt never ended": (
        "attempts",
        "gated",
        lambda room: room.change_task("gated", tries=[Try(1, "local", 1.0)]),
    ),
    "an attempt was begun and is unknown": (
        "attempts",
        "gated",
        lambda room: add_fact(room, e.TaskStarted("gated", 2, "local")),
    ),
    "a gate is not on record": (
        "gates",
        "gated",
        lambda room: room.change_task(
            "gated", attempts=2, tries=[Try(1, "local", 1, outcome="x"), Try(2, "local", 1, outcome="x")]
        ),
    ),
    "a gate has not passed": (
        "gates",
        "refuted",
        lambda room: room.change_task("refuted", status=TaskStatus.DONE, claimed=True, checked=True),
    ),
    "tokens of a task are not of its attempts": (
        "tokens",
        "gated",
        lambda room: room.change_task("gated", tokens=5),
    ),
    "a turn is not counted": (
        "tokens",
        "",
        lambda room: room.change_standing(spent=evolve(room_standing(room).spent, turns=1)),
    ),
    "nobody has claimed a task": ("checked", "gated", lambda room: room.change_task("gated", claimed=False)),
    "a check refutes a task": ("checked", "gated", lambda room: room.change_task("gated", checked=False)),
    "a task is done unchecked": ("checked", "gated", lambda room: room.change_task("gated", checked=None)),
    "a fact is of no known type": ("record", "", add_unknown_fact),
    "a fact is missing": ("record", "", leave_a_gap),
    "facts are miscounted": ("record", "", lambda room: room.change_standing(events=3)),
    "the record ends otherwise": ("record", "", lambda room: add_fact(room, e.ConvoyEnded("done"))),
    "the run is marked as open": ("index", "", lambda room: room.put(mark("r1"))),
    "the file lacks a line": (
        "file",
        "",
        lambda room: room.path.write_bytes(room.path.read_bytes().partition(b"\n")[2]),
    ),
    "the file has a line too many": (
        "file",
        "",
        lambda room: room.path.write_bytes(room.path.read_bytes() + b'{"seq":99}\n'),
    ),
    "the file is gone": ("file", "", lambda room: room.path.unlink()),
    "a check is still to be made": ("mail", "", lambda room: leave_mail(room, checker_of("r1"))),
    "an order is still to be obeyed": ("mail", "", lambda room: leave_mail(room, manager_of("r1"))),
}


def room_standing(room: Room) -> Standing:
    standing = Ledger(room.store).standing("r1")
    assert standing is not None
    return standing


@pytest.mark.parametrize("what", TAMPERED)
def test_what_was_changed_is_found(room: Room, what: str) -> None:
    rule, task, tamper = TAMPERED[what]
    tamper(room)
    assert (rule, task) in {(breach.rule, breach.task) for breach in room.breaches()}


def test_a_run_that_is_not_over_and_has_no_mark_is_found(room: Room) -> None:
    room.put(mark("r1"))
    room.change_standing(status=ConvoyStatus.PAUSED)
    room.put(Write(RUNS, OPEN, "r1", None))
    assert "index" in room.rules()


def test_a_page_that_cannot_be_read_is_a_breach_and_no_error(room: Room) -> None:
    scribe = room.scribe()
    scribe.write(e.ConvoyPaused(""))
    room.put(Write(manager_of("r1"), "events", f"{scribe.pages:012d}", b'{"no":"page"}'))
    assert [breach.rule for breach in room.breaches()] == ["record"]


def test_a_process_that_a_run_has_left_is_found(room: Room) -> None:
    words = [sys.executable, "-c", "input()"]
    standing = Ledger(room.store).standing("r1")
    assert standing is not None
    marks = {RUN_MARK: "r1", LOGS_MARK: standing.logs}
    with subprocess.Popen(words, stdin=subprocess.PIPE, env=marks) as left:
        found = [breach.text for breach in room.breaches() if breach.rule == "leftovers"]
        assert found == [f"processes of it are left: {left.pid}"]
        left.kill()
    assert room.breaches() == []


def test_every_rule_has_something_that_breaks_it() -> None:
    assert {rule for rule, _, _ in TAMPERED.values()} == set(RULES) - {"leftovers"}
