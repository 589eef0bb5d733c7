"""Reviewers who pull: they answer, or never, or after a restart; and a review outlives any kill."""

from __future__ import annotations

from random import Random

import trio
from fleet import Fleet, fleet
from reviews import RUN, Stage, declared, order
from stage import pause
from trio.testing import MockClock

from postroom.actors.convoys.names import reviewing_of
from postroom.actors.convoys.plan import Reviewing, Route
from postroom.mailbox.codec import encode
from postroom.mailbox.desk import Desk
from postroom.mailbox.ids import IdMaker
from postroom.store.records import InboxSpec, Register
from postroom.testing import memory_store

PULL = Reviewing(reviewers=declared("pull-1"))
MIXED = Reviewing(reviewers=declared("no-1", "pull-2", "ok-3"))


def desk(us: Fleet) -> Desk:
    """Whoever pulls, from a process without any actors."""
    store = us.store.another_handle(seed=99)
    return Desk(store, IdMaker(store.clock, Random(0)))


async def asked(us: Fleet, *orders: object, stage: Stage, process: str = "p1") -> Desk:
    """Order reviews of a process that serves them, and give the desk of who pulls."""
    office = await stage.set_up(await us.join(process, grace=0))
    await office.commit.submit(Register((InboxSpec("critic/pull-1"), InboxSpec("critic/pull-2"))))
    for one in orders:
        await office.send(reviewing_of(RUN), one)
    await pause(0.1, stage.clock)
    return desk(us)


def reply(at: Desk, value: object, inbox: str = "critic/pull-1") -> None:
    (mail,) = at.poll(inbox)
    at.ack(mail.id, mail.fence, encode(value))


async def test_a_reviewer_who_pulls_passes_and_blocks_by_its_reply(autojump_clock: MockClock) -> None:
    stage = Stage(autojump_clock)
    async with fleet(memory_store()) as us:
        critic = await asked(us, order(PULL), order(PULL, task="b"), order(PULL, task="c"), stage=stage)
        await trio.sleep(7)
        reply(critic, {"verdict": "pass", "tokens": 12})
        reply(critic, {"verdict": "block", "reason": "it leaks password = 'hunter2222'"})
        reply(critic, {"output": "looks fine"})
        told = await stage.answers(3)
    assert [one.verdict for one in told] == ["passed", "blocked", "unrun"]
    assert told[0].tokens == 12
    assert 7 < told[0].notes[0].seconds < 7.2
    assert "it leaks" in told[1].notes[0].text
    assert "hunter2222" not in told[1].notes[0].text


async def test_a_reviewer_who_never_answers_has_not_passed_it(autojump_clock: MockClock) -> None:
    stage = Stage(autojump_clock)
    async with fleet(memory_store()) as us:
        await asked(us, order(PULL), stage=stage)
        told = await stage.answers(1)
        assert 300 <= trio.current_time() < 302
    assert (told[0].verdict, told[0].notes[0].text) == ("unrun", "nobody has answered in time")


async def test_an_answer_that_comes_too_late_changes_nothing(autojump_clock: MockClock) -> None:
    stage = Stage(autojump_clock)
    async with fleet(memory_store()) as us:
        critic = await asked(us, order(PULL), stage=stage)
        (mail,) = critic.poll("critic/pull-1", lease=1000)
        await stage.answers(1)
        critic.ack(mail.id, mail.fence, encode({"verdict": "pass"}))
        await trio.sleep(10)
    assert [one.verdict for one in stage.told] == ["unrun"]


async def test_who_pulls_is_not_given_a_review_whose_time_is_over(autojump_clock: MockClock) -> None:
    stage = Stage(autojump_clock)
    async with fleet(memory_store()) as us:
        critic = await asked(us, order(PULL), stage=stage)
        await stage.answers(1)
        assert critic.poll("critic/pull-1") == []
        assert critic.store.counts("critic/pull-1")[0].expired == 1


