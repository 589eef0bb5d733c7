"""What looks like a secret and is none: said in the convoy file, with a reason, and heeded everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from convoy_files import Folder
from pullers import Puller
from reviews import declared, order
from trio.testing import MockClock
from working import Bench, shell

from postroom.actors.convoys.allowed import LONGEST_PATTERN, Allowed
from postroom.actors.convoys.plan import (
    Agent,
    Gate,
    GateKind,
    Output,
    OutputKind,
    Retry,
    Reviewing,
    Task,
    Work,
)
from postroom.actors.convoys.record.secrets import redact, redact_value
from postroom.actors.convoys.review.change import change_of, wanted_of
from postroom.actors.convoys.work.builtin import Matter, judge
from postroom.actors.convoys.work.changes import Changes

TOKEN = "ghp_" + "a1B2" * 9
OTHER = "ghp_" + "c3D4" * 9
MASK = "[redacted: github-token]"
HERE = Allowed("made up", literal=TOKEN)
IN_DOCS = Allowed("an example", literal=TOKEN, paths=("docs/*",))
SCAN = Gate("scan", GateKind.SECRET_SCAN)
WEEK = 604_800.0
ONCE = Retry(0)
TASK = "[tasks.a]\ncommand = 'true'\n"


# In the file


def test_a_file_says_what_is_no_secret_and_why(folder: Folder) -> None:
    convoy = folder.read(
        TASK
        + """
        [secrets]
        allow = [
          { literal = "abc{{input.x}}", reason = "an example", paths = ["docs/*"] },
          { pattern = "^test-[0-9]+$", reason = "made up" },
        ]
        """.replace("        ", "")
    )
    assert convoy.allowed == (
        Allowed("an example", literal="abc{{input.x}}", paths=("docs/*",)),
        Allowed("made up", pattern="^test-[0-9]+$"),
    )


@pytest.mark.parametrize(
    ("given", "faults"),
    [
        ("{ literal = 'x' }", ["secrets.allow[0]: has no reason (say why this is no secret)"]),
        (
            "{ literal = 'x', reason = ' ' }",
            ["secrets.allow[0].reason: must be a text that says something, not ' '"],
        ),
        (
            "{ reason = 'y' }",
            ["secrets.allow[0]: has no literal or pattern (say what it does)"],
        ),
        (
            "{ literal = 'x', pattern = 'x', reason = 'y' }",
            ["secrets.allow[0]: has literal and pattern (keep one of them)"],
        ),
        (
            "{ pattern = '(', reason = 'y' }",
            [
                "secrets.allow[0].pattern: is no regular expression: missing ), unterminated subpattern"
                " at position 0 (write a shorter or more exact one)"
            ],
        ),
        (
            "{ pattern = 'a*', reason = 'y' }",
            [
                "secrets.allow[0].pattern: matches the empty text, so it would allow everything"
                " (write a shorter or more exact one)"
            ],
        ),
        (
            f"{{ pattern = '{'x' * (LONGEST_PATTERN + 1)}', reason = 'y' }}",
            [
                "secrets.allow[0].pattern: has 201 characters, at most 200 are taken"
                " (write a shorter or more exact one)"
            ],
        ),
        (
            f"{{ literal = '{'x' * 16384}', reason = 'y' }}",
            ["secrets.allow: has 16385 characters, at most 16384 are taken (write patterns)"],
        ),
        ("'x'", ["secrets.allow[0]: must be a table, not 'x'"]),
        (
            "{ literal = 'x', reason = 'y', path = [] }",
            ["secrets.allow[0].path: unknown key (did you mean paths?)"],
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_allowance_is_said(folder: Folder, given: str, faults: list[str]) -> None:
    assert folder.faults(f"{TASK}[secrets]\nallow = [{given}]\n") == faults


def test_a_pattern_of_200_characters_is_taken(folder: Folder) -> None:
    pattern = "x" * LONGEST_PATTERN
    convoy = folder.read(f"{TASK}[secrets]\nallow = [{{ pattern = '{pattern}', reason = 'y' }}]\n")
    assert convoy.allowed == (Allowed("y", pattern=pattern),)


# What it does


def test_only_what_is_allowed_everywhere_stays_in_a_text() -> None:
    assert redact(f"{TOKEN} {OTHER}", (HERE,)) == (f"{TOKEN} {MASK}", ("github-token",))
    assert redact(TOKEN, (IN_DOCS,)) == (MASK, ("github-token",))
    value = {"password": TOKEN, "said": [TOKEN, OTHER]}
    assert redact_value(value, (HERE,))[0] == {"password": TOKEN, "said": [TOKEN, MASK]}


@pytest.mark.parametrize(
    ("allowed", "places"),
    [
        ((), ["docs/a.md:1", "src/a.py:2", "what it said:1"]),
        ((IN_DOCS,), ["src/a.py:2", "what it said:1"]),
        ((HERE,), []),
    ],
)
def test_the_scan_finds_what_is_not_allowed_in_that_file(
    tmp_path: Path, allowed: tuple[Allowed, ...], places: list[str]
) -> None:
    bench = Bench(tmp_path)
    bench.write("docs/a.md", TOKEN)
    bench.write("src/a.py", f"\n{TOKEN}")
    bench.log.write_text(TOKEN)
    changes = Changes(3, 2, ("docs/a.md", "src/a.py"))
    said = judge(SCAN, Matter(str(bench.folder), bench.log, changes, (), allowed))
    assert said.text == (
        f"found {', '.join(f'github-token in {place}' for place in places)}" if places else ""
    )
    assert said.verdict == ("blocked" if places else "passed")


async def test_a_convoy_heeds_what_its_file_allows(tmp_path: Path, autojump_clock: MockClock) -> None:
    """In prompts, outputs, reasons, scans of tasks and of the convoy, and on record."""
    report, kept = await _played(tmp_path, autojump_clock, allowed=(HERE,))
    assert {row.id: row.status for row in report.tasks} == {
        "tells": "done",
        "asks": "done",
        "fails": "failed",
    }
    states = {row.id: row.state for row in report.tasks}
    assert states["tells"].outputs[0].text == TOKEN
    assert states["fails"].reason == f"exit 1: {TOKEN}"
    assert states["fails"].feedback.output == f"{TOKEN}\n"
    assert kept["prompt"] == f"use {TOKEN}"
    assert kept["facts"] == []


async def test_without_that_it_redacts_and_blocks(tmp_path: Path, autojump_clock: MockClock) -> None:
    report, kept = await _played(tmp_path, autojump_clock)
    assert {row.id: row.status for row in report.tasks} == {
        "tells": "failed",
        "asks": "done",
        "fails": "failed",
    }
    assert next(row for row in report.tasks if row.id == "fails").reason == f"exit 1: {MASK}"
    assert kept["prompt"] == f"use {MASK}"
    assert kept["facts"] == ["prompt"]


async def _played(place: Path, clock: MockClock, **more: Any) -> tuple[Any, dict[str, Any]]:
    """One task says a token and is scanned, one is asked to use it, one fails with it."""
    puller = Puller(place, clock)
    folder = str(puller.folder)
    writer = Agent("anna", command=("sh", "-c", "cat > prompt"))
    tells = Task(
        "tells", folder, shell(f"echo {TOKEN}"), timeout=WEEK, files=("nothing",), retry=ONCE,
        outputs=(Output("x", OutputKind.SUMMARY),), gates=(Gate("scan", GateKind.SECRET_SCAN, timeout=WEEK),),
    )  # fmt: skip
    asks = puller.task("asks", f"use {TOKEN}", timeout=WEEK)
    fails = Task("fails", folder, Work(("sh", "-c", f"echo {TOKEN}; exit 1")), timeout=WEEK, retry=ONCE)
    async with puller.plays(tells, asks, fails, agents=(writer,), **more):
        pass
    prompt = (puller.folder / "prompt").read_text()
    told = [fact.data["where"] for fact in puller.facts("secret.redacted")]
    return puller.reports[-1], {"prompt": prompt, "facts": told}


def test_reviewers_are_told_what_is_allowed_as_it_was_said() -> None:
    asked = order(Reviewing(reviewers=declared("pull-1")))
    asked = evolve(asked, result=evolve(asked.result, output=TOKEN))
    for allowed, said in (((), MASK), ((HERE,), TOKEN)):
        told = evolve(asked, allowed=allowed)
        assert change_of(told, asked.reviewing.reviewers[0])["output"] == said
        assert wanted_of(told, asked.reviewing.reviewers[0]).output == said


async def test_the_scan_of_a_whole_convoy_heeds_it_too(tmp_path: Path, autojump_clock: MockClock) -> None:
    puller = Puller(tmp_path, autojump_clock)
    (puller.folder / "key").write_text(TOKEN)
    scan = Gate("scan", GateKind.SECRET_SCAN, timeout=WEEK)
    task = Task("a", str(puller.folder), shell("true"), timeout=WEEK)
    async with puller.plays(
        task, gates=(scan,), allowed=(Allowed("made up", literal=TOKEN, paths=("key",)),)
    ):
        pass
    assert puller.reports[-1].status == "done"
