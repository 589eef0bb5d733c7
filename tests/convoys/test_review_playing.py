"""Reviews in whole convoys, with real commands, calls and somebody who pulls."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import evolve

from postroom import Actor, handles, open_postroom
from postroom.actors.convoys.entering import RunRecord, enter
from postroom.actors.convoys.ledger import Report
from postroom.actors.convoys.messages import ReviewWanted, Said
from postroom.actors.convoys.names import EVENTS, manager_of
from postroom.actors.convoys.plan import (
    Convoy,
    Hook,
    HookKind,
    HookPoint,
    Retry,
    Reviewer,
    Reviewing,
    Route,
    Task,
    Work,
)
from postroom.actors.convoys.playing import play
from postroom.actors.convoys.wires import convoy_wire
from postroom.actors.convoys.work.callables import importable_from
from postroom.mailbox.ids import id_text
from postroom.store.clock import SystemClock
from postroom.store.memory import MemoryStore


class Critic(Actor):
    """Somebody who pulls, and passes everything."""

    @handles(ReviewWanted)
    async def look(self, wanted: ReviewWanted) -> Said:
        return Said(verdict="pass", reason=f"{wanted.task} is fine", tokens=5)


class Player:
    """Plays convoys with reviews in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = MemoryStore(SystemClock())
        self.run = ""

    def task(self, id: str = "work", line: str = "true", retry: Retry | None = None) -> Task:
        return Task(id, str(self.folder), Work(("sh", "-c", line)), retry=retry or Retry(0))

    def reviewers(self, *lines: str, timeout: float = 30.0) -> tuple[Reviewer, ...]:
        return tuple(
            Reviewer(f"reviewer-{n}", ("sh", "-c", line), timeout=timeout) for n, line in enumerate(lines, 1)
        )

    async def play(
        self,
        rules: Reviewing,
        *tasks: Task,
        stop_when: Callable[[Report], bool] = lambda report: False,
        resume: bool = False,
    ) -> Report:
        stop = trio.Event()

        def watch(report: Report) -> None:
            if stop_when(report):
                stop.set()

        async with open_postroom(self.store, wire=convoy_wire()) as office:
            await office.start("critic/one", Critic)
            convoy = Convoy("test", 2, tasks, str(self.folder), reviewing=rules)
            if not resume:
                self.run = id_text(office.ids.new())
                await enter(office, RunRecord(self.run, "/work.toml", {}), convoy)
            with trio.fail_after(50):
                return await play(office, self.run, convoy, self.folder, stop=stop, watch=watch)

    def events(self, *types: str) -> list[dict[str, Any]]:
        """What was put on record of these types, in order."""
        pages = self.store.records(manager_of(self.run), EVENTS)
        facts = [fact for page in sorted(pages, key=lambda page: page.key) for fact in json.loads(page.value)]
        return [fact["data"] for fact in facts if fact["type"] in types]


@pytest.fixture
def player(tmp_path: Path) -> Player:
    return Player(tmp_path)


def outcome(report: Report) -> dict[str, tuple[str, int]]:
    return {row.id: (row.status, row.attempts) for row in report.tasks}


async def test_a_panel_that_blocks_again_and_again_ends_in_a_dispute_by_default(player: Player) -> None:
    rules = Reviewing(Route.PANEL, player.reviewers(*["echo too long; exit 1"] * 3))
    report = await player.play(rules, player.task(retry=Retry()), player.task("other"))
    assert report.status.value == "paused"
    assert outcome(report)["work"] == ("disputed", 2)
    assert "too long" in report.tasks[0].reason
    assert [fact["task"] for fact in player.events("dispute.raised")][:1] == ["work"]


async def test_one_vote_against_is_not_enough_for_a_panel(player: Player) -> None:
    rules = Reviewing(Route.PANEL, player.reviewers("exit 0", "exit 1", "exit 0"))
    report = await player.play(rules, player.task())
    assert outcome(report) == {"work": ("done", 1)}
    assert report.tasks[0].state.checked


async def test_what_the_reviewer_says_reaches_the_retry(player: Player) -> None:
    (player.folder / "steps_for_review.py").write_text(
        "import pathlib\n\n"
        "def write(path, feedback):\n"
        "    text = feedback.notes[0].text if feedback else 'nothing'\n"
        "    pathlib.Path(path).write_text(text)\n"
    )
    made = player.folder / "made"
    work = Work(call="steps_for_review:write", arguments={"path": str(made)})
    rules = Reviewing(Route.FAST, player.reviewers("grep -q tests made || { echo add tests; exit 1; }"))
    with importable_from(player.folder):
        report = await player.play(rules, Task("work", "/", work, retry=Retry(1, backoff=0.01)))
    assert made.read_text() == "add tests"
    assert outcome(report) == {"work": ("done", 2)}


@pytest.mark.parametrize(
    ("line", "timeout", "text"),
    [
        ("exit 3", 30.0, "exit 3"),
        ("./not-there", 30.0, "exit 127"),
        ("kill -9 $$", 30.0, "killed by SIGKILL"),
        ("sleep 60", 0.2, "took longer than 0.2 s"),
    ],
)
async def test_a_reviewer_that_cannot_run_has_passed_nothing(
    line: str, timeout: float, text: str, player: Player
) -> None:
    rules = Reviewing(Route.FAST, player.reviewers(line, timeout=timeout))
    report = await player.play(rules, player.task())
    assert outcome(report) == {"work": ("failed", 1)}
    assert report.tasks[0].state.checked is False
    assert text in report.tasks[0].reason


