"""On a server, nothing that runs in a trio program keeps the others waiting for an answer."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from random import Random

import pytest
import trio
from gateways import served
from loop_reads import nothing_asked_on_a_loop
from played import shell
from same_words import Typist, convoys
from shells import Shell
from troupe import Answer, Job, Sum
from wake_stage import Puppet

from postroom import Actor, System, handles, open_postroom
from postroom.actors.convoys.entering import RunRecord, enter
from postroom.actors.convoys.plan import Convoy, Reviewer, Reviewing, Route
from postroom.actors.convoys.playing import play
from postroom.actors.convoys.wires import convoy_wire
from postroom.actors.wakeups import autopilot, driving
from postroom.actors.wakeups.drivers import ByRole
from postroom.actors.wakeups.driving import Waking, drive
from postroom.mailbox import heartbeats, threads
from postroom.mailbox.desk import Desk
from postroom.mailbox.ids import IdMaker
from postroom.store.events import ignore
from postroom.store.port import Store
from postroom.store.records import InboxSpec, Put, Register
from postroom.store.transact import transact_one
from postroom.store.urls import open_store
from postroom.testing import settled


@pytest.fixture
def store(postgres_url: str) -> Generator[Store]:
    opened = open_store(postgres_url, create=True)
    yield opened
    opened.close()


class Counting(Actor):
    """Counts jobs by word, in records that it fetches."""

    @handles(Job)
    async def count(self, job: Job) -> Answer:
        await self.records.fetch("count", [job.word])
        await self.records.fetch("seen")
        count = (self.records.get("count", job.word, int) or 0) + 1
        self.records.put("count", job.word, count)
        self.records.put("seen", f"{len(list(self.records.keys('seen'))):03}", job.n)
        return Answer(count)


class Remembering(Counting):
    """The same with a state."""

    state: Sum


class Reading(Actor):
    """Reads a record without having fetched it: in a thread, as its handler is a plain function."""

    @handles(Job)
    def read(self, job: Job) -> Answer:
        return Answer(self.records.get("count", job.word, int) or 0)


async def test_what_waits_on_the_loop_is_noticed(store: Store) -> None:
    with pytest.raises(AssertionError, match="test_asking_aside"), nothing_asked_on_a_loop():
        store.counts()


@pytest.mark.parametrize("kind", [Counting, Remembering])
async def test_actors_work_without_keeping_the_loop_waiting(postgres_url: str, kind: type[Actor]) -> None:
    with nothing_asked_on_a_loop():
        async with open_postroom(postgres_url, name="office") as office:
            await office.start("book/main", kind)
            await office.start("book/plain", Reading)
            for n in range(4):
                answer = await office.ask("book/main", Job(n, "a"), timeout=20, reply=Answer)
                assert answer == Answer(n + 1)
            await office.send_many("book/main", [Job(n, "b") for n in range(40)])
            await settled(office, timeout=20)
            found = await office.look(office.store.records, "book/main", "count", "b")
            assert [record.value for record in found] == [b"40"]
            assert await office.ask("book/plain", Job(word="a"), timeout=20, reply=Answer) == Answer(0)
            await _asked_twice(office)
            await office.pause("book/main")
            assert await office.look(office.counts, "book/main")
            await office.resume("book/main")
            await office.stop("book/main")


async def _asked_twice(office: System) -> None:
    id = "00000000-0000-8000-8000-000000000001"
    for _ in range(2):
        answer = await office.ask("book/plain", Job(word="z"), timeout=20, id=id, reply=Answer)
        assert answer == Answer(0)
    assert (await office.look(office.show, id)).state == "done"


async def test_who_floods_an_inbox_waits_for_room_without_keeping_the_loop(postgres_url: str) -> None:
    class Flooding(Actor):
        @handles(Job)
        async def flood(self, job: Job) -> Answer:
            for n in range(job.n):
                self.send("book/idle", Job(n))
            return Answer(job.n)

    with nothing_asked_on_a_loop():
        async with open_postroom(postgres_url) as office:
            await office.start("book/idle", Reading, bound=2)
            await office.pause("book/idle")
            await office.start("book/main", Flooding)
            assert await office.ask("book/main", Job(3), timeout=20, reply=Answer) == Answer(3)
            await office.resume("book/idle")
            await settled(office, timeout=20)


async def test_a_convoy_with_reviews_is_played_without_keeping_the_loop_waiting(
    store: Store, tmp_path: Path
) -> None:
    critics = tuple(Reviewer(f"r{n}", ("sh", "-c", f"exit {n % 2}")) for n in range(3))
    tasks = (shell(tmp_path, "one", "true", gate="true"), shell(tmp_path, "two", "true", "one"))
    convoy = Convoy("test", 2, tasks, str(tmp_path), reviewing=Reviewing(Route.PANEL, critics))
    with nothing_asked_on_a_loop():
        async with open_postroom(store, wire=convoy_wire()) as office:
            await enter(office, RunRecord("r1", "/work.toml", {}), convoy)
            report = await play(office, "r1", convoy, tmp_path, stop=trio.Event(), watch=ignore)
    assert [(row.id, row.status) for row in report.tasks] == [("one", "done"), ("two", "done")]


@pytest.mark.long
def test_a_convoy_is_played_and_ordered_about_without_keeping_the_loop_waiting(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, postgres_url: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with nothing_asked_on_a_loop():
        convoys(Typist(Shell(capsys, monkeypatch), postgres_url, tmp_path), tmp_path)


def fleet_of(store: Store) -> Desk:
    """A pair with app threads, another whose worker holds mail, and a manager whom nobody has paired."""
    desk = Desk(store, IdMaker(store.clock, Random(1)))
    desk.pair("t1", "m", "w")
    desk.pair("t2", "m2", "w2")
    desk.send("worker/w2", "job", b"1")
    desk.poll("worker/w2")
    transact_one(store, Register((InboxSpec("manager/new"),)))
    for address in ("manager/m", "worker/w", "manager/new"):
        write = threads.assign(store, address, address.replace("/", "-"))[1]
        assert write is not None
        transact_one(store, Put((write,)))
    put = autopilot.start(store, "t1")[1]
    assert put is not None
    transact_one(store, put)
    transact_one(store, Put((heartbeats.beat(store, "manager", "t1", busy=False)[1],)))
    return desk


@asynccontextmanager
async def driven(store: Store, driver: Puppet) -> AsyncGenerator[None]:
    waking = Waking(ByRole({"worker": driver, "manager": driver}), debounce=0.01)
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(drive, store, waking, process="p", rng=Random(1)))
        yield
        nursery.cancel_scope.cancel()


async def test_who_has_mail_is_woken_without_keeping_the_loop_waiting(
    store: Store, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rested = threading.Event()
    monkeypatch.setattr(driving, "REST_SECONDS", 0.05)

    def rest(*_: object) -> None:
        rested.set()

    monkeypatch.setattr(autopilot, "rested", rest)
    driver, woken = Puppet(), trio.Event()
    driver.then = lambda _: woken.set() if {"worker/w", "manager/m"} <= set(driver.woken) else None
    others = await trio.to_thread.run_sync(partial(open_store, postgres_url, create=False))
    desk = await trio.to_thread.run_sync(fleet_of, others)
    with nothing_asked_on_a_loop():
        async with driven(store, driver):
            for address in ("manager/new", "worker/w", "any:manager"):
                await trio.to_thread.run_sync(desk.send, address, "job", b"1")
            with trio.fail_after(20):
                await woken.wait()
            assert await trio.to_thread.run_sync(rested.wait, 20)
    others.close()


async def test_requests_are_answered_without_keeping_the_loop_waiting(store: Store) -> None:
    Desk(store, IdMaker(store.clock, Random(1))).pair("t1", "mo", "anna")
    async with served(store) as site:
        with nothing_asked_on_a_loop():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(site.ask, "poll", {"inbox": "worker/ben", "wait": 10})
                id = await site.send()
                await site.send("worker/ben")
            (mail,) = (await site.ask("poll", {"inbox": "worker/anna"})).json["messages"]
            settling = {"id": id, "fence": mail["fence"]}
            for verb, flags in (
                ("show", {"id": id}),
                ("extend", settling),
                ("ack", {**settling, "reply": 1, "role_ack": "done"}),
                ("heartbeat", {"task": "t1", "role": "worker"}),
                ("nack", settling),
            ):
                assert (await site.ask(verb, flags)).status in (200, 400, 404, 409), verb
            for page in ("metrics", "readyz"):
                reply = await site.raw(
                    f"GET /{page} HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\n\r\n".encode()
                )
                assert reply is not None
                assert reply.status == 200