async def test_a_reviewer_who_is_nowhere_is_stood_in_for_at_once(autojump_clock: MockClock) -> None:
    stage = Stage(autojump_clock)
    async with fleet(memory_store()) as us:
        await asked(us, order(Reviewing(reviewers=declared("pull-nowhere", "ok-2"))), stage=stage)
        told = await stage.answers(1)
        assert trio.current_time() < 10
    assert [(note.name, note.verdict) for note in told[0].notes] == [
        ("pull-nowhere", "unrun"),
        ("ok-2", "passed"),
    ]
    assert "nobody is at critic/pull-nowhere" in told[0].notes[0].text


async def test_an_answer_while_nobody_plays_the_run_is_heard_after_it(autojump_clock: MockClock) -> None:
    stage = Stage(autojump_clock)
    async with fleet(memory_store()) as us:
        critic = await asked(us, order(PULL), stage=stage)
        await us.processes[0].kill()
        await trio.sleep(100)
        reply(critic, {"verdict": "pass"})
        await trio.sleep(10_000)
        await asked(us, order(PULL), stage=stage, process="p2")
        await stage.answers(1)
        assert critic.poll("critic/pull-1") == []
    assert {one.verdict for one in stage.told} == {"passed"}


async def test_whoever_goes_on_does_not_ask_again_who_is_asked_still(autojump_clock: MockClock) -> None:
    stage = Stage(autojump_clock)
    async with fleet(memory_store()) as us:
        critic = await asked(us, order(PULL), stage=stage)
        await us.processes[0].kill()
        await asked(us, order(PULL), stage=stage, process="p2")
        reply(critic, {"verdict": "pass"})
        assert [one.verdict for one in await stage.answers(1)] == ["passed"]
        assert critic.poll("critic/pull-1") == []


async def test_a_panel_that_is_killed_at_any_moment_comes_to_its_verdict(autojump_clock: MockClock) -> None:
    """Whoever goes on has it ordered again, as a manager does."""
    for moment in range(0, 80, 4):
        stage = Stage(autojump_clock, takes=0.02)
        async with fleet(memory_store(seed=moment)) as us:
            office = await stage.set_up(await us.join("p1", grace=0), "pull-2")
            await office.send(reviewing_of(RUN), order(MIXED, Route.PANEL))
            await trio.sleep(moment / 1000)
            await us.processes[0].kill()
            office = await stage.set_up(await us.join("p2"), "pull-2")
            await office.send(reviewing_of(RUN), order(MIXED, Route.PANEL))
            told = await stage.answers(1)
            await trio.sleep(10)
            assert us.store.verify(deep=True).ok
        verdicts = {tuple((note.name, note.verdict) for note in one.notes) for one in told}
        assert verdicts == {(("no-1", "blocked"), ("pull-2", "blocked"), ("ok-3", "passed"))}
        assert {(one.verdict, one.panel) for one in told} == {("blocked", True)}


async def test_a_timer_takes_no_vote_back(autojump_clock: MockClock) -> None:
    stage = Stage(autojump_clock, takes=100)
    rules = Reviewing(reviewers=declared("pull-1", "ok-2", timeout=50), panel_size=2)
    async with fleet(memory_store()) as us:
        critic = await asked(us, order(rules, Route.PANEL), stage=stage)
        reply(critic, {"verdict": "pass"})
        told = await stage.answers(1)
    assert [(note.name, note.verdict) for note in told[0].notes] == [("pull-1", "passed"), ("ok-2", "passed")]


async def test_whoever_goes_on_asks_again_who_has_thrown_the_question_away(autojump_clock: MockClock) -> None:
    stage = Stage(autojump_clock)
    async with fleet(memory_store()) as us:
        critic = await asked(us, order(PULL), stage=stage)
        (mail,) = critic.poll("critic/pull-1")
        critic.nack(mail.id, mail.fence, dead=True)
        await us.processes[0].office.send(reviewing_of(RUN), order(PULL))
        await trio.sleep(1)
        reply(critic, {"verdict": "pass"})
        assert [one.verdict for one in await stage.answers(1)] == ["passed"]
