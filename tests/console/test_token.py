"""``postroom token``: made once, shown once, ended at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from postroom.console.main import main
from postroom.gateway import tokens
from postroom.store.urls import DEFAULT_URL, open_store


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    assert main(["pair", "t", "--manager", "m", "--worker", "w"]) == 0
    return tmp_path


def told(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:
    """The answer of a command that ends with this exit code."""
    capsys.readouterr()
    assert main([*words, "--json"]) == code
    return msgspec.json.decode(capsys.readouterr().out)


def is_let_in(text: str) -> bool:
    """Whether the gateway would take this token."""
    store = open_store(DEFAULT_URL, create=False)
    try:
        tokens.authenticate(store, text)
    except tokens.Unauthorized:
        return False
    finally:
        store.close()
    return True


def test_a_token_is_shown_once_and_works_until_it_is_revoked(capsys: pytest.CaptureFixture[str]) -> None:
    made = told(capsys, "token", "create", "anna", "--inbox", "worker/w", "--verb", "poll", "--verb", "ack")
    assert (made["inboxes"], made["verbs"], made["state"]) == (["worker/w"], ["poll", "ack"], "active")
    assert is_let_in(made["token"])
    listed = told(capsys, "token", "list")
    assert [token["id"] for token in listed["tokens"]] == [made["id"]]
    assert made["token"] not in msgspec.json.encode(listed).decode()
    assert told(capsys, "token", "revoke", made["id"])["already"] is False
    assert not is_let_in(made["token"])
    assert told(capsys, "token", "revoke", made["id"])["already"] is True
    assert told(capsys, "token", "rotate", made["id"], code=3)["error"]["code"] == "conflict"


def test_a_rotated_token_has_the_same_scope_and_another_secret(capsys: pytest.CaptureFixture[str]) -> None:
    made = told(capsys, "token", "create", "anna", "--inbox", "worker/*", "--expires", "3600")
    rotated = told(capsys, "token", "rotate", made["id"])
    assert rotated["inboxes"] == made["inboxes"]
    assert not is_let_in(made["token"])
    assert is_let_in(rotated["token"])


def test_a_token_in_a_file_is_its_owners_alone_and_is_not_shown(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = told(capsys, "token", "create", "anna", "--file", "anna.token")
    path = folder / "anna.token"
    assert path.stat().st_mode & 0o777 == 0o600
    assert is_let_in(path.read_text().strip())
    assert "token" not in made
    assert made["file"] == "anna.token"


def test_a_file_that_is_there_is_not_overwritten_and_no_token_is_made(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "anna.token").write_text("mine")
    (folder / "link").symlink_to(folder / "nowhere")
    for path in ("anna.token", "link"):
        assert told(capsys, "token", "create", "anna", "--file", path, code=2)["error"]["code"] == "bad_input"
    assert told(capsys, "token", "create", "anna", "--file", "none/x", code=1)["error"]["code"] == "system"
    assert (folder / "anna.token").read_text() == "mine"
    assert told(capsys, "token", "list") == {"tokens": []}


def test_a_token_that_could_not_be_kept_leaves_no_file(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = told(capsys, "token", "create", "anna")
    told(capsys, "token", "revoke", made["id"])
    told(capsys, "token", "rotate", made["id"], "--file", "new.token", code=3)
    assert not (folder / "new.token").exists()


@pytest.mark.parametrize(
    "words", [["rotate", "0123456789abcdef"], ["create", "No Name"], ["create", "x", "--verb", "drop"]]
)
def test_what_is_refused_removes_no_file_that_was_there(
    words: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "mine").write_text("mine")
    assert main(["token", *words, "--file", "mine"]) in (1, 2)
    capsys.readouterr()
    assert (folder / "mine").read_text() == "mine"


@pytest.mark.parametrize(
    "words",
    [
        ["create", "No Name"],
        ["create", "x", "--inbox", "worker/["],
        ["create", "x", "--to", "nobody"],
        ["create", "x", "--verb", "drop"],
        ["create", "x", "--expires", "0"],
        ["create", "x", "--expires", "nan"],
        ["create"],
        ["forget", "x"],
        [],
    ],
)
def test_what_means_nothing_is_bad_input_and_makes_nothing(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(capsys, "token", *words, code=2)["error"]["code"] == "bad_input"
    assert told(capsys, "token", "list") == {"tokens": []}


def test_an_unknown_token_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("revoke", "rotate"):
        assert told(capsys, "token", verb, "nobody", code=1)["error"]["code"] == "refused"


def test_for_people_a_new_token_is_one_line_and_the_list_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["token", "create", "anna", "--inbox", "worker/w"]) == 0
    (text,) = capsys.readouterr().out.splitlines()
    assert is_let_in(text)
    assert main(["token", "list"]) == 0
    listed = capsys.readouterr().out
    assert "worker/w" in listed
    assert text not in listed


def test_making_a_token_loads_nothing_that_is_slow() -> None:
    code = (
        "import sys; from postroom.console.main import main; main(['token', 'list', '--json']);"
        "slow = {'trio', 'cattrs', 'prometheus_client', 'starlette', 'anyio', 'h11'} & set(sys.modules);"
        "sys.exit(f'loaded {slow}' if slow else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--host", "0.0.0.0"], 2),
        (["--host", "0.0.0.0", "--insecure", "--no-token"], 2),
        (["--host", "192.0.2.1", "--behind-tls"], 1),
    ],
)
def test_nothing_is_served_to_other_machines_without_a_token_and_a_word(
    words: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    error = told(capsys, "serve", "--port", "0", *words, code=code)["error"]
    assert "will not listen" in error["what"] or "without tokens" in error["what"]
