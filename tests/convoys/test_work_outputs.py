"""What a task leaves for others, and what it takes of them."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest
from attrs import evolve
from working import Bench, shell

from postroom.actors.convoys.plan import Output, OutputKind, Step
from postroom.actors.convoys.rules.standing import Artifact, Failure, Result
from postroom.actors.convoys.work.outputs import last_block

FILE, SUMMARY, JSON = OutputKind.FILE, OutputKind.SUMMARY, OutputKind.JSON
KEY = "AKIA" + "Z7Q2M4X8K1P5R9T3"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def left(bench: Bench, line: str, kind: OutputKind, path: str = "") -> Result:
    return await bench.make(line, outputs=(Output("out", kind, path),))


def kept(result: Result) -> bytes:
    (artifact,) = result.outputs
    raw = Path(artifact.path).read_bytes()
    assert (artifact.size, artifact.sha256) == (len(raw), sha256(raw).hexdigest())
    return raw


async def test_a_file_is_kept_as_it_was(bench: Bench) -> None:
    result = await left(bench, "mkdir a; printf 'x\\000y' > a/b", FILE, "a/b")
    bench.write("a/b", "changed afterwards")
    assert kept(result) == b"x\0y"
    assert result.outputs[0].path == str(bench.logs / "artifacts" / "t.1" / "out")


async def test_a_summary_is_the_end_of_the_words(bench: Bench) -> None:
    result = await left(bench, "yes line | head -n 3000; echo the end", SUMMARY)
    (artifact,) = result.outputs
    assert (artifact.size, artifact.path) == (4095, "")
    assert artifact.text.endswith("line\nthe end")
    assert sha256(artifact.text.encode()).hexdigest() == artifact.sha256


async def test_a_summary_has_no_secrets(bench: Bench) -> None:
    bench.write("words", f"the key is {KEY}\n")
    (artifact,) = (await left(bench, "cat words", SUMMARY)).outputs
    assert artifact.text == "the key is [redacted: aws-key-id]"


async def test_json_is_the_last_fenced_block(bench: Bench) -> None:
    words = 'text\n```json\n{"n": 1}\n```\nmore\n  ```json\n{"n": [2,\n 3.5]}\n  ```\n```json\n{"cut'
    bench.write("words", words)
    assert json.loads(kept(await left(bench, "cat words", JSON))) == {"n": [2, 3.5]}


async def test_json_may_be_all_that_was_said(bench: Bench) -> None:
    assert json.loads(kept(await left(bench, """echo '{"n": "all"}'""", JSON))) == {"n": "all"}


async def test_json_may_be_all_that_the_last_step_said(bench: Bench) -> None:
    steps = (Step("a", shell("echo looking")), Step("b", shell("echo '[1]'")), Step("c", shell("true")))
    result = await bench.make(steps=steps, outputs=(Output("out", JSON),))
    assert kept(result) == b"[1]"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("nothing", "its words hold no strict JSON"),
        ("", "nothing was said"),
        ('{"a": 1, "a": 2}', "its words hold no strict JSON"),
        ("NaN", "its words hold no strict JSON"),
        ("```json\n{oh}\n```", "its words hold no strict JSON"),
    ],
)
async def test_words_without_strict_json_are_no_output(bench: Bench, words: str, why: str) -> None:
    bench.write("words", words)
    result = await left(bench, "cat words", JSON)
    assert result.failure is Failure.ERROR
    assert result.reason.startswith(f"output out is missing: {why}")


def test_blocks_of_other_kinds_are_no_json() -> None:
    assert last_block("```\n1\n```\n```python\n2\n```") is None
    assert last_block("```json\n1\n```\n```\n2\n```") == "1"


async def test_an_output_that_is_missing_fails_the_attempt_and_is_named(bench: Bench) -> None:
    result = await left(bench, "true", FILE, "a/b")
    assert (result.failure, result.code) == (Failure.ERROR, 0)
    assert result.reason == "output out is missing: there is no file a/b"
    assert result.outputs == ()


async def test_an_attempt_that_failed_leaves_no_outputs(bench: Bench) -> None:
    result = await left(bench, "echo x > out; exit 1", FILE, "out")
    assert (result.reason, result.outputs) == ("exit 1", ())


@pytest.mark.parametrize("path", ["link", "folder/secret", "../secret", "/etc/passwd", "folder/../../secret"])
async def test_a_file_outside_or_behind_a_link_is_no_output(bench: Bench, path: str) -> None:
    outside = bench.folder.parent
    (outside / "secret").write_text("not yours")
    line = f"ln -s {outside}/secret link; ln -s {outside} folder"
    result = await left(bench, line, FILE, path)
    assert result.failure is Failure.ERROR
    assert result.reason.startswith("output out: ")
    assert not (bench.logs / "artifacts").exists()


@pytest.mark.parametrize("line", ["mkdir out", "mkfifo out"])
async def test_what_is_no_file_is_no_output(bench: Bench, line: str) -> None:
    result = await left(bench, line, FILE, "out")
    assert result.reason == "output out: out is no file"


@pytest.mark.parametrize(("size", "kept"), [(1 << 20, True), ((1 << 20) + 1, False)])
async def test_a_file_may_have_one_mebibyte(bench: Bench, size: int, kept: bool) -> None:
    result = await left(bench, f"head -c {size} /dev/zero > out", FILE, "out")
    assert (result.failure is None) is kept
    assert kept or result.reason == "output out is larger than 1 MiB"


async def test_an_output_with_a_hostile_name_stays_on_its_shelf(bench: Bench) -> None:
    result = await bench.make(outputs=(Output("../../out", SUMMARY),))
    assert result.reason == "output ../../out has a name that no file can have"


def artifact(bench: Bench, text: str | bytes, **more: str) -> Artifact:
    file = bench.write("artifact", text)
    raw = file.read_bytes()
    return Artifact("a", "file", len(raw), more.get("sha256", sha256(raw).hexdigest()), str(file))


async def test_inputs_fill_the_blanks_of_commands_and_variables(bench: Bench) -> None:
    inputs = {
        "name": Artifact("n", "text", 5, "", "", "two words"),
        "path-x": artifact(bench, "from a file"),
    }
    line = 'echo "{{input.path-x}}, {{input.name|upper}}, $GREETING"; cat $POSTROOM_INPUT_PATH_X'
    result = await bench.make(line, env={"GREETING": "to {{input.name}}"}, job={"inputs": inputs})
    assert result.output == "from a file, TWO WORDS, to two words\nfrom a file"


async def test_an_input_is_never_taken_for_a_blank_itself(bench: Bench) -> None:
    inputs = {
        "x": Artifact("x", "text", 5, "", "", "{{input.y}}"),
        "y": Artifact("y", "text", 1, "", "", "no"),
    }
    result = await bench.make("echo '{{input.x}}'", job={"inputs": inputs})
    assert result.output == "{{input.y}}\n"


@pytest.mark.parametrize("change", ["longer", "shorte", "another"])
async def test_an_input_that_is_not_what_it_was_fails_without_a_retry(bench: Bench, change: str) -> None:
    given = artifact(bench, "shorter")
    bench.write("artifact", change)
    result = await bench.make("echo {{input.x}}", job={"inputs": {"x": given}})
    assert result.failure is Failure.INPUT
    assert result.reason == "input x is not what it was when it was kept"
    assert not bench.log.exists()


def become_a_link(file: Path) -> None:
    real = file.rename(file.with_name("real"))
    file.symlink_to(real)


async def test_an_input_of_another_size_than_was_kept_is_refused(bench: Bench) -> None:
    given = evolve(artifact(bench, "text"), size=5)
    result = await bench.make("echo {{input.x}}", job={"inputs": {"x": given}})
    assert result.failure is Failure.INPUT


async def test_an_input_that_became_a_link_is_refused(bench: Bench) -> None:
    given = artifact(bench, "text")
    become_a_link(Path(given.path))
    result = await bench.make("echo {{input.x}}", job={"inputs": {"x": given}})
    assert (result.failure, result.reason.partition(":")[0]) == (Failure.INPUT, "input x cannot be read")


async def test_a_blank_that_nothing_is_known_for_is_named(bench: Bench) -> None:
    given = {"x": Artifact("x", "text", 0, "", "", "x")}
    result = await bench.make("echo {{input.z}}", job={"inputs": given})
    assert (result.failure, result.reason) == (Failure.INPUT, "nothing is known for {{input.z}}")


async def test_a_word_that_no_command_can_have_is_a_failed_attempt(bench: Bench) -> None:
    given = {"x": artifact(bench, b"a\0b")}
    result = await bench.make("echo {{input.x}}", job={"inputs": given})
    assert (result.failure, result.reason) == (Failure.ERROR, "could not be started: embedded null byte")
