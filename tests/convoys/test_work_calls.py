"""Calls of functions that may block: as many at once as there are, however short or long each is."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import trio

from postroom import open_postroom
from postroom.actors.convoys.entering import RunRecord, enter
from postroom.actors.convoys.plan import Convoy, Retry, Task, Work
from postroom.actors.convoys.playing import play
from postroom.actors.convoys.wires import convoy_wire
from postroom.actors.convoys.work.calls import Calls

MANY = 60
"""More than the threads that trio lets wait for anything at once."""

PATIENCE = 20.0


async def made_together(*functions: object) -> list[object]:
    """What these functions answer, all of them called at once; in the order of the answers."""
    calls, answers = Calls(), list[object]()

    async def make(function: object) -> None:
        assert callable(function)
        answers.append(await calls.make(function))

    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            for function in functions:
                nursery.start_soon(make, function)
    return answers


async def test_a_call_answers_from_a_thread_of_its_own() -> None:
    (thread,) = await made_together(threading.get_ident)
    assert thread != threading.get_ident()


async def test_a_call_raises_what_its_function_raises() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        await Calls().make(partial(int, "x"))


async def test_every_one_of_many_short_calls_is_answered_once() -> None:
    answers = await made_together(*(partial(int, n) for n in range(1000)))
    assert sorted(answers, key=repr) == sorted(range(1000), key=repr)


async def test_calls_that_wait_for_each_other_run_at_the_same_time() -> None:
    """Without a thread for each of them the barrier would never open."""
    barrier = threading.Barrier(MANY)
    assert len(await made_together(*[partial(barrier.wait, PATIENCE)] * MANY)) == MANY


async def test_an_answer_does_not_wait_for_the_calls_after_it() -> None:
    calls, open_now = Calls(), threading.Event()
    waits = partial(open_now.wait, PATIENCE)
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(calls.make, waits)
            for _ in range(3):
                nursery.start_soon(calls.make, waits)
                assert await calls.make(partial(int, "7")) == 7
            open_now.set()


async def test_no_answer_waits_for_a_call_that_was_asked_for_with_it() -> None:
    """The long ones wait until the short one is heard; in many rounds, for trio begins tasks in any order."""
    calls = Calls()
    for _ in range(20):
        open_now = threading.Event()
        with trio.fail_after(PATIENCE):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_opens, calls, open_now)
                nursery.start_soon(calls.make, partial(open_now.wait, PATIENCE))
                nursery.start_soon(calls.make, partial(open_now.wait, PATIENCE))


async def _opens(calls: Calls, door: threading.Event) -> None:
    await calls.make(partial(int, "7"))
    door.set()


async def test_a_call_that_is_cancelled_before_it_was_asked_for_is_not_made() -> None:
    made = threading.Event()
    with trio.CancelScope() as scope:
        scope.cancel()
        await Calls().make(made.set)
    await Calls().make(partial(int, "7"))
    assert scope.cancelled_caught
    assert not made.is_set()


async def test_whoever_is_cancelled_goes_on_at_once_and_the_call_is_left_alone() -> None:
    calls, begun, open_now, ended = Calls(), threading.Event(), threading.Event(), threading.Event()

    def waits() -> None:
        begun.set()
        open_now.wait(PATIENCE)
        ended.set()

    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(calls.make, waits)
            assert await calls.make(partial(begun.wait, PATIENCE))
            nursery.cancel_scope.cancel()
        assert not ended.is_set()
        open_now.set()
        assert await calls.make(partial(ended.wait, PATIENCE))


def test_a_call_that_was_left_alone_may_outlive_its_program() -> None:
    """What a thread raises that nobody waits for fails the test run."""
    begun, open_now, ended = threading.Event(), threading.Event(), threading.Event()

    def waits() -> None:
        begun.set()
        open_now.wait(PATIENCE)
        ended.set()

    async def main() -> None:
        calls = Calls()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(calls.make, waits)
            assert await calls.make(partial(begun.wait, PATIENCE))
            nursery.cancel_scope.cancel()

    trio.run(main)
    open_now.set()
    assert ended.wait(PATIENCE)
    assert trio.run(Calls().make, partial(int, "7")) == 7


# In a convoy


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a module of calls that wait for each other."""
    (tmp_path / "calls_that_wait.py").write_text(
        f"from threading import Barrier\n\nbarrier = Barrier({MANY})\n\n"
        f"def meet():\n    barrier.wait({PATIENCE})\n"
    )
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    yield tmp_path
    sys.modules.pop("calls_that_wait", None)


async def test_calls_that_block_keep_neither_each_other_nor_the_store_waiting(folder: Path) -> None:
    """A commit takes a thread too: had the calls taken all there are, none could be told to begin."""
    work = Work(call="calls_that_wait:meet")
    tasks = tuple(Task(f"t{n}", str(folder), work, retry=Retry(0)) for n in range(MANY))
    convoy = Convoy("meeting", MANY, tasks, str(folder))
    async with open_postroom(f"sqlite:///{folder / 'room.db'}", wire=convoy_wire()) as office:
        await enter(office, RunRecord("r1", "/meeting.toml", {}), convoy)
        with trio.fail_after(2 * PATIENCE):
            report = await play(office, "r1", convoy, folder, stop=trio.Event(), watch=lambda _: None)
    assert report.status.value == "done"
