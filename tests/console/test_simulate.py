"""``postroom simulate`` from the command line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest

from postroom.console.main import main
from postroom.simulation import cast

SMALL = """
[fleet]
nodes = 1
senders = 1
askers = 0
pullers = 1
[load]
jobs = 16
steps = 4
pulled = 2
questions = 0
flaky = 0
poison = 0
seconds = 0.5
[faults]
amount = 3
weights = {crash-after-commit = 1, unknown-kept = 1}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(SMALL)
    return tmp_path


def told(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:
    """The answer of a simulation that ends with this exit code."""
    capsys.readouterr()
    assert main(["simulate", "--scenario", "small.toml", *words, "--json"]) == code
    return msgspec.json.decode(capsys.readouterr().out)


def break_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each job of a worker have its effect twice."""
    once = cast.Worker.note

    def twice(self: cast.Worker) -> None:
        once(self)
        once(self)

    monkeypatch.setattr(cast.Worker, "note", twice)


def test_the_document_has_the_keys_of_the_contract(capsys: pytest.CaptureFixture[str]) -> None:
    document = told(capsys, "--seed", "7")
    assert document["seed"] == 7
    assert document["lost"] == document["duplicate_effects"] == 0
    assert document["virtual_seconds"] > 0.5
    assert document["wakes"] == {"useful": 0, "empty": 0, "lost": 0, "blocked": 0}
    assert document["wake_latency_seconds"] == {"p50": None, "p99": None}
    assert document["breaches"] == []
    assert document["messages"] > 30


def test_the_digest_is_that_of_the_trace(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = told(capsys, "--trace", "out.ndjson")
    trace = (folder / "out.ndjson").read_bytes()
    assert document["trace_sha256"] == sha256(trace).hexdigest()
    lines = trace.splitlines()
    assert document["events"] == len(lines)
    assert {"at", "event"} <= msgspec.json.decode(lines[0]).keys()


def test_the_trace_of_a_seed_is_the_same_each_time(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told(capsys, "--trace", "one.ndjson")
    told(capsys, "--trace", "two.ndjson")
    assert (folder / "one.ndjson").read_bytes() == (folder / "two.ndjson").read_bytes()


def test_several_runs_are_added_up(capsys: pytest.CaptureFixture[str]) -> None:
    alone = [told(capsys, "--seed", str(seed)) for seed in (4, 5)]
    both = told(capsys, "--seed", "4", "--runs", "2")
    assert both["runs"] == 2
    assert both["messages"] == sum(one["messages"] for one in alone)


def test_a_breach_is_exit_code_1_with_the_command_that_replays_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    break_it(monkeypatch)
    document = told(capsys, "--seed", "3", code=1)
    assert document["duplicate_effects"] > 0
    (failure,) = document["breaches"]
    assert failure["command"] == "postroom simulate --scenario small.toml --seed 3"
    assert failure["smallest"].startswith(failure["command"] + " --leave-out 0,1,2 --lighter ")
    capsys.readouterr()
    words = failure["smallest"].split()[1:]
    assert main([*words, "--no-shrink"]) == 1
    assert "seed 3 FAILED" in capsys.readouterr().out


def test_a_person_is_shown_what_the_seed_stands_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--scenario", "small.toml", "--seed", "2"]) == 0
    shown = capsys.readouterr().out
    assert "scenario small.toml, seed 2" in shown
    assert "fault 2:" in shown
    assert "nothing broken" in shown


BAD = (
    ("--scenario", "nowhere"),
    ("--seed", "-1"),
    ("--runs", "0"),
    ("--runs", "2", "--trace", "out.ndjson"),
    ("--trace", "missing/out.ndjson"),
    ("--leave-out", "one"),
)


@pytest.mark.parametrize("words", BAD)
def test_bad_input_is_exit_code_2_in_one_line(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", *words]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_wrong_key_of_a_scenario_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "small.toml").write_text("[fleet]\nnodes = 0\n")
    error = told(capsys, code=2)["error"]
    assert error["what"] == "small.toml: fleet.nodes"


def test_an_interrupted_simulation_ends_with_130(folder: Path) -> None:
    """The trace is a pipe, so that its first line says that the run is under way."""
    os.mkfifo(folder / "pipe")
    words = ["simulate", "--scenario", "faults", "--trace", "pipe"]
    child = subprocess.Popen(
        [sys.executable, "-m", "postroom", *words], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    with (folder / "pipe").open("rb") as pipe, child:
        assert pipe.readline()
        child.send_signal(signal.SIGINT)
        pipe.read()
        assert child.stderr is not None
        told = child.stderr.read().decode()
    assert child.returncode == 130
    assert len(told.splitlines()) == 1


def test_no_other_command_pays_for_it() -> None:
    code = "import sys; from postroom.console.main import main; main(['--version']);"
    code += "print([name for name in sys.modules if name.startswith('postroom.simulation')])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.splitlines()[-1] == "[]"
