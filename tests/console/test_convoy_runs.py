"""Looking at runs: which there are, where each stands, and what happened in it."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from shells import Shell

from postroom.actors.convoys.events import TYPES
from postroom.actors.convoys.ledger import Ledger
from postroom.actors.convoys.record import guard
from postroom.store.urls import DEFAULT_URL, open_store


@pytest.fixture
def two(shell: Shell) -> Shell:
    """A run that is done, and after it one of another file that has failed."""
    Path("good.toml").write_text('[tasks.a]\ncommand = "true"\ngates = ["true"]\n')
    Path("bad.toml").write_text('[tasks.a]\ncommand = "echo so sad; false"\nretries = 1\nbackoff = 0\n')
    shell.json("run", "good.toml")
    shell.json("run", "bad.toml", code=1)
    return shell


def test_the_runs_are_listed_newest_first(two: Shell) -> None:
    runs = two.json("runs")["runs"]
    assert [(run["status"], run["played"], Path(run["file"]).name) for run in runs] == [
        ("failed", False, "bad.toml"),
        ("done", False, "good.toml"),
    ]
    assert [run["run"] for run in two.json("runs", "--max", "1")["runs"]] == [runs[0]["run"]]
    assert [run["run"] for run in two.json("runs", "good.toml")["runs"]] == [runs[1]["run"]]
    assert two.json("runs", "--unfinished") == {"runs": []}
    assert "good.toml" in two.text("runs")


def test_a_run_is_found_by_its_id_by_the_beginning_of_that_and_by_its_file(two: Shell) -> None:
    run = two.json("runs", "good.toml")["runs"][0]["run"]
    for name in (run, run[:-1], "good.toml", "./good.toml", str(Path("good.toml").absolute())):
        assert two.json("status", name)["run"] == run
    assert two.error("status", run[:4], code=2) == "bad_input"  # both begin so
    assert two.error("status", "", code=1) == "unknown_run"
    assert two.error("status", "other.toml", code=1) == "unknown_run"


def test_the_status_of_a_run_has_every_attempt_and_what_checked_it(two: Shell) -> None:
    bad, good = (two.json("status", name)["tasks"][0] for name in ("bad.toml", "good.toml"))
    assert [(one["n"], one["outcome"], one["reason"]) for one in bad["tries"]] == [
        (1, "failed", "exit 1: so sad"),
        (2, "failed", "exit 1: so sad"),
    ]
    assert (good["claimed"], good["checked"]) == (True, True)
    assert [check["verdict"] for check in good["checks"]] == ["passed"]
    assert "1 passed" in two.text("status", "good.toml")


def test_what_tasks_have_printed_is_for_their_owner_alone(two: Shell) -> None:
    folders = [Path(two.json("status", name)["logs"]) for name in ("good.toml", "bad.toml")]
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in folders] == [0o700, 0o700]


def test_a_store_that_is_not_there_yet_is_begun_by_a_run(shell: Shell) -> None:
    assert shell.error("status", code=5) == "store_unavailable"
    assert "postroom run FILE" in shell.err


def test_the_status_of_the_whole_is_told_without_a_run(two: Shell) -> None:
    assert {"inboxes", "sessions", "dead"} <= two.json("status").keys()


def test_what_a_failed_run_leaves_to_do_is_told_as_commands(two: Shell) -> None:
    steps = two.json("status", "bad.toml")["next"]
    run = two.json("status", "bad.toml")["run"]
    assert f"dead list --run {run}" in steps[0]
    assert "--retry-failed" in steps[1]
    assert two.json("status", "good.toml")["next"] == []
    two.text("status", "bad.toml")
    assert f"go on with: {steps[0]}" in two.out


def test_the_events_of_a_run_are_those_on_record(two: Shell) -> None:
    events = two.json("events", "good.toml")["events"]
    kinds = [event["type"] for event in events]
    assert kinds[0] == "convoy.started"
    assert kinds[-1] == "convoy.ended"
    assert {"task.started", "task.claimed", "gate.passed", "task.done"} <= set(kinds)
    assert set(kinds) <= TYPES.keys()
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    for n, line in enumerate(two.text("events", "good.toml", "--ndjson").splitlines()):
        assert json.loads(line)["type"] == kinds[n]
    assert two.text("events", "good.toml").count("\n") == len(events)
    assert two.text("events", "good.toml", "--follow").count("\n") == len(events)


def test_a_run_stores_its_file_as_it_was_resolved(shell: Shell) -> None:
    Path("work.toml").write_text('[input]\nx = "1"\n[tasks.a]\ncommand = "echo {{input.x}}"\n')
    shell.json("run", "work.toml", "--set", "x=2")
    Path("again.toml").write_text(stored_text("work.toml"))
    assert "echo 2" in Path("again.toml").read_text()
    assert shell.json("run", "again.toml")["status"] == "done"


def stored_text(file: str) -> str:
    store = open_store(DEFAULT_URL, create=False)
    try:
        ledger = Ledger(store)
        return next(ledger.text(run.id) for run in ledger.runs() if run.file.endswith(file))
    finally:
        store.close()


def test_a_run_is_exported_as_one_file_that_only_its_owner_may_read(two: Shell) -> None:
    done = two.json("export", "bad.toml", "bad.tar.gz")
    assert {"plan.toml", "report.json", "events.ndjson", "dead.json"} <= set(done["files"])
    assert Path("bad.tar.gz").stat().st_mode & 0o777 == 0o600
    assert two.error("export", "bad.toml", "bad.tar.gz", code=3) == "conflict"


def test_the_guard_finds_nothing_in_runs_that_are_well(two: Shell) -> None:
    assert two.json("run", "good.toml")["guard"] == []
    assert two.json("run", "bad.toml", code=1)["guard"] == []


def test_a_run_of_which_the_guard_finds_something_has_failed(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(*_: object) -> list[guard.Breach]:
        return [guard.Breach("record", "a", "one event is missing")]

    monkeypatch.setattr(guard, "guard", found)
    Path("good.toml").write_text('[tasks.a]\ncommand = "true"\n')
    document = shell.json("run", "good.toml", code=1)
    assert document["guard"] == [{"rule": "record", "task": "a", "text": "one event is missing"}]
