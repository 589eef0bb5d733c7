"""A convoy is played by actors on a store, and can be stopped and resumed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from postroom import open_postroom
from postroom.actors.convoys.entering import RunRecord, enter
from postroom.actors.convoys.ledger import Ledger, Report
from postroom.actors.convoys.messages import Performed
from postroom.actors.convoys.names import checker_of, manager_of, worker_of
from postroom.actors.convoys.plan import Convoy, Retry, Task, Work
from postroom.actors.convoys.playing import play
from postroom.actors.convoys.rules.standing import Result
from postroom.actors.convoys.rules.states import TaskStatus
from postroom.actors.convoys.wires import convoy_wire
from postroom.actors.convoys.work.callables import importable_from
from postroom.mailbox.ids import id_text
from postroom.store.clock import SystemClock
from postroom.store.memory import MemoryStore

When = Callable[[Report], bool]


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(SystemClock())


class Player:
    """Plays convoys in one folder, on one store."""

    def __init__(self, store: MemoryStore, folder: Path) -> None:
        self.store = store
        self.folder = folder
        self.reports: list[Report] = []
        self.run = ""

    def shell(self, id: str, line: str, *depends_on: str, retries: int = 0, timeout: float = 30) -> Task:
        return Task(
            id,
            str(self.folder),
            Work(("sh", "-c", line)),
            depends_on=depends_on,
            retry=Retry(retries),
            timeout=timeout,
        )

    def text(self, name: str) -> str:
        return (self.folder / name).read_text()

    async def play(
        self, *tasks: Task, resume: bool = False, stop_when: When | None = None, concurrency: int = 2
    ) -> Report:
        stop = trio.Event()

        def watch(report: Report) -> None:
            self.reports.append(report)
            if stop_when is not None and stop_when(report):
                stop.set()

        async with open_postroom(self.store, wire=convoy_wire()) as office:
            convoy = Convoy("test", concurrency, tasks, str(self.folder))
            if not resume:
                self.run = id_text(office.ids.new())
                await enter(office, RunRecord(self.run, "/work.toml", {}), convoy)
            return await play(office, self.run, convoy, self.folder, stop=stop, watch=watch)


@pytest.fixture
def player(store: MemoryStore, tmp_path: Path) -> Player:
    return Player(store, tmp_path)


def outcome(report: Report) -> dict[str, tuple[str, int]]:
    return {row.id: (row.status, row.attempts) for row in report.tasks}


def runs(report: Report, id: str) -> bool:
    return any(row.id == id and row.status == "running" for row in report.tasks)


async def test_tasks_are_done_in_the_order_of_their_dependencies(player: Player) -> None:
    report = await player.play(
        player.shell("c", "echo c >> order", "b"),
        player.shell("b", "echo b >> order", "a"),
        player.shell("a", "echo a >> order"),
    )
    assert report.status.value == "done"
    assert player.text("order").split() == ["a", "b", "c"]


async def test_a_task_that_fails_is_tried_again_and_its_dependants_are_skipped(player: Player) -> None:
    report = await player.play(
        player.shell("good", "test -e twice || { touch twice; exit 1; }", retries=1),
        player.shell("bad", "echo so sad; exit 3", "good"),
        player.shell("after", "true", "bad"),
    )
    assert report.status.value == "failed"
    assert outcome(report) == {"good": ("done", 2), "bad": ("failed", 1), "after": ("skipped", 0)}
    assert report.tasks[1].reason == "exit 3: so sad"


async def test_a_task_that_takes_too_long_is_ended_and_timed_out(player: Player) -> None:
    report = await player.play(player.shell("slow", "sleep 60", timeout=0.05))
    assert outcome(report) == {"slow": ("timed-out", 1)}
    assert report.tasks[0].reason == "took longer than 0.05 s"


async def test_functions_are_called_with_their_arguments(player: Player) -> None:
    (player.folder / "steps_for_calling.py").write_text(
        "import pathlib\n\n"
        "def write(path, text):\n    pathlib.Path(path).write_text(text)\n\n"
        "def fail():\n    raise ValueError('no way')\n"
    )
    path = str(player.folder / "made")
    with importable_from(player.folder):
        report = await player.play(
            Task("good", "/", Work(call="steps_for_calling:write", arguments={"path": path, "text": "hi"})),
            Task("bad", "/", Work(call="steps_for_calling:fail"), retry=Retry(0)),
        )
    assert player.text("made") == "hi"
    assert outcome(report) == {"good": ("done", 1), "bad": ("failed", 1)}
    assert report.tasks[1].reason == "ValueError: no way"
    assert "Traceback" in player.text("bad.1.log")


async def test_a_program_that_vanished_is_a_failed_task(player: Player) -> None:
    report = await player.play(Task("gone", str(player.folder), Work(("./gone",)), retry=Retry(0)))
    assert outcome(report) == {"gone": ("failed", 1)}
    assert "could not be started" in report.tasks[0].reason


async def test_a_stopped_convoy_is_interrupted_and_goes_on_when_resumed(player: Player) -> None:
    tasks = (
        player.shell("first", "echo first >> order"),
        player.shell("second", "echo begun >> order; test -e go || sleep 60; echo ended >> order", "first"),
        player.shell("third", "echo third >> order", "second"),
    )
    report = await player.play(*tasks, stop_when=lambda report: runs(report, "second"))
    assert report.status.value == "interrupted"
    assert outcome(report) == {"first": ("done", 1), "second": ("waiting", 0), "third": ("pending", 0)}
    (player.folder / "go").touch()
    report = await player.play(*tasks, resume=True)
    assert report.status.value == "done"
    assert outcome(report) == {"first": ("done", 1), "second": ("done", 1), "third": ("done", 1)}
    assert player.text("order").split().count("first") == 1
    assert player.text("order").split()[-2:] == ["ended", "third"]


async def test_a_result_that_arrives_twice_counts_once(player: Player, store: MemoryStore) -> None:
    tasks = (player.shell("a", "echo a >> order"), player.shell("b", "until test -e go; do :; done", "a"))
    go = player.folder / "go"
    twice = 0

    async with trio.open_nursery() as nursery:

        def again(report: Report) -> bool:
            nonlocal twice
            if runs(report, "b") and not twice:
                twice = 1
                nursery.start_soon(send_again)
            return False

        async def send_again() -> None:
            for status in (TaskStatus.DONE, TaskStatus.FAILED):
                async with open_postroom(store.another_handle()) as other:
                    result = Performed("a", 1, Result(status, 100.0))
                    await other.send(manager_of(player.run), result)
            go.touch()

        report = await player.play(*tasks, stop_when=again)
    assert twice
    assert outcome(report) == {"a": ("done", 1), "b": ("done", 1)}
    assert report.tasks[0].seconds < 100
    assert player.text("order") == "a\n"


async def test_a_run_that_is_over_leaves_no_open_inbox_and_loses_no_message(player: Player) -> None:
    await player.play(player.shell("a", "true"))
    ended = {counts.inbox for counts in player.store.counts() if counts.ended}
    assert {worker_of(player.run), checker_of(player.run)} <= ended
    assert player.store.verify(deep=True).ok


async def test_the_ledger_finds_the_newest_unfinished_run_of_a_file(player: Player) -> None:
    await player.play(player.shell("a", "true"))
    done = player.run
    ledger = Ledger(player.store)
    assert ledger.newest("/work.toml", unfinished=True) is None
    found = ledger.newest("/work.toml", unfinished=False)
    assert found is not None
    assert found.id == done
    slow = player.shell("a", "sleep 60")
    await player.play(slow, stop_when=lambda report: runs(report, "a"))
    found = ledger.newest("/work.toml", unfinished=True)
    assert found is not None
    assert found.id == player.run
    assert ledger.newest("/other.toml", unfinished=False) is None
