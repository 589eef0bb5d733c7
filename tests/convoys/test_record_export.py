"""A run can be given away as one file: complete, the same each time, and without its secrets."""

from __future__ import annotations

import gzip
import json
import os
import tarfile
from hashlib import sha256
from pathlib import Path

import pytest
from played import played, shell
from scribe import Scribe

from postroom.actors.convoys import events as e
from postroom.actors.convoys.names import RUN, RUNS, TEXT, manager_of, number_key
from postroom.actors.convoys.record import export as exporting
from postroom.actors.convoys.record.export import export
from postroom.actors.convoys.record.ndjson import text_of
from postroom.actors.convoys.record.secrets import find
from postroom.mailbox import codec
from postroom.store.clock import SystemClock
from postroom.store.errors import BadInput, Conflict
from postroom.store.memory import MemoryStore
from postroom.store.records import Put, Write
from postroom.store.transact import transact_one

TOKEN = "ghp_" + "a1B2" * 9


def unpacked(path: Path, run: str = "r1") -> dict[str, str]:
    with tarfile.open(path) as tar:
        members = tar.getmembers()
        assert all(member.isfile() and member.mode == 0o600 and member.mtime == 0 for member in members)
        assert all(member.name.startswith(f"convoy-{run}/") for member in members)
        found: dict[str, str] = {}
        for member in members:
            file = tar.extractfile(member)
            assert file is not None
            found[member.name.partition("/")[2]] = file.read().decode()
    return found


def enter_as(store: MemoryStore, text: str = "", **settings: str) -> None:
    """Put a run into the index, whatever is there of it."""
    value = codec.encode({"file": "/work.toml", "settings": settings})
    piece = Write(manager_of("r1"), TEXT, number_key(0), codec.encode(text))
    transact_one(store, Put((Write(RUNS, RUN, "r1", value), piece)))


def entered(text: str = "") -> Scribe:
    store = MemoryStore(SystemClock())
    enter_as(store, text)
    return Scribe(store)


async def test_a_run_that_was_played_is_there_whole(tmp_path: Path) -> None:
    store, logs = MemoryStore(SystemClock()), tmp_path / "logs"
    logs.mkdir()
    await played(
        store,
        logs,
        shell(logs, "good", "echo all is well"),
        shell(logs, "bad", f"echo the token is {TOKEN}; exit 3", "good", retries=1),
    )
    exported = export(store, "r1", logs, tmp_path / "run.tar.gz")
    files = unpacked(exported.path)
    assert set(files) - {"manifest.json"} == set(exported.files)
    assert files["plan.toml"] == 'name = "test"\n'
    report = json.loads(files["report.json"])
    assert [(task["id"], task["status"]) for task in report["tasks"]] == [("good", "done"), ("bad", "failed")]
    attempts = json.loads(files["attempts.json"])
    assert [attempt["outcome"] for attempt in attempts["bad"]] == ["failed", "failed"]
    (dead,) = json.loads(files["dead.json"])
    assert (dead["task"], dead["failure"], dead["attempts"]) == ("bad", "error", 2)
    assert files["events.ndjson"] == b"".join(text_of(store, "r1")).decode()
    assert files["logs/good.1.log"] == "all is well\n"
    assert files["logs/bad.2.log"] == "the token is [redacted: github-token]\n"
    assert TOKEN not in str(files)


async def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    store = MemoryStore(SystemClock())
    await played(store, tmp_path, shell(tmp_path, "a", "true"))
    export(store, "r1", tmp_path, tmp_path / "one.tar.gz")
    export(store, "r1", tmp_path, tmp_path / "two.tar.gz")
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()


def test_the_manifest_has_the_size_and_sum_of_each_file(tmp_path: Path) -> None:
    scribe = entered(f"token = '{TOKEN}'\n")
    (tmp_path / "a.1.log").write_text("words\n")
    export(scribe.store, "r1", tmp_path, tmp_path / "run.tar.gz")
    files = unpacked(tmp_path / "run.tar.gz")
    manifest = json.loads(files.pop("manifest.json"))
    assert manifest["run"] == "r1"
    assert manifest["redacted"] == {"github-token": 1}
    assert {entry["name"]: (entry["size"], entry["sha256"]) for entry in manifest["files"]} == {
        name: (len(text.encode()), sha256(text.encode()).hexdigest()) for name, text in files.items()
    }
    assert manifest["files"][0]["redacted"] == ["github-token"]


