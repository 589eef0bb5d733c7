"""What every command line has in common: shared options, mistakes, help, settings."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from postroom.console.main import COMMANDS, main
from postroom.console.parsing import take_shared
from postroom.console.settings import load
from postroom.store.errors import BadInput


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        ("--json", "--store", "sqlite:///a.db", "inbox", "list"),
        ("inbox", "--json", "list", "--store", "sqlite:///a.db"),
        ("inbox", "list", "--store=sqlite:///a.db", "--json"),
    ],
)
def test_shared_options_may_stand_anywhere(words: tuple[str, ...]) -> None:
    shared, left, flaw = take_shared(words)
    assert (shared.store, shared.as_json, left, flaw) == ("sqlite:///a.db", True, ["inbox", "list"], None)


def test_behind_two_dashes_nothing_is_an_option() -> None:
    shared, left, _ = take_shared(("run", "--", "--json"))
    assert (shared.as_json, left) == (False, ["run", "--", "--json"])


@pytest.mark.parametrize(
    ("words", "do"),
    [
        (("stat",), "did you mean status?"),
        (("--jsn", "status"), "did you mean --json?"),
        (("inbox", "lst"), "did you mean list?"),
        (("poll", "worker/w", "--wat", "3"), "did you mean --wait?"),
        (("send", "worker/w", "--type", "t", "--body", "1", "--priority", "hihg"), "did you mean high?"),
        (("send", "worker/w", "--type", "t", "--boddy", "1"), "did you mean --body?"),
        (("send", "worker/w", "--type", "t", "--body", "-Infinity"), "send null or a string"),
        (("poll",), "see: postroom poll --help"),
        (("poll", "worker/w", "worker/v"), "see: postroom poll --help"),
        (("poll", "worker/w", "--wait", "soon"), "see: postroom poll --help"),
        (("poll", "worker/w", "--max", "0"), "see: postroom poll --help"),
        (("poll", "worker/w", "--wait"), "see: postroom poll --help"),
        (("nack", "x", "--fence", "1", "--dead", "--release"), "see: postroom nack --help"),
        ((), "see: postroom --help"),
    ],
)
def test_a_mistake_is_one_line_that_names_what_was_meant(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], do: str
) -> None:
    assert main([*words]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert do in told.err
    assert main([*words, "--json"]) == 2
    told = capsys.readouterr()
    assert told.err == ""
    error = msgspec.json.decode(told.out)["error"]
    assert (error["code"], error["do"]) == ("bad_input", do)
    assert error["what"]
    assert error["why"]


def test_a_store_option_without_a_url_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--store"]) == 2
    assert main(["status", "--store", "mysql://x"]) == 2
    assert capsys.readouterr().err.count("\n") == 2


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    assert all(f"  {name} " in told for name in COMMANDS)


@pytest.mark.parametrize("name", ["pair", "send", "poll", "ack", "inbox", "dead", "verify", "serve", "bench"])
def test_every_command_has_help_of_its_own(capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert main([name, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: postroom {name} ")


def test_a_flag_wins_over_the_environment_that_over_the_file_that_over_the_default(
    folder: Path,
) -> None:
    assert load(environ={}).store == "sqlite:///.postroom/postroom.db"
    (folder / "postroom.toml").write_text('store = "sqlite:///file.db"\nlease = 5\n')
    assert load(environ={}).store == "sqlite:///file.db"
    environ = {"POSTROOM_STORE": "sqlite:///env.db", "POSTROOM_INBOXES": "worker/a, worker/b"}
    assert load(environ=environ).store == "sqlite:///env.db"
    assert load(environ=environ).inboxes == ("worker/a", "worker/b")
    assert load(environ=environ, store="sqlite:///flag.db").store == "sqlite:///flag.db"
    assert load(environ=environ).lease == 5
    assert load(environ={"POSTROOM_LEASE": "7.5"}).lease == 7.5


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("stor = 1", "did you mean store?"),
        ("store = \nlease = 1", "line 1, column 9"),
        ("store = 1", "Expected `str`"),
        ("lease = 0", "lease is 0"),
    ],
)
def test_a_settings_file_with_a_mistake_is_bad_input(folder: Path, text: str, told: str) -> None:
    (folder / "postroom.toml").write_text(text)
    with pytest.raises(BadInput) as caught:
        load(environ={})
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