async def test_a_program_that_is_not_there_is_stood_in_for(player: Player) -> None:
    rules = Reviewing(Route.FAST, (Reviewer("gone", ("./not-there",)), *player.reviewers("exit 0")))
    report = await player.play(rules, player.task())
    assert outcome(report) == {"work": ("done", 1)}
    verdicts = [(fact["reviewer"], fact["verdict"]) for fact in player.events("review.verdict")]
    assert verdicts == [("gone", "unrun"), ("reviewer-1", "passed")]
    assert [fact["verdict"] for fact in player.events("review.ended")] == ["passed"]


async def test_a_reviewer_reads_the_change_and_nobodys_secrets(player: Player) -> None:
    rules = Reviewing(Route.FAST, player.reviewers("cat > seen.json; echo $POSTROOM_TASK/$POSTROOM_REVIEWER"))
    report = await player.play(rules, player.task(line="echo PASSWORD=hunter2222"))
    seen = json.loads((player.folder / "seen.json").read_text())
    assert seen.keys() >= {"task", "attempt", "folder", "paths", "lines", "files", "output", "notes"}
    assert (seen["task"], seen["attempt"], seen["folder"]) == ("work", 1, str(player.folder))
    assert "redacted" in seen["output"]
    assert "hunter2222" not in json.dumps(seen)
    assert report.tasks[0].state.notes[-1].text == "work/reviewer-1"


async def test_calls_review_too(player: Player) -> None:
    (player.folder / "reviews_by_call.py").write_text(
        "def look(change):\n"
        "    if change['task'] == 'good':\n"
        "        return {'verdict': 'pass', 'tokens': 7}\n"
        "    if change['task'] == 'bad':\n"
        "        return 'block: no'\n"
        "    raise ValueError('what is this')\n"
    )
    rules = Reviewing(Route.FAST, (Reviewer("caller", call="reviews_by_call:look"),))
    with importable_from(player.folder):
        report = await player.play(rules, *map(player.task, ("good", "bad", "odd")))
    assert outcome(report) == {"good": ("done", 1), "bad": ("failed", 1), "odd": ("failed", 1)}
    assert report.tasks[1].reason == "caller: no"
    assert "ValueError: what is this" in report.tasks[2].reason
    assert report.standing.review_tokens == 7


async def test_a_call_that_takes_too_long_has_passed_nothing(player: Player) -> None:
    rules = Reviewing(Route.FAST, (Reviewer("slow", call="breakpoint_free:wait", timeout=0.05),))
    (player.folder / "breakpoint_free.py").write_text(
        "import threading\n\ndef wait(change):\n    threading.Event().wait(1)\n    return True\n"
    )
    with importable_from(player.folder):
        report = await player.play(rules, player.task())
    assert outcome(report) == {"work": ("failed", 1)}
    assert "took longer" in report.tasks[0].reason


async def test_somebody_who_pulls_reviews_in_a_convoy(player: Player) -> None:
    report = await player.play(
        Reviewing(Route.FAST, (Reviewer("critic", inbox="critic/one"),)), player.task()
    )
    assert outcome(report) == {"work": ("done", 1)}
    assert report.tasks[0].state.notes[-1].text == "work is fine"
    assert report.standing.review_tokens == 5
    assert player.store.verify(deep=True).ok


async def test_a_budget_that_is_used_up_leaves_tasks_done_and_not_checked(player: Player) -> None:
    line = """echo '{"verdict": "pass", "tokens": 80}'"""
    rules = Reviewing(Route.FAST, player.reviewers(line), concurrency=1, tokens=100)
    report = await player.play(rules, *map(player.task, "abc"))
    assert outcome(report) == {"a": ("done", 1), "b": ("done", 1), "c": ("done", 1)}
    checked = sorted(str(row.state.checked) for row in report.tasks)
    assert checked == ["None", "True", "True"]
    assert report.standing.review_tokens == 160
    assert "budget of reviews is used up" in player.events("review.verdict")[-1]["text"]


async def test_a_hook_has_a_task_reviewed_that_no_route_would(player: Player) -> None:
    hook = Hook("strict", HookPoint.POST_TASK, HookKind.REVIEW, (sys.executable, "-c", "exit(1)"))
    hooked = evolve(player.task(), hooks=(hook,))
    report = await player.play(Reviewing(Route.NONE, player.reviewers("exit 0")), hooked, player.task("free"))
    assert outcome(report) == {"work": ("failed", 1), "free": ("done", 1)}
    assert [fact["why"] for fact in player.events("review.started")] == ["a hook asks for it"]


async def test_a_review_that_is_interrupted_is_made_again_by_who_goes_on(player: Player) -> None:
    rules = Reviewing(Route.FAST, player.reviewers("echo once | tee -a looks; test -e go || sleep 60"))

    def begun(report: Report) -> bool:
        return report.tasks[0].status == "reviewing" and (player.folder / "looks").exists()

    began = trio.current_time()
    report = await player.play(rules, player.task(), stop_when=begun)
    assert trio.current_time() - began < 9  # it is cut short, and not waited for
    assert (report.status.value, report.tasks[0].status) == ("interrupted", "reviewing")
    (player.folder / "go").touch()
    report = await player.play(rules, player.task(), resume=True)
    assert outcome(report) == {"work": ("done", 1)}
    assert (player.folder / "looks").read_text() == "once\nonce\n"
    assert (player.folder / "work.1.review-0.log").read_text() == "once\n"