async def test_no_secret_leaves_by_any_file(tmp_path: Path) -> None:
    store = MemoryStore(SystemClock())
    await played(store, tmp_path, shell(tmp_path, "t", f"echo {TOKEN}; exit 1"))
    enter_as(store, f'password = "hunter2"\n# {TOKEN}\n', db_password="correct horse")
    (tmp_path / "t.1.log").write_bytes(b"\xff\0 Authorization: Bearer abcdefgh\n")
    exported = export(store, "r1", tmp_path, tmp_path / "run.tar.gz")
    assert set(exported.redacted) == {"password", "github-token", "bearer-token"}
    text = gzip.decompress((tmp_path / "run.tar.gz").read_bytes()).decode(errors="replace")
    for secret in (TOKEN, "hunter2", "correct horse", "abcdefgh"):
        assert secret not in text
    assert find(text) == []


def test_disputes_are_told_with_how_they_were_settled(tmp_path: Path) -> None:
    scribe = entered()
    scribe.write(e.DisputeRaised("t", 2), e.ConvoyPaused("t is disputed"))
    scribe.write(e.DisputeResolved("t", "fail", "me", "no"))
    export(scribe.store, "r1", tmp_path, tmp_path / "run.tar.gz")
    disputes = json.loads(unpacked(tmp_path / "run.tar.gz")["disputes.json"])
    assert [dispute["type"] for dispute in disputes] == ["dispute.raised", "dispute.resolved"]
    assert disputes[1]["text"] == "no"


def test_a_long_log_keeps_its_beginning_and_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "HEAD", 40)
    monkeypatch.setattr(exporting, "TAIL", 40)
    lines = [f"line {n:04d}\n" for n in range(1000)]
    (tmp_path / "t.1.log").write_text("".join(lines))
    export(entered().store, "r1", tmp_path, tmp_path / "run.tar.gz")
    log = unpacked(tmp_path / "run.tar.gz")["logs/t.1.log"]
    assert log == "".join([*lines[:4], "... 9930 bytes left out ...\n", *lines[-3:]])


def test_a_secret_at_the_edge_of_what_is_kept_of_a_log_does_not_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "HEAD", 40)
    monkeypatch.setattr(exporting, "TAIL", 40)
    (tmp_path / "t.1.log").write_text(f"this it was:\n{TOKEN}\n{'line' * 30}\n{TOKEN}\n it was\n")
    export(entered().store, "r1", tmp_path, tmp_path / "run.tar.gz")
    log = unpacked(tmp_path / "run.tar.gz")["logs/t.1.log"]
    assert TOKEN[4:14] not in log
    assert TOKEN[-10:] not in log


def test_links_are_not_followed_and_other_files_stay_where_they_are(tmp_path: Path) -> None:
    logs, other = tmp_path / "logs", tmp_path / "other.log"
    (logs / "in").mkdir(parents=True)
    other.write_text("mine")
    (logs / "link.log").symlink_to(other)
    (logs / "folder").symlink_to(tmp_path)
    (logs / "pid.lock").write_text("1")
    (logs / "in" / "t.1.log").write_text("deep\n")
    exported = export(entered().store, "r1", logs, tmp_path / "run.tar.gz")
    assert [name for name in exported.files if name.startswith("logs/")] == ["logs/in/t.1.log"]


def test_only_its_owner_may_read_it_and_nothing_is_written_over(tmp_path: Path) -> None:
    store, target = entered().store, tmp_path / "run.tar.gz"
    export(store, "r1", tmp_path, target)
    assert target.stat().st_mode & 0o777 == 0o600
    before = target.read_bytes()
    with pytest.raises(Conflict, match="is there already"):
        export(store, "r1", tmp_path, target)
    assert target.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["run.tar.gz"]


def test_what_is_exported_is_durable_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    sync, link = os.fsync, os.link

    def synced(number: int) -> None:
        done.append("synced")
        sync(number)

    def named(source: str, target: Path, *, follow_symlinks: bool) -> None:
        done.append("named")
        link(source, target, follow_symlinks=follow_symlinks)

    store = entered().store
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "link", named)
    export(store, "r1", tmp_path, tmp_path / "run.tar.gz")
    assert done == ["synced", "named", "synced"]


def test_a_link_at_the_target_is_not_written_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    (tmp_path / "run.tar.gz").symlink_to(victim)
    with pytest.raises(Conflict):
        export(entered().store, "r1", tmp_path, tmp_path / "run.tar.gz")
    assert not victim.exists()


def test_an_unknown_run_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no run is called r9"):
        export(entered().store, "r9", tmp_path, tmp_path / "run.tar.gz")
    with pytest.raises(BadInput, match="cannot write"):
        export(entered().store, "r1", tmp_path, tmp_path / "gone" / "run.tar.gz")
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_never_set_out_can_be_exported(tmp_path: Path) -> None:
    exported = export(entered().store, "r1", tmp_path / "none", tmp_path / "run.tar.gz")
    assert exported.files == ("plan.toml", "disputes.json", "events.ndjson")
