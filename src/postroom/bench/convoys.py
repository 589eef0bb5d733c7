"""Convoys: what a task costs beside the messages it is made of, and how soon one that was killed goes on."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

import msgspec
import trio

from .. import System, open_postroom
from ..actors.convoys.entering import RunRecord, enter
from ..actors.convoys.events import TaskStarted
from ..actors.convoys.ledger import Ledger, Report
from ..actors.convoys.names import EVENTS, manager_of, number_key
from ..actors.convoys.plan import LOCAL, Convoy, Retry, Task, Work
from ..actors.convoys.playing import play
from ..actors.convoys.record.facts import facts, pages
from ..actors.convoys.record.interrupted import interrupted as interrupted_runs
from ..actors.convoys.record.ndjson import NAME, follow, settle
from ..actors.convoys.record.putting import pages_of
from ..actors.convoys.rules.standing import Standing
from ..actors.convoys.wires import convoy_wire
from ..actors.memory import KIND
from ..mailbox.doorbell import Bell
from ..mailbox.ids import id_text
from ..store.records import Put, Write
from ..store.urls import open_store
from .rows import Measured, Params
from .throughput import durable

LAYERS = 10
CONCURRENCY = 64
TASKS, FEW, MANY = 10_000, 1000, 100_000
KILLS, KILLED_TASKS = 300, 500
LONGEST_LIFE = 1.5
"""Seconds after which a process that plays a convoy is killed at the latest, counted from when it plays."""

PAGE = 100
"""Events that one turn of a manager puts on record, in this row."""

NOTHING = "postroom.bench.convoys:nothing"
STARTED = "started\n"
DONE = "task.done"


@cache
def nothing() -> None:
    """What a task does that does nothing; the first of a process says that it has started."""
    sys.stdout.write(STARTED)
    sys.stdout.flush()


def layered(count: int, folder: str) -> Convoy:
    """A convoy in ten layers, each task of which needs one of the layer before."""
    width = count // LAYERS
    tasks = tuple(
        Task(
            f"t{layer}.{n}",
            folder,
            Work(call=NOTHING),
            depends_on=(f"t{layer - 1}.{n}",) if layer else (),
            retry=Retry(0),
        )
        for layer in range(LAYERS)
        for n in range(width)
    )
    return Convoy("bench", CONCURRENCY, tasks, folder)


def rate(params: Params) -> Measured:
    """Tasks a second of a convoy of 10,000 that do nothing, as a share of messages sent and handled."""
    kernel = durable(params).detail["end_to_end_per_s"]
    ours = TASKS / _played(params, "rate", TASKS)
    return Measured(ours / kernel, {"tasks_per_s": ours, "kernel_per_s": kernel})


def scale(params: Params) -> Measured:
    """What a task costs in a convoy of 100,000, as a multiple of what it costs in one of 1,000."""
    rounds = 10
    few = sum(_played(params, f"few{n}", FEW) for n in range(rounds)) / (rounds * FEW)
    many = _played(params, "many", MANY) / MANY
    return Measured(many / few, {"few_us": few * 1e6, "many_us": many * 1e6})


def _played(params: Params, name: str, count: int) -> float:
    """Seconds from setting out until a convoy of so many tasks is done and the store is closed."""
    folder = Path(params.directory) / name
    folder.mkdir()
    convoy = layered(count, str(folder))

    async def main() -> float:
        async with open_postroom(f"sqlite:///{folder / 'room.db'}", wire=convoy_wire()) as office:
            run = await _entered(office, convoy)
            began = time.perf_counter()
            report = await play(office, run, convoy, folder, stop=trio.Event(), watch=_unseen)
        assert report.status.value == "done", report.status
        return time.perf_counter() - began

    return trio.run(main)


async def _entered(office: System, convoy: Convoy) -> str:
    run = id_text(office.ids.new())
    await enter(office, RunRecord(run, "/bench.toml", {}), convoy)
    return run


def _unseen(report: Report) -> None:
    """Nobody looks."""


# Resuming


def resume(params: Params) -> Measured:
    """Seconds from the start of a process until it has started the first task of a convoy killed half-way."""
    folder = Path(params.directory)
    convoy = layered(TASKS, str(folder))
    url = f"sqlite:///{folder / 'room.db'}"
    run = trio.run(_enter_into, url, convoy)
    with _player(url, run, folder) as child:
        _wait_until_done(url, run, TASKS // 2)
        child.kill()
    times = [_first_start(url, run, folder) for _ in range(3)]
    return Measured(sorted(times)[1], {"tasks": TASKS, "slowest_s": max(times)})


async def _enter_into(url: str, convoy: Convoy) -> str:
    async with open_postroom(url, wire=convoy_wire()) as office:
        return await _entered(office, convoy)


def _first_start(url: str, run: str, folder: Path) -> float:
    began = time.perf_counter()
    with _player(url, run, folder) as child:
        assert child.stdout is not None
        line = child.stdout.readline()
        took = time.perf_counter() - began
        child.kill()
    assert line == STARTED, line
    return took


def _player(url: str, run: str, folder: Path) -> subprocess.Popen[str]:
    """A process that plays a run and says when a task has started in it."""
    settings = msgspec.json.encode({"url": url, "run": run, "folder": str(folder)}).decode()
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "postroom.bench.child", "part", "plays-convoy", settings],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )


def _wait_until_done(url: str, run: str, count: int) -> None:
    """Wait until so many tasks of a run are done. Its events are counted, which is quicker than its tasks."""
    store = open_store(url, create=False)
    done = seen = 0
    while done < count:
        time.sleep(0.01)
        for page in pages(store, run, seen):
            seen += 1
            done += sum(fact.type == DONE for fact in page)
    store.close()


def plays_convoy(settings: dict[str, str]) -> None:
    """Play a run that was entered, as ``postroom run --resume`` would. Its first task says so."""
    folder = Path(settings["folder"])

    async def main() -> str:
        async with open_postroom(settings["url"], wire=convoy_wire()) as office:
            run, ledger = settings["run"], Ledger(office.store)
            convoy = ledger.plan(run)
            assert convoy is not None
            report = await play(office, run, convoy, folder, stop=trio.Event(), watch=_unseen, ledger=ledger)
            return report.status.value

    sys.stdout.write(f"{trio.run(main)}\n")


# Kills


def kills(params: Params) -> Measured:
    """Effects committed twice and tasks lost, over 300 kills at random points of convoys of 500 tasks."""
    chance = random.Random(7)
    left, wrong, convoys = KILLS, 0, 0
    turns: Counter[str] = Counter()
    while left > 0:
        convoys += 1
        folder = Path(params.directory) / f"convoy{convoys}"
        folder.mkdir()
        url, convoy = f"sqlite:///{folder / 'room.db'}", layered(KILLED_TASKS, str(folder))
        run = trio.run(_enter_into, url, convoy)
        left -= _kill_until_over(url, run, folder, chance, left)
        wrong += _faults(url, run, turns)
    return Measured(
        wrong, {"kills": KILLS - left, "convoys": convoys, **{k: float(v) for k, v in turns.items()}}
    )


def _kill_until_over(url: str, run: str, folder: Path, chance: random.Random, most: int) -> int:
    """Play a run, killing whoever plays it, until it is over; how often that was."""
    struck = 0
    while True:
        with _player(url, run, folder) as child:
            assert child.stdout is not None
            if child.stdout.readline() != STARTED or struck == most:
                child.wait()
                return struck
            try:
                child.wait(chance.uniform(0, LONGEST_LIFE))
            except subprocess.TimeoutExpired:
                child.kill()
                struck += 1


def _faults(url: str, run: str, turns: Counter[str]) -> int:
    """What is wrong with a run that is over: tasks that are not done, or that were done twice."""
    store = open_store(url, create=False)
    report = Ledger(store).report(run)
    assert report is not None
    kept: Counter[str] = Counter()
    for fact in facts(store, run):
        turns[fact.type.replace(".", "_")] += 1
        if fact.type == DONE:
            kept[fact.data["task"]] += 1
    sound = store.verify(deep=True).ok
    store.close()
    return sum(kept[row.id] != 1 or row.status != "done" for row in report.tasks) + (not sound)


# The record


def events(params: Params) -> Measured:
    """Events a second until they are in the store and in the file, both synced; 100 in a transaction."""
    folder = Path(params.directory)
    url = f"sqlite:///{folder / 'room.db'}"
    run = trio.run(_enter_into, url, layered(LAYERS, str(folder)))
    store = open_store(url, create=False)
    count, began = 0, time.perf_counter()

    async def main() -> None:
        nonlocal count
        bell, number = Bell(), 0
        async with trio.open_nursery() as nursery:
            nursery.start_soon(follow, store, run, folder / NAME, bell)
            async with open_postroom(store, wire=convoy_wire()) as office:
                while time.perf_counter() - began < params.seconds:
                    begun = [TaskStarted(f"t{n}", 1, LOCAL) for n in range(PAGE)]
                    for page in pages_of(begun, count + 1, 0.0):
                        number += 1
                        write = Write(manager_of(run), EVENTS, number_key(number), office.wire.encode(page))
                        await office.commit.submit(Put((write,)))
                    count += PAGE
                    bell.ring()
            nursery.cancel_scope.cancel()

    trio.run(main)
    settle(store, run, folder / NAME)
    took = time.perf_counter() - began
    with (folder / NAME).open("rb") as file:
        lines = sum(1 for _ in file)
    store.close()
    assert lines == count, (lines, count)
    return Measured(count / took, {"events": count})


# Finding what was interrupted


def interrupted(count: int) -> Callable[[Params], Measured]:
    """The row over so many runs: milliseconds until it is known which of them were interrupted."""

    def measure(params: Params) -> Measured:
        url = f"sqlite:///{Path(params.directory) / 'room.db'}"
        trio.run(_enter_many, url, params.directory, count)
        store = open_store(url, create=False)
        times: list[float] = []
        for _ in range(5):
            began = time.perf_counter()
            found = interrupted_runs(store)
            times.append(1000 * (time.perf_counter() - began))
            assert len(found) == count
        store.close()
        return Measured(sorted(times)[2], {"runs": count, "slowest_ms": max(times)})

    return measure


async def _enter_many(url: str, folder: str, count: int) -> None:
    """Runs that somebody began and nobody plays."""
    async with open_postroom(url, wire=convoy_wire()) as office:
        for _ in range(count):
            run = await _entered(office, layered(LAYERS, folder))
            begun = Write(manager_of(run), KIND, "", office.wire.encode(Standing(began=True)))
            await office.commit.submit(Put((begun,)))
