"""Whole convoys with somebody who pulls: blanks, feedback, secrets, and an inbox where nobody is."""

from __future__ import annotations

from pathlib import Path

from pullers import ANNA, INBOX, Puller
from stage import pause
from trio.testing import MockClock
from working import shell

from postroom.actors.convoys.plan import Agent, Gate, Input, Output, OutputKind, Task
from postroom.actors.convoys.rules.standing import Failure
from postroom.store.records import Control, Switch

TOKEN = "ghp_" + "a1B2" * 9
WEEK = 604_800.0
GIVES = (Output("plan", OutputKind.SUMMARY),)


def takes(task: str, output: str) -> tuple[Input, ...]:
    return (Input("x", task, output),)


async def test_one_who_pulls_is_told_what_another_has_answered(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    puller = Puller(tmp_path, autojump_clock)
    first = puller.task("a", "plan", outputs=GIVES)
    async with puller.plays(first, puller.task("b", "do {{input.x}}", inputs=takes("a", "plan"))):
        assert (await puller.pull(outputs={"plan": "three things"}))["prompt"] == "plan"
        assert (await puller.pull())["prompt"] == "do three things"
    assert [puller.row(id).status for id in "ab"] == ["done", "done"]


async def test_one_who_pulls_is_told_what_is_in_a_file_that_a_command_made(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    puller = Puller(tmp_path, autojump_clock)
    made = Task(
        "a", str(puller.folder), shell("echo hello > out"), timeout=WEEK,
        outputs=(Output("f", OutputKind.FILE, "out"),),
    )  # fmt: skip
    async with puller.plays(made, puller.task("b", "read: {{input.x}}", inputs=takes("a", "f"))):
        told = await puller.pull()
    assert told["prompt"] == "read: hello\n"
    assert told["inputs"] == {"x": f"{puller.logs}/artifacts/a.1/f"}
    assert puller.row("b").status == "done"


async def test_an_input_that_was_changed_meanwhile_fails_the_task_and_asks_nobody(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    puller = Puller(tmp_path, autojump_clock)
    # A gate runs after the output was kept, and before anybody is given it.
    spoil = Gate("spoil", command=("sh", "-c", f"echo other > {puller.logs}/artifacts/a.1/f"), timeout=WEEK)
    made = Task(
        "a", str(puller.folder), shell("echo hello > out"), timeout=WEEK,
        outputs=(Output("f", OutputKind.FILE, "out"),), gates=(spoil,),
    )  # fmt: skip
    last = puller.task("b", "read: {{input.x}}", inputs=takes("a", "f"), retries=3)
    async with puller.plays(made, last):
        pass
    failed = puller.row("b")
    assert (failed.status, failed.state.attempts, failed.state.failure) == ("failed", 1, Failure.INPUT)
    assert failed.reason == "input x is not what it was when it was kept"
    assert puller.desk.poll(INBOX) == []


async def test_whoever_pulls_again_is_told_what_was_wrong(tmp_path: Path, autojump_clock: MockClock) -> None:
    puller = Puller(tmp_path, autojump_clock)
    async with puller.plays(puller.task("a", "do it. {{feedback}}", retries=1)):
        assert (await puller.pull(status="failed", reason="no tools"))["prompt"] == "do it. "
        told = await puller.pull()
    assert told["prompt"] == "do it. Attempt 1 failed (error): no tools"
    assert (told["attempt"], puller.row("a").status) == (2, "done")


async def test_a_secret_that_was_taken_out_of_a_prompt_is_on_record(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    puller = Puller(tmp_path, autojump_clock)
    async with puller.plays(puller.task("a", f"log in with {TOKEN}"), puller.task("b")):
        told = [(await puller.pull())["prompt"] for _ in range(2)]
    assert sorted(told) == ["do it", "log in with [redacted: github-token]"]
    assert [fact.data for fact in puller.facts("secret.redacted")] == [
        {"task": "a", "where": "prompt", "kinds": ["github-token"]}
    ]


async def test_an_agent_whom_nobody_is_has_failed(tmp_path: Path, autojump_clock: MockClock) -> None:
    puller = Puller(tmp_path, autojump_clock)
    async with puller.plays(puller.task("a", retries=1), there=False):
        pass
    failed = puller.row("a")
    assert (failed.status, failed.state.attempts, failed.state.failure) == ("failed", 2, Failure.AGENT)
    assert failed.reason.startswith(f"nobody is at {INBOX}: ")


async def test_what_nobody_pulls_is_done_by_the_fallback(tmp_path: Path, autojump_clock: MockClock) -> None:
    puller = Puller(tmp_path, autojump_clock)
    anna = Agent("anna", inbox=INBOX, fallback="backup", threshold=2)
    backup = Agent("backup", command=("cat",))
    task = puller.task("a", retries=2, timeout=WEEK)
    async with puller.plays(task, agents=(anna, backup), there=False):
        pass
    done = puller.row("a")
    assert [made.agent for made in done.state.tries] == ["anna", "anna", "backup"]
    assert [fact.data["agent"] for fact in puller.facts("agent.breaker")] == ["anna"]
    assert done.status == "done"


async def test_an_inbox_that_ends_with_the_task_in_it_has_failed_it(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    puller = Puller(tmp_path, autojump_clock)
    async with puller.plays(puller.task("a")) as office:
        mail = await puller.mail()
        puller.desk.nack(mail.id, mail.fence, release=True)
        await office.commit.submit(Control(INBOX, Switch.END))
    assert puller.row("a").state.failure is Failure.AGENT


async def test_what_is_thrown_away_times_out(tmp_path: Path, autojump_clock: MockClock) -> None:
    puller = Puller(tmp_path, autojump_clock)
    async with puller.plays(puller.task("a", timeout=5000)):
        for _ in range(5):
            mail = await puller.mail()
            puller.desk.nack(mail.id, mail.fence, delay=0, reason="no idea")
    failed = puller.row("a")
    assert (failed.status, failed.reason) == ("timed-out", "nobody has done it in time")
    assert 5000 <= autojump_clock.current_time() < 5100
    assert puller.store.verify(deep=True).ok


async def test_a_task_that_is_overdue_is_given_to_nobody_and_its_next_attempt_is(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    puller = Puller(tmp_path, autojump_clock)
    async with puller.plays(puller.task("a", timeout=50, retries=1)):
        await puller.until(lambda: bool(puller.reports) and puller.row("a").attempts == 2)
        assert (await puller.pull())["attempt"] == 2
    assert (puller.row("a").status, puller.desk.poll(INBOX)) == ("done", [])
    assert puller.store.counts(INBOX)[0].expired == 1


async def test_a_task_that_is_put_back_after_it_was_overdue_is_given_to_nobody(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    puller = Puller(tmp_path, autojump_clock)
    async with puller.plays(puller.task("a", timeout=50)):
        mail = await puller.mail()
        puller.desk.extend(mail.id, mail.fence, 1000)
        await puller.until(lambda: puller.row("a").status == "timed-out")
        puller.desk.nack(mail.id, mail.fence, release=True)
        assert puller.desk.poll(INBOX) == []
    assert puller.store.verify(deep=True).ok


async def test_what_nobody_looks_at_times_out_and_its_late_answer_changes_nothing(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    puller = Puller(tmp_path, autojump_clock)
    async with puller.plays(puller.task("a", timeout=50), puller.task("b", timeout=500)):
        late, other = await puller.mail(), await puller.mail()
        puller.desk.extend(late.id, late.fence, 1000)
        await puller.until(lambda: puller.row("a").status == "timed-out")
        puller.answer(late)
        puller.answer(other)
    assert [puller.row(id).status for id in "ab"] == ["timed-out", "done"]


async def test_mail_of_others_that_bounces_says_nothing_about_a_task(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    puller = Puller(tmp_path, autojump_clock)
    async with puller.plays(puller.task("a"), agents=(ANNA,)) as office:
        mail = await puller.mail()
        await office.send(
            "manager/r1",
            {"recipient": "operator/cli", "reason": "gone"},
            type="postroom.bounce",
            correlation=mail.correlation_id,
        )
        await pause(10, autojump_clock)
        puller.answer(mail)
    assert puller.row("a").status == "done"
