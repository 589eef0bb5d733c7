"""The examples do what they say, with no terminal and nothing on standard input."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


def run(*words: str, cwd: Path, timeout: float = 50) -> subprocess.CompletedProcess[str]:
    """Run Python on these words, with standard input closed."""
    return subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", sys.executable, *words],
        cwd=cwd,
        env={**os.environ, "POSTROOM_STORE": f"sqlite:///{cwd}/store/work.db"},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def some_files(folder: Path, count: int) -> Path:
    """A folder of small modules, one of which is none."""
    root = folder / "library"
    (root / "site-packages").mkdir(parents=True)
    (root / "site-packages" / "not_ours.py").write_text("def f(): ...\n")
    for n in range(count):
        (root / f"m{n}.py").write_text("class A:\n    def f(self):\n        return 1\n\n\ndef g(): ...\n")
    (root / "bad.py").write_text("def (:\n")
    return root


@pytest.mark.slow
def test_the_census_counts_every_file_though_a_worker_is_killed(tmp_path: Path) -> None:
    root = some_files(tmp_path, 1500)
    words = ["--demo", "--processes", "2", "--json", "--root", str(root)]
    done = run(str(EXAMPLES / "census.py"), *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    census: dict[str, Any] = json.loads(done.stdout)
    assert (census["files"], census["functions"], census["classes"]) == (1501, 3000, 1500)
    assert (census["killed"], census["dead"]) == (1, 0)
    assert list(census["problems"]) == [str(root / "bad.py")]
    assert sum(census["by_worker"].values()) == 1501
    assert census["verify"]["ok"]


@pytest.mark.slow
def test_the_census_shows_a_table_to_people_and_keeps_its_store_if_asked(tmp_path: Path) -> None:
    root = some_files(tmp_path, 20)
    words = ["--processes", "1", "--root", str(root), "--store", "sqlite:///kept.db"]
    done = run(str(EXAMPLES / "census.py"), *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "21 of 21 files" in done.stdout
    assert "postroom verify: ok" in done.stdout
    assert (tmp_path / "kept.db").exists()


def test_the_census_refuses_a_folder_without_python_files(tmp_path: Path) -> None:
    done = run(str(EXAMPLES / "census.py"), "--root", str(tmp_path), cwd=tmp_path)
    assert done.returncode == 2
    assert "there is no Python file" in done.stderr


@pytest.mark.slow
def test_shell_workers_count_words_for_a_manager_in_python(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("to be or not to be\n")
    (tmp_path / "two.txt").write_text("that is the question\n")
    done = run(str(EXAMPLES / "pull_manager.py"), "one.txt", "two.txt", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["6", "4", "0"]


@pytest.mark.slow
def test_a_file_that_the_shell_cannot_read_is_dead_and_not_forgotten(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("to be\n")
    done = run(str(EXAMPLES / "pull_manager.py"), "one.txt", "gone.txt", cwd=tmp_path)
    assert done.returncode == 1
    assert "1 not readable" in done.stdout
    assert " 0 lost" in done.stdout


def test_the_shell_worker_is_ten_lines_of_posix_shell() -> None:
    script = EXAMPLES / "pull_worker.sh"
    subprocess.run(["sh", "-n", str(script)], check=True)
    lines = [line for line in script.read_text().splitlines() if line and not line.startswith("#")]
    assert len(lines) <= 10


@pytest.mark.slow
def test_the_release_convoy_builds_checks_and_summarises_this_project(tmp_path: Path) -> None:
    out = tmp_path / "release"
    words = ["-m", "postroom", "run", str(EXAMPLES / "release.toml"), "--json", "--set", f"out={out}"]
    done = run(*words, cwd=tmp_path, timeout=55)
    assert done.returncode == 0, done.stdout + done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    assert {task["status"] for task in document["tasks"]} == {"done"}
    (wheel,) = out.glob("postroom-*.whl")
    checked = subprocess.run(
        [shutil.which("sha256sum") or "sha256sum", "--check", "SHA256SUMS"], cwd=out, check=False
    )
    assert checked.returncode == 0
    assert wheel.name in (out / "SUMMARY.md").read_text()
