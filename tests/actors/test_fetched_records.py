"""Records that a turn has fetched: what it may read without asking anybody, and as of when."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest
import trio
from records_told import BOTH, Making, stored
from trio.testing import MockClock
from troupe import Job, final

from postroom import Actor, System
from postroom.actors.stored import Flying, StoredRecords
from postroom.store.port import Store
from postroom.store.records import Put, Record, Write
from postroom.store.transact import transact_one
from postroom.testing import open_testing_postroom, settled

OWNER = "book/main"


class Told:
    """The store of an actor, how often its records are read, and what others write meanwhile."""

    def __init__(self, office: System) -> None:
        self.store = office.store
        self.reads = 0
        self._records = self.store.records

    def watch(self, patch: pytest.MonkeyPatch) -> None:
        def records(owner: str, kind: str | None = None, key: str | None = None) -> list[Record]:
            self.reads += kind == "number"
            return self._records(owner, kind, key)

        patch.setattr(self.store, "records", records)

    def write(self, key: str, value: bytes) -> None:
        transact_one(self.store, Put((Write(OWNER, "number", key, value),)))


@BOTH
async def test_what_was_fetched_is_read_without_asking_the_store(
    made: Making, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []

    async def read(actor: Actor, job: Job) -> None:
        records = actor.records
        await records.fetch("number", ["a", "none"])
        await records.fetch("number", ["a"])
        await records.fetch("number", [])
        asked = told.reads
        told.write("a", b"100")
        seen.extend([records.get("number", "a"), records.get("number", "none"), told.reads - asked])
        await records.fetch("number")
        asked = told.reads
        told.write("c", b"100")
        records.put("number", "b", 2)
        seen.extend([dict(records.all("number")), records.get("number", "c"), told.reads - asked])

    async with open_testing_postroom() as office:
        told = Told(office)
        told.watch(monkeypatch)
        told.write("a", b"1")
        await office.start(OWNER, made(read))
        assert (await final(office, await office.send(OWNER, Job()))).state == "done"
        assert stored(office, "number") == {"a": 100, "b": 2, "c": 100}
    assert seen == [1, None, 0, {"a": 100, "b": 2}, None, 0]


@BOTH
async def test_what_this_turn_has_written_is_not_fetched(
    made: Making, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []

    async def read(actor: Actor, job: Job) -> None:
        actor.records.put("number", "a", 2)
        actor.records.delete("number", "b")
        await actor.records.fetch("number", ["a", "b"])
        seen.extend([told.reads, actor.records.get("number", "a"), actor.records.get("number", "b")])

    async with open_testing_postroom() as office:
        told = Told(office)
        told.write("b", b"1")
        told.watch(monkeypatch)
        await office.start(OWNER, made(read))
        await final(office, await office.send(OWNER, Job()))
    assert seen == [0, 2, None]


@BOTH
@pytest.mark.parametrize("keys", [None, ["a"]])
async def test_what_turns_before_wrote_is_fetched_although_it_is_not_committed(
    made: Making, keys: list[str] | None, autojump_clock: MockClock
) -> None:
    seen: list[int] = []

    async def count(actor: Actor, job: Job) -> None:
        await actor.records.fetch("number", keys)
        seen.append(actor.records.get("number", "a", int) or 0)
        actor.records.put("number", "a", seen[-1] + 1)

    async with open_testing_postroom() as office:
        await office.start(OWNER, made(count))
        await office.send_many(OWNER, [Job()] * 20)
        await settled(office)
        assert stored(office, "number") == {"a": 20}
    assert seen == list(range(20))


def _record(value: bytes) -> Record:
    return Record(owner=OWNER, kind="number", key="a", version=1, value=value)


class Server:
    """A store on a server, on which a write is committed after the first read has begun and seen nothing."""

    is_remote = True

    def __init__(self, landed: Callable[[], None]) -> None:
        self._landed = landed
        self._reads = 0

    def records(self, owner: str, kind: str | None = None, key: str | None = None) -> list[Record]:
        self._reads += 1
        if self._reads > 1:
            return [_record(b"2")]
        trio.from_thread.run_sync(self._landed)
        return [_record(b"1")]


@pytest.mark.parametrize("keys", [(), ("a",)])
async def test_what_has_landed_while_a_server_was_asked_is_read_again(keys: tuple[str, ...]) -> None:
    flying: dict[tuple[str, str], tuple[bytes | None, int]] = {("number", "a"): (b"2", 1)}
    records = _on(Server(flying.clear), flying)
    assert await records.fetch("number", keys) == {"a": b"2"}


@pytest.mark.parametrize("keys", [(), ("a",)])
async def test_what_takes_off_while_a_server_is_asked_is_seen(keys: tuple[str, ...]) -> None:
    flying: dict[tuple[str, str], tuple[bytes | None, int]] = {("other", "b"): (b"1", 1)}

    def take_off() -> None:
        flying.clear()
        flying["number", "a"] = (None, 1)
        flying["number", "b"] = (b"3", 1)

    found = await _on(Server(take_off), flying).fetch("number", keys)
    assert found == ({} if keys else {"b": b"3"})


def _on(server: Server, flying: Flying) -> StoredRecords:
    return StoredRecords(cast(Store, server), OWNER, flying)
