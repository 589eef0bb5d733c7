"""The example convoys do real work: they look after a project, and audit a package that pip downloads."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from convoy_shells import ConvoyShell, outcome, seen

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
AUDIT, PROJECT = "examples/audit.toml", "examples/project.toml"
STEPS = ("room", "download", "unpack", "licence", "imports", "tests", "size", "functions")


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[ConvoyShell]:
    """A folder that holds a copy of the examples, and nothing else."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    made = ConvoyShell(tmp_path)
    yield made
    made.end()


def events(document: dict[str, Any], *kinds: str) -> list[dict[str, Any]]:
    """What a run has put on record of these kinds."""
    lines = (Path(document["logs"]) / "events.ndjson").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["type"] in kinds]


def report_of(shell: ConvoyShell, name: str) -> list[str]:
    return (shell.folder / "build" / name / "report.md").read_text().splitlines()


@pytest.mark.parametrize("name", [AUDIT, PROJECT])
def test_nothing_is_wrong_with_an_example(shell: ConvoyShell, name: str) -> None:
    code, document = shell.do_json("plan", name)
    assert (code, "error" in document) == (0, False)


@pytest.mark.slow
def test_an_audit_whose_report_is_too_long_is_told_so_and_passes_with_a_shorter_one(
    shell: ConvoyShell,
) -> None:
    code, document = shell.do_json("run", AUDIT)
    assert (code, document["status"]) == (0, "done"), document
    assert outcome(document) == {**dict.fromkeys(STEPS, ("done", 1)), "report": ("done", 2)}

    failed, passed = events(document, "gate.failed", "gate.passed")
    assert (failed["type"], failed["task"], failed["attempt"]) == ("gate.failed", "report", 1)
    assert "lines, at most 24 are read" in failed["reason"]
    assert (passed["type"], passed["task"], passed["attempt"]) == ("gate.passed", "report", 2)
    (verdict,) = events(document, "review.verdict")
    assert (verdict["attempt"], verdict["verdict"]) == (2, "passed")
    assert verdict["text"].endswith("functions are where it says")

    lines = report_of(shell, "audit")
    assert len(lines) == 24
    assert lines[0].startswith("# packaging-")
    assert lines[-1].endswith(" more")
    assert sum(line.startswith("- `") for line in lines) == int(verdict["text"].split()[0]) == 15


@pytest.mark.slow
def test_an_audit_that_was_killed_while_pip_was_downloading_is_taken_up_by_resume(
    shell: ConvoyShell,
) -> None:
    process = shell.start("run", AUDIT)
    seen(process, "running    download")
    process.kill()
    process.wait()
    code, document = shell.do_json("run", AUDIT, "--resume")
    assert (code, document["status"], document["guard"]) == (0, "done", [])
    assert outcome(document) == {**dict.fromkeys(STEPS, ("done", 1)), "report": ("done", 2)}
    assert len(report_of(shell, "audit")) == 24


@pytest.mark.slow
def test_a_project_is_looked_after_by_a_panel_of_three(shell: ConvoyShell) -> None:
    shutil.copy(ROOT / "LICENSE", shell.folder)
    (shell.folder / "tests").mkdir()
    (shell.folder / "tests" / "all.py").write_text("def test_it() -> None: ...\n")
    (shell.folder / "long.py").write_text("import trio\n\n\ndef all_of_it():\n" + "    trio.lowlevel\n" * 50)

    code, document = shell.do_json("run", PROJECT)
    assert (code, document["status"]) == (0, "done"), document
    assert {status for status, _ in outcome(document).values()} == {"done"}
    assert [event["gate"] for event in events(document, "gate.passed")] == ["secret_scan"]
    verdicts = events(document, "review.verdict")
    assert {event["reviewer"]: event["verdict"] for event in verdicts} == {
        "second-look": "passed",
        "plain-language": "passed",
        "nothing-missing": "passed",
    }

    lines = report_of(shell, "project")
    assert lines[0] == "# without a version"
    assert "licence: Apache License LICENSE" in lines
    assert "tests: 1 in 1 files" in lines
    assert "- `all_of_it` in long.py:4: 51 lines" in lines
    kept = Path(document["logs"]) / "artifacts" / "report.1" / "report"
    assert kept.read_text().splitlines() == lines


@pytest.mark.slow
def test_a_report_with_a_secret_in_it_does_not_leave_a_project(shell: ConvoyShell) -> None:
    token = "ghp_" + "a1B2c3D4e5F6" * 3
    (shell.folder / "LICENSE").write_text(f"Ask {token} for a licence\n")
    code, document = shell.do_json("run", PROJECT)
    assert (code, outcome(document)["report"]) == (1, ("failed", 1))
    assert outcome(document)["show"] == ("failed", 0)
    failed = events(document, "gate.failed")
    assert [event["gate"] for event in failed] == ["secret_scan"]
    assert token not in json.dumps(document)
