"""A pulling worker that is stopped past its lease has lost it, whatever it says afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from crew import PULL
from jobs import send_jobs, stored
from waiting_for import until

from postroom.store.port import Store

SHELL_WORKER = """
IFS='\t' read -r id fence rest <<< "$("$PYTHON" -m postroom poll pull/main --lease 1)"
echo "$id $fence"
read -r go
"$PYTHON" -m postroom ack "$id" --fence "$fence" --reply '"late"' --json
echo "exit $?"
"""


def postroom(url: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "postroom", "--store", url, *words, "--json"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


@contextmanager
def shell_worker(url: str, folder: Path) -> Generator[subprocess.Popen[str]]:
    """A worker in shell, in a process group of its own; it acks when it is told to."""
    process = subprocess.Popen(
        ["bash", "-c", SHELL_WORKER],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHON": sys.executable, "POSTROOM_STORE": url},
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.mark.timeout(30)
def test_the_late_ack_of_a_stopped_worker_is_refused_and_counted(
    store: Store, url: str, tmp_path: Path
) -> None:
    send_jobs(store, [1], to=PULL)
    with shell_worker(url, tmp_path) as worker:
        assert worker.stdout is not None
        id, fence = worker.stdout.readline().split()
        os.killpg(worker.pid, signal.SIGSTOP)
        other = json.loads(postroom(url, "poll", PULL, "--wait", "10").stdout)["messages"][0]
        assert (other["id"], other["attempt"]) == (id, 2)
        assert other["fence"] > int(fence)
        done = postroom(url, "ack", id, "--fence", str(other["fence"]), "--reply", '"mine"')
        assert done.returncode == 0
        os.killpg(worker.pid, signal.SIGCONT)
        said, _ = worker.communicate("go\n")
    assert json.loads(said.splitlines()[0])["error"]["code"] == "lost_lease"
    assert said.splitlines()[-1] == "exit 3"
    (counts,) = store.counts(PULL)
    assert (counts.done, counts.lost_leases) == (1, 1)
    assert stored(store, 1).state == "done"
    (reply,) = store.peek("sender/main", 10)
    assert reply.body == b'"mine"'


def test_a_lease_that_lapses_leaves_the_attempt_used(store: Store, url: str) -> None:
    send_jobs(store, [1], to=PULL)
    assert postroom(url, "poll", PULL, "--lease", "0.2").returncode == 0
    until(store, lambda: store.counts(PULL)[0].ready == 1)
    again = json.loads(postroom(url, "poll", PULL).stdout)["messages"][0]
    assert again["attempt"] == 2
