"""Backups, status and verify from the command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from attrs import define

from postroom import Actor, open_postroom
from postroom.console.main import main
from postroom.store.sqlite.file import FileStore


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    assert main(["pair", "t", "--manager", "m", "--worker", "w"]) == 0
    return tmp_path


def told(capsys: pytest.CaptureFixture[str], *words: str, code: int) -> Any:
    """The answer of a command that ends with this exit code."""
    capsys.readouterr()
    assert main([*words, "--json"]) == code
    return msgspec.json.decode(capsys.readouterr().out)


def test_a_backup_is_private_to_its_owner(folder: Path) -> None:
    assert main(["backup", "copy.db"]) == 0
    assert (folder / "copy.db").stat().st_mode & 0o777 == 0o600


def test_a_backup_replaces_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "precious.txt").write_text("kept")
    assert told(capsys, "backup", "precious.txt", code=3)["error"]["code"] == "conflict"
    assert (folder / "precious.txt").read_text() == "kept"


def test_a_backup_into_a_folder_that_is_missing_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, "backup", "missing/copy.db", code=2)["error"]["code"] == "bad_input"


def test_a_backup_that_fails_leaves_no_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(FileStore, "backup", full)
    assert main(["backup", "copy.db"]) == 1
    assert not (folder / "copy.db").exists()


@define
class Nothing:
    """What an idle actor knows."""


class Idle(Actor):
    """Does nothing, but is the only one of its name."""

    state: Nothing


async def test_status_numbers_a_session_as_its_activations_do() -> None:
    command = [sys.executable, "-m", "postroom", "status"]
    async with open_postroom("sqlite:///.postroom/postroom.db") as office:
        await office.start("worker/idle", Idle)
        done = await trio.run_process(command, capture_stdout=True)
    lines = [line.split() for line in done.stdout.decode().splitlines()]
    (held,) = [words for words in lines if words[0] == "worker/idle" and len(words) == 3]
    headings = lines.index(["session", "name", "kind", "live", "lease"])
    assert lines[headings + 1][0] == held[1]
