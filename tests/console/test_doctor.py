"""What the doctor says of this machine and of a store's file."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from postroom.console import doctor
from postroom.console.findings import Finding
from postroom.console.main import main
from postroom.store.urls import open_store


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "work.db"
    open_store(f"sqlite:///{path}", create=True).close()
    return path


def finding(path: Path, name: str) -> Finding:
    return dict(doctor.examine(path))[name]


def test_a_sound_store_on_a_sound_machine_has_nothing_to_fix(path: Path) -> None:
    names = [name for name, found in doctor.examine(path) if found.status == "fail"]
    assert names == []
    assert finding(path, "mode") == Finding("ok", "0600")
    assert finding(path, "schema").status == "ok"


def open_to_others(path: Path) -> None:
    path.chmod(0o644)


def from_the_future(path: Path) -> None:
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("PRAGMA user_version = 9999")


def foreign(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("CREATE TABLE t (x)")


def not_a_database(path: Path) -> None:
    path.write_bytes(b"this is no database " * 100)


def damaged(path: Path) -> None:
    with closing(sqlite3.connect(path)) as conn:
        (page,) = conn.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'message'").fetchone()
        (size,) = conn.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * 100)


def locked_up(path: Path) -> None:
    path.chmod(0o400)


def bloated(path: Path) -> None:
    with path.with_name(path.name + "-wal").open("wb") as file:
        file.truncate(doctor.WAL_WARN)


@pytest.mark.parametrize(
    ("harm", "name", "status"),
    [
        (open_to_others, "mode", "warn"),
        (from_the_future, "schema", "fail"),
        (foreign, "schema", "fail"),
        (not_a_database, "schema", "fail"),
        (damaged, "pages", "fail"),
        (locked_up, "mode", "fail"),
        (Path.unlink, "store", "fail"),
    ],
)
def test_each_harm_is_found_and_comes_with_a_fix(
    path: Path, harm: Callable[[Path], None], name: str, status: str
) -> None:
    harm(path)
    found = finding(path, name)
    assert found.status == status
    assert found.fix


def test_a_log_that_is_never_checkpointed_is_warned_about(path: Path) -> None:
    bloated(path)
    assert doctor.check_wal(path).status == "warn"


def test_processes_that_have_the_store_open_are_named(path: Path) -> None:
    assert doctor.processes_using(path) == []
    program = f"import sys; held = open({str(path)!r}); print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert doctor.processes_using(path) == [child.pid]


def checked(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    main(["doctor", "--json", *words])
    return msgspec.json.decode(capsys.readouterr().out)


def test_the_answer_holds_all_checks_and_the_first_failure_as_an_error(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = checked(capsys, "--store", f"sqlite:///{path}")
    assert document["ok"] is True
    assert "error" not in document
    assert set(document["checks"][0]) == {"name", "status", "found", "fix"}
    document = checked(capsys, "--store", "sqlite:///missing.db")
    assert (document["ok"], document["error"]["code"]) == (False, "store_unavailable")
    assert main(["doctor", "--store", "sqlite:///missing.db"]) == 5
