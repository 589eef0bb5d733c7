"""What those who pull are sent: their prompt with every blank filled in, and without secrets."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from postroom.actors.convoys.allowed import Allowed
from postroom.actors.convoys.messages import Wanted
from postroom.actors.convoys.plan import Agent, Task, Work
from postroom.actors.convoys.pulling import LONGEST_FILLED, Unsendable, wanted
from postroom.actors.convoys.rules.standing import Artifact, Failure, Feedback
from postroom.actors.convoys.work.jobs import Job
from postroom.mailbox.codec import MAX_BYTES, encode

TOKEN = "ghp_" + "a1B2" * 9
REDACTED = "[redacted: github-token]"
FEEDBACK = Feedback(1, Failure.GATE, "tests: exit 1")


def text(value: str) -> Artifact:
    return Artifact("x", "summary", len(value), "", "", value)


def file(place: Path, content: bytes) -> Artifact:
    path = place / f"{len(content)}-{sha256(content).hexdigest()[:8]}"
    path.write_bytes(content)
    return Artifact("x", "file", len(content), sha256(content).hexdigest(), str(path))


def sent(prompt: str, *, inputs: dict[str, Artifact] | None = None, **more: Any) -> tuple[Wanted, Any]:
    """What is sent of a task with this prompt, and the kinds of secrets that were in it."""
    told = asked(prompt, inputs=inputs or {}, **more)
    assert not isinstance(told, Unsendable)
    return told


def asked(prompt: str, **more: Any) -> tuple[Wanted, tuple[str, ...]] | Unsendable:
    task = Task("t", "/", Work(prompt=prompt), agent="who")
    return wanted(Job("r1", task, 2, Agent("who", inbox="worker/w"), "/log", "/work", **more))


def test_each_blank_is_filled_by_what_the_input_is(tmp_path: Path) -> None:
    given = {"a": text("fix It"), "b": file(tmp_path, b"from a file\n")}
    told, _ = sent("{{input.a|kebab}}: {{ input.b }} in {{convoy.folder}}", inputs=given)
    assert told.prompt == "fix-it: from a file\n in /work"
    assert told.inputs == {"b": given["b"].path}


@pytest.mark.parametrize("size", [LONGEST_FILLED, LONGEST_FILLED + 1])
def test_a_large_file_is_in_the_prompt_by_its_path(tmp_path: Path, size: int) -> None:
    given = file(tmp_path, b"x" * size)
    told, _ = sent("{{input.x}}", inputs={"x": given})
    assert told.prompt == ("x" * size if size <= LONGEST_FILLED else given.path)
    assert told.inputs == {"x": given.path}


@pytest.mark.parametrize("size", [10, LONGEST_FILLED + 1])
def test_an_input_that_is_not_what_was_kept_is_not_sent(tmp_path: Path, size: int) -> None:
    given = file(tmp_path, b"x" * size)
    Path(given.path).write_bytes(b"y" * size)
    assert asked("{{input.x}}", inputs={"x": given}) == Unsendable(
        "input x is not what it was when it was kept"
    )


def test_an_input_that_is_gone_is_not_sent(tmp_path: Path) -> None:
    given = file(tmp_path, b"x")
    Path(given.path).unlink()
    told = asked("{{input.x}}", inputs={"x": given})
    assert told == Unsendable("input x cannot be read: No such file or directory")


def test_a_retry_is_told_what_was_wrong_where_its_prompt_says_so_or_below_it() -> None:
    assert sent("so: {{feedback}}!", feedback=FEEDBACK)[0].prompt == (
        "so: Attempt 1 failed (gate): tests: exit 1!"
    )
    assert sent("do it", feedback=FEEDBACK)[0].prompt == (
        "do it\n\n## What was wrong with the attempt before\n\nAttempt 1 failed (gate): tests: exit 1"
    )
    assert sent("{{feedback}}do it")[0].prompt == "do it"


def test_a_secret_is_taken_out_after_all_is_filled_in() -> None:
    told, kinds = sent("log in: {{input.a}}{{input.b}}", inputs={"a": text(TOKEN[:9]), "b": text(TOKEN[9:])})
    assert (told.prompt, kinds) == (f"log in: {REDACTED}", ("github-token",))
    assert sent("nothing")[1] == ()


def test_what_is_allowed_is_no_secret() -> None:
    told, kinds = sent(TOKEN, allowed=(Allowed("made up", literal=TOKEN),))
    assert (told.prompt, kinds) == (TOKEN, ())
    in_files = (Allowed("made up", literal=TOKEN, paths=("docs/*",)),)
    assert sent(TOKEN, allowed=in_files)[0].prompt == REDACTED


def test_what_no_message_can_hold_is_not_sent_and_breaks_nothing(tmp_path: Path) -> None:
    given = {f"i{n}": file(tmp_path, bytes([n]) * LONGEST_FILLED) for n in range(1, 4)}
    told = asked("".join(f"{{{{input.{name}}}}}" for name in given), inputs=given)
    assert told == Unsendable(f"its prompt is too long to be sent: {3 * LONGEST_FILLED} characters")
    largest, _ = sent("{{input.i1}}", inputs=given)
    assert len(encode(largest.prompt)) < MAX_BYTES
    assert sent("{{input.x}}", inputs={"x": file(tmp_path, b"\0")})[0].prompt == "\N{REPLACEMENT CHARACTER}"
