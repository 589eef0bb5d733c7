"""``repair`` on the command line, and what ``doctor`` and ``verify`` say before and after it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from postroom.console.main import main


def run(capsys: pytest.CaptureFixture[str], store: Path, *words: str) -> tuple[int, dict[str, Any]]:
    code = main(["--json", "--store", f"sqlite:///{store}", *words])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return code, found


@pytest.fixture
def store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A store with one message, one byte of which is wrong."""
    path = tmp_path / "s.db"
    assert run(capsys, path, "pair", "t", "--manager", "manager/m", "--worker", "worker/w")[0] == 0
    body = json.dumps({"text": "abcd" * 500})
    assert run(capsys, path, "send", "worker/w", "--type", "job", "--body", body)[0] == 0
    content = bytearray(path.read_bytes())
    content[content.rindex(b"abcdabcd")] ^= 1
    path.write_bytes(bytes(content))
    return path


def test_damage_is_told_repaired_and_remembered(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = run(capsys, store, "verify", "--deep")
    assert (code, found["ok"]) == (1, False)
    assert "does not have the sum" in found["faults"][0]
    code, found = run(capsys, store, "repair")
    assert code != 0
    assert "--accept-loss" in found["error"]["do"]

    code, found = run(capsys, store, "repair", "--accept-loss")
    assert (code, found["lost"], len(found["doubtful"])) == (0, {}, 1)
    assert Path(found["kept"]).is_dir()

    code, found = run(capsys, store, "verify", "--deep")
    assert (code, found["ok"], found["lost_by_damage"]) == (0, True, 0)
    assert ".damaged-1" in found["notices"][0]
    code, found = run(capsys, store, "doctor")
    statuses = {check["name"]: check["status"] for check in found["checks"]}
    assert statuses["damage"] == "warn"
    assert run(capsys, store, "repair")[1]["found"] == []


def test_a_rotten_message_is_not_delivered(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = run(capsys, store, "poll", "worker/w")
    assert code == 4
    assert "abcd" not in json.dumps(found)


def test_repair_says_in_words_what_it_did(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--store", f"sqlite:///{store}", "repair", "--accept-loss"]) == 0
    said = capsys.readouterr().out
    assert "in doubt, now a dead letter" in said
    assert "the files as they were are in" in said
    assert main(["--store", f"sqlite:///{store}", "repair"]) == 0
    assert "nothing is damaged" in capsys.readouterr().out


def test_a_missing_store_cannot_be_repaired(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, tmp_path / "none.db", "repair")[0] == 5
