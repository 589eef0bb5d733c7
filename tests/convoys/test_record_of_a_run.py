"""Whatever a run goes through, its record, its file and its standing agree."""

from __future__ import annotations

import json
from pathlib import Path

import trio
from played import has_begun, ordered, played, shell

from postroom.actors.convoys.ledger import Ledger
from postroom.actors.convoys.messages import Again, Cancel, Inject, ResolveDead
from postroom.actors.convoys.record.guard import guard
from postroom.actors.convoys.record.interrupted import interrupted
from postroom.actors.convoys.record.ndjson import NAME, follow, settle
from postroom.mailbox.doorbell import Bell
from postroom.store.clock import SystemClock
from postroom.store.memory import MemoryStore
from postroom.store.port import Store


def types(folder: Path) -> list[str]:
    return [json.loads(line)["type"] for line in (folder / NAME).read_text().splitlines()]


def judged(store: Store, folder: Path) -> list[str]:
    """What the guard has to say once the file is up to date."""
    settle(store, "r1", folder / NAME)
    return [breach.text for breach in guard(store, "r1", folder / NAME)]


async def test_a_run_is_followed_while_it_is_played(tmp_path: Path) -> None:
    store, mine = MemoryStore(SystemClock()), tmp_path / "mine.ndjson"
    tasks = [shell(tmp_path, f"t{n}", "true") for n in range(5)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(follow, store, "r1", mine, Bell())
        await played(store, tmp_path, *tasks)
        nursery.cancel_scope.cancel()
    settle(store, "r1", mine)
    assert judged(store, tmp_path) == []
    assert (tmp_path / NAME).read_bytes() == mine.read_bytes()
    assert types(tmp_path)[0] == "convoy.started"
    assert types(tmp_path)[-1] == "convoy.ended"
    assert types(tmp_path).count("task.done") == 5


async def test_the_file_of_a_run_is_there_when_it_has_been_played(tmp_path: Path) -> None:
    store = MemoryStore(SystemClock())
    await played(store, tmp_path, shell(tmp_path, "a", "true"))
    assert guard(store, "r1", tmp_path / NAME) == []


async def test_a_run_that_was_interrupted_and_resumed_is_in_order_both_times(tmp_path: Path) -> None:
    store = MemoryStore(SystemClock())
    tasks = (
        shell(tmp_path, "first", "true"),
        shell(tmp_path, "second", "test -e go || sleep 60", "first", gate="true"),
    )
    await played(store, tmp_path, *tasks, stop_when=has_begun("second"))
    assert judged(store, tmp_path) == []
    before = (tmp_path / NAME).read_bytes()
    (tmp_path / "go").touch()
    await played(store, tmp_path, *tasks, resume=True)
    assert judged(store, tmp_path) == []
    assert (tmp_path / NAME).read_bytes().startswith(before)
    assert {"task.requeued", "convoy.interrupted", "convoy.resumed"} <= set(types(tmp_path))


async def test_a_run_that_failed_and_is_done_again_is_in_order_at_each_step(tmp_path: Path) -> None:
    store = MemoryStore(SystemClock())
    tasks = (
        shell(tmp_path, "bad", "test -e mended", retries=1),
        shell(tmp_path, "after", "true", "bad", gate="true"),
    )
    await played(store, tmp_path, *tasks)
    assert judged(store, tmp_path) == []
    await ordered(store, Again((), "me"))
    assert judged(store, tmp_path) == []
    assert [found.run for found in interrupted(store)] == ["r1"]
    (tmp_path / "mended").touch()
    report = await played(store, tmp_path, *tasks, resume=True)
    assert report.status == "done"
    assert judged(store, tmp_path) == []
    assert types(tmp_path).count("convoy.ended") == 2


async def test_a_run_that_is_cancelled_while_it_runs_is_in_order(tmp_path: Path) -> None:
    store = MemoryStore(SystemClock())
    tasks = (shell(tmp_path, "long", "sleep 60"), shell(tmp_path, "after", "true", "long"))
    await played(store, tmp_path, *tasks, stop_when=has_begun("long"))
    await ordered(store, Cancel((), "enough"))
    assert judged(store, tmp_path) == []
    report = Ledger(store).report("r1")
    assert report is not None
    assert [row.status for row in report.tasks] == ["cancelled", "cancelled"]
    assert report.status == "failed"


async def test_a_run_that_got_another_task_is_in_order(tmp_path: Path) -> None:
    store = MemoryStore(SystemClock())
    first = shell(tmp_path, "first", "true")
    await played(store, tmp_path, first)
    await ordered(store, Inject(shell(tmp_path, "late", "true", "first", gate="true"), "me", "k1"))
    assert judged(store, tmp_path) == []
    report = await played(store, tmp_path, first, resume=True)
    assert [row.status for row in report.tasks] == ["done", "done"]
    assert judged(store, tmp_path) == []


async def test_what_people_say_to_a_run_is_kept_without_its_secrets(tmp_path: Path) -> None:
    store, token = MemoryStore(SystemClock()), "ghp_" + "a1B2" * 9
    await played(store, tmp_path, shell(tmp_path, "bad", "exit 1"))
    await ordered(store, ResolveDead("bad", "me", f"gave it {token}"))
    report = Ledger(store).report("r1")
    assert report is not None
    dead = report.tasks[0].state.dead
    assert dead is not None
    assert dead.resolution == "gave it [redacted: github-token]"
    assert judged(store, tmp_path) == []
    assert token not in (tmp_path / NAME).read_text()
