"""A small share of the bad inputs, and what a share found once."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any, Literal

import pytest
from prove import inputs_row
from prove.inputs import areas, command_lines, judging

from postroom.actors.convoys.spec.reading import read_convoy
from postroom.actors.wire import make_wire
from postroom.console import render
from postroom.console.settings import load
from postroom.mailbox import codec
from postroom.mailbox.outputs import read_flags
from postroom.store.errors import BadInput

SETTINGS = {
    "lease = " + "[" * 100_000: "deep array",
    "lease = " + "{a=" * 100_000: "deep table",
    "a" + ".a" * 50_000 + " = 1": "key of many parts",
    "lease = " + "9" * 5000: "very many digits",
    'store = "sqlite:///a\\u0000b"': "NUL",
    "# " + "x" * codec.MAX_BYTES: "too large",
}
TASK = '[tasks.a]\ncommand = "true"\n'
CONVOYS = {
    **SETTINGS,
    TASK + "timeout = " + "9" * 400: "timeout of many digits",
    '[tasks.a]\ncall = "json:dumps"\narguments = { obj = ' + "[" * 900 + "]" * 900 + " }": "deep arguments",
    TASK + f'cwd = "{"x" * 5000}"': "folder with a long name",
    '[tasks.a]\ncommand = "nothing-like-it"\nenv = { "a=b" = "c" }': "no name of a variable",
    '[tasks.a]\ncommand = "nothing-like-it"\nenv = { "a\\u0000" = "c" }': "NUL in a variable",
    f'[tasks.a]\ncommand = "{"x" * 200_000}"': "very long command",
}


def test_a_share_of_bad_inputs_is_taken_faithfully_or_refused_in_one_plain_line() -> None:
    outcome = inputs_row.run(4000, 7, lambda done: None)
    assert outcome.breaches == []
    assert outcome.clean


def test_every_area_is_tried_and_the_same_seed_makes_the_same_input() -> None:
    names = [areas.pick(Random(f"1/{n}")) for n in range(20_000)]
    assert set(names) == set(areas.SHARES)
    assert command_lines.line(Random("3/1")) == command_lines.line(Random("3/1"))


class Careless:
    """A parser that lets everything out."""

    def attempt(self, rng: Random) -> None:
        raise KeyError(rng.random())


class Slow:
    """A parser that does not come to an end."""

    def attempt(self, rng: Random) -> None:
        raise judging.Hung


@pytest.mark.parametrize("area", [Careless(), Slow()])
def test_what_a_parser_lets_out_is_a_complaint(area: Careless | Slow) -> None:
    assert areas.attempt(area, Random(1))


@pytest.mark.parametrize("text", SETTINGS, ids=SETTINGS.get)
def test_settings_beyond_the_bounds_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "postroom.toml").write_text(text)
    with pytest.raises(BadInput):
        load(folder=tmp_path, environ={})


@pytest.mark.parametrize("text", CONVOYS, ids=CONVOYS.get)
def test_convoys_beyond_the_bounds_are_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "convoy.toml"
    file.write_text(text)
    with pytest.raises(BadInput):
        read_convoy(file)


def test_a_shell_without_a_line_is_a_command_like_any_other(tmp_path: Path) -> None:
    file = tmp_path / "convoy.toml"
    file.write_text('[tasks.a]\ncommand = ["sh", "-c"]\n')
    assert read_convoy(file).tasks[0].work.command == ("sh", "-c")


@pytest.mark.parametrize("body", [None, 1, "x", [], [1]])
@pytest.mark.parametrize("kind", [dict[str, int], Literal["new"]])
def test_a_body_of_another_shape_is_refused_by_every_kind(body: Any, kind: Any) -> None:
    with pytest.raises(BadInput):
        make_wire().decode(codec.encode(body), kind)


def test_a_flag_with_half_a_character_is_refused() -> None:
    with pytest.raises(BadInput):
        read_flags({"to": "worker/w", "type": "x", "body": 1, "delay": "\ud83d"})


@pytest.mark.parametrize(
    "words", [("--json", "\udcff"), ("--json", "status", "--store", "sqlite:///\udcff.db")]
)
def test_an_argument_that_is_not_utf_8_is_refused_in_one_document(words: tuple[str, ...]) -> None:
    seen = command_lines.run(words)
    assert seen.code == 2
    command_lines.check_seen(words, seen)


def test_a_variable_that_is_not_utf_8_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTROOM_STORE", "sqlite:///\udcff.db")
    assert command_lines.run(("--json", "status")).code == 2


def test_a_document_can_name_a_place_that_is_not_utf_8() -> None:
    assert render.json_text({"path": "/tmp/\udcff", "n": 1}) == '{"path":"/tmp/\ufffd","n":1}'
