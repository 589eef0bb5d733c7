"""The pull commands start fast because they import little."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = frozenset(
    {"trio", "anyio", "cattrs", "prometheus_client", "rich", "starlette", "anycorn", "h11", "http"}
)


def _imported_by(*arguments: str, store: str) -> set[str]:
    """Top-level modules that a command imports, told by the interpreter itself."""
    command = "import sys; from postroom.console.main import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", command, *arguments],
        env={**os.environ, "POSTROOM_STORE": store},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    said = [line for line in done.stderr.splitlines() if line not in lines]
    assert done.returncode in {0, 4}, "\n".join(said)
    return {line.rpartition("|")[2].strip().split(".")[0] for line in lines}


@pytest.fixture
def store(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/work.db"
    _imported_by("pair", "T-1", "--manager", "ada", "--worker", "bob", store=url)
    _imported_by("send", "worker/bob", "--type", "Job", "--body", "{}", store=url)
    return url


@pytest.mark.slow
def test_poll_imports_no_event_loop_no_converter_no_metrics_no_http(store: str) -> None:
    with_mail = _imported_by("poll", "worker/bob", store=store)
    without_mail = _imported_by("poll", "manager/ada", store=store)
    assert "postroom" in with_mail
    assert HEAVY.isdisjoint(with_mail), HEAVY & with_mail
    assert HEAVY.isdisjoint(without_mail), HEAVY & without_mail
