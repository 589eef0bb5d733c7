"""``postroom serve`` as a process, spoken to over its socket."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any


class Local(http.client.HTTPConnection):
    """The standard library's client, over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=40)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))

    def begin(self, verb: str, flags: object) -> None:
        self.request("POST", f"/v1/{verb}", json.dumps(flags), {"Content-Type": "application/json"})

    def end(self) -> Any:
        """The answer; this client asks once."""
        with self.getresponse() as response:
            answer = json.loads(response.read())
        self.close()
        return answer


def test_serve_hears_other_processes_and_ends_well_under_a_long_poll(tmp_path: Path) -> None:
    postroom = [sys.executable, "-m", "postroom", "--json"]

    def run(*words: str) -> Any:
        done = subprocess.run([*postroom, *words], cwd=tmp_path, capture_output=True, check=True, timeout=40)
        return json.loads(done.stdout)

    (tmp_path / "postroom.toml").write_text("lease = 250\n")
    run("pair", "docs", "--manager", "mo", "--worker", "anna")
    with subprocess.Popen(
        [*postroom, "serve", "--socket", "gate.sock"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as serving:
        assert serving.stdout is not None
        announced = json.loads(serving.stdout.readline())
        assert (announced["socket"], announced["url"]) == ("gate.sock", None)
        client = Local(tmp_path / "gate.sock")
        client.begin("poll", {"inbox": "worker/anna", "wait": 30})
        sent = run("send", "worker/anna", "--type", "t", "--body", "1")
        assert [message["id"] for message in client.end()["messages"]] == [sent["id"]]
        client.begin("poll", {"inbox": "worker/anna", "wait": 30})
        other = Local(tmp_path / "gate.sock")
        other.begin("poll", {"inbox": "manager/mo"})
        assert other.end() == {"messages": []}
        run("send", "manager/mo", "--type", "t", "--body", "1")
        other.begin("poll", {"inbox": "manager/mo"})
        (message,) = other.end()["messages"]
        assert message["lease_seconds"] == 250
        serving.send_signal(signal.SIGTERM)
        assert client.end() == {"messages": []}
        _, errors = serving.communicate(timeout=40)
        assert (serving.returncode, errors) == (0, b"")
    assert not (tmp_path / "gate.sock").exists()
