"""``postroom simulate`` without a scenario, from the command line."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest

from postroom.console.main import main

SMALL = """
[fleet]
pairs = 2
days = 0.01
[arrivals]
tasks_per_day = 500
day = [0, 24]
[dispatcher]
crashes_per_day = 0
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(SMALL)
    return tmp_path


def told(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:
    """The JSON answer of a simulation that ends with this exit code."""
    capsys.readouterr()
    assert main(["simulate", *words, "--json"]) == code
    return msgspec.json.decode(capsys.readouterr().out)


def test_without_a_file_the_built_in_fleet_is_run(capsys: pytest.CaptureFixture[str]) -> None:
    document = told(capsys, "--pairs", "2", "--days", "0.01", "--seed", "3")
    assert document["seed"] == 3
    assert document["pairs"] == 2
    assert document["policy"] == "economy"
    assert document["virtual_seconds"] >= 864
    assert document["lost"] == document["duplicate_effects"] == 0


def test_the_digest_is_that_of_the_trace(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = told(capsys, "small.toml", "--trace", "out.ndjson")
    trace = (folder / "out.ndjson").read_bytes()
    assert document["trace_sha256"] == sha256(trace).hexdigest()
    assert document["events"] == len(trace.splitlines())
    assert all("event" in msgspec.json.decode(line) for line in trace.splitlines())


def test_policies_are_compared_in_a_list_and_in_a_picture(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--policy", "economy", "--policy", "fixed:60s", "--plot", "out.svg")
    document = told(capsys, "small.toml", *words)
    assert [one["policy"] for one in document["policies"]] == ["economy", "fixed:60s"]
    assert document["trace_sha256"] == document["policies"][0]["trace_sha256"]
    assert (folder / "out.svg").read_text().startswith("<svg")


def test_a_person_sees_policies_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "small.toml", "--policy", "economy", "--policy", "backoff"]) == 0
    shown = capsys.readouterr().out
    heading = next(line for line in shown.splitlines() if "backoff" in line)
    assert "economy" in heading
    assert "wake latency p99" in shown
    assert "nothing broken" in shown


BAD = (
    ("none.toml",),
    ("--policy", "lazy"),
    ("--pairs", "0"),
    ("--days", "nan"),
    ("--trace", "missing/out.ndjson"),
    ("--plot", "missing/out.svg"),
    ("--policy", "economy", "--policy", "backoff", "--trace", "out.ndjson"),
    ("--runs", "2"),
    ("--scenario", "faults", "--pairs", "2"),
    ("small.toml", "--scenario", "faults"),
)


@pytest.mark.parametrize("words", BAD)
def test_bad_input_is_exit_code_2_in_one_line_and_writes_nothing(
    words: tuple[str, ...], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", *words]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (folder / "out.ndjson").exists()


def test_a_wrong_key_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "small.toml").write_text("[turns]\nworker = -1\n")
    error = told(capsys, "small.toml", code=2)["error"]
    assert error["what"] == "small.toml: turns.worker"
