"""Doorbells: on every kind of store, the commits of others are heard and one's own are not missed for it."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
import trio
from trio.testing import MockClock

from postroom.mailbox.doorbell import SILENCE, listen
from postroom.store.clock import ManualClock, SystemClock
from postroom.store.memory import MemoryStore
from postroom.store.records import InboxSpec, Register
from postroom.store.sqlite.file import open_file
from postroom.store.transact import transact_one


def commit(store: MemoryStore, n: int = 1) -> None:
    transact_one(store, Register((InboxSpec(f"worker/w{n}"),)))


@pytest.mark.parametrize("watched", [True, False])
async def test_a_commit_of_another_process_is_heard(
    watched: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "post.db"
    store = open_file(path, create=True, clock=SystemClock(), rng=Random(0))
    if not watched:  # where the system grants no watch
        monkeypatch.setattr(store, "watch", lambda: None)
    heard = trio.Event()

    async def hear() -> None:
        heard.set()

    command = [sys.executable, "-m", "postroom", "--store", store.url, "pair", "t"]
    with closing(store), trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(listen, store, hear)
            await trio.run_process([*command, "--manager", "m", "--worker", "w"], capture_stdout=True)
            await heard.wait()
            nursery.cancel_scope.cancel()


async def test_in_memory_it_is_heard_at_once_and_ones_own_commits_are_not(autojump_clock: MockClock) -> None:
    store = MemoryStore(ManualClock())
    other = store.another_handle()
    times: list[float] = []

    async def hear() -> None:
        times.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen, store, hear)
        await trio.sleep(0.3)
        commit(other, 1)
        await trio.sleep(0.3)
        commit(store, 2)
        await trio.sleep(0.3)
        commit(other, 3)
        await trio.sleep(5)
        nursery.cancel_scope.cancel()
    assert times == pytest.approx([0.3, 0.9])


async def test_a_bell_that_was_missed_is_made_up_for_within_a_second(autojump_clock: MockClock) -> None:
    store = MemoryStore(ManualClock())
    other = store.another_handle()
    times: list[float] = []

    async def hear() -> None:
        times.append(trio.current_time())

    commit(other)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen, store, hear)
        await trio.sleep(10)
        nursery.cancel_scope.cancel()
    assert times == [SILENCE]


def test_who_has_ended_listening_is_not_rung_for() -> None:
    store = MemoryStore(ManualClock())
    other = store.another_handle()
    rings: list[int] = []
    off = store.on_commit(lambda: rings.append(1))
    commit(other, 1)
    off()
    off()
    commit(other, 2)
    assert rings == [1]
