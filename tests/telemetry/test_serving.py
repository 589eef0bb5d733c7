"""``postroom serve`` from its arguments to its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from postroom.console.serve import Entrance, How, serve_store
from postroom.gateway.door import Door
from postroom.store.clock import ManualClock
from postroom.store.memory import MemoryStore
from postroom.telemetry.listener import listen


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
async def test_serving_ends_with_a_signal(stop: signal.Signals) -> None:
    announced: list[int] = []

    def announce() -> None:
        announced.append(stop)
        os.kill(os.getpid(), stop)

    with listen("127.0.0.1", 0) as listener:
        entrance = Entrance(listener, Door(frozenset()), "http://127.0.0.1", None)
        with trio.fail_after(10):
            await serve_store(MemoryStore(ManualClock()), [entrance], announce, How(["worker/a"]))
    assert announced == [stop]


def postroom(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder of its own."""
    return subprocess.run(
        [sys.executable, "-m", "postroom", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )


def test_a_busy_port_is_one_line_and_creates_nothing(tmp_path: Path) -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        done = postroom(tmp_path, "serve", "--port", str(port))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_address_that_others_can_reach_is_a_usage_error(tmp_path: Path) -> None:
    done = postroom(tmp_path, "serve", "--host", "0.0.0.0", "--port", "0")
    assert (done.returncode, done.stdout) == (2, "")
    assert "will not listen on 0.0.0.0" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_address_is_a_usage_error(tmp_path: Path) -> None:
    done = postroom(tmp_path, "serve", "--port", "0", "--inbox", "not an address")
    assert (done.returncode, done.stdout) == (2, "")
    assert list(tmp_path.iterdir()) == []


def test_serve_prints_its_real_port_creates_the_store_and_ends_well(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "postroom", "serve", "--port", "0", "--inbox", "worker/a"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        process.terminate()
        _, errors = process.communicate(timeout=50)
    assert first.startswith("http://127.0.0.1:")
    assert ":0/" not in first
    assert (process.returncode, errors) == (0, "")
    assert (tmp_path / ".postroom" / "postroom.db").exists()
