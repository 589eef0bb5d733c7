"""The shell worker of the examples, on a real gateway."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import anyio
import pytest
from client_places import Gateway

SCRIPT = Path(__file__).parents[2] / "examples" / "pull_worker_http.sh"
TOOLS = ("curl", "jq")

needs_tools = pytest.mark.skipif(
    not all(map(shutil.which, TOOLS)), reason=f"the script needs {' and '.join(TOOLS)}"
)


def work(gateway: Gateway, folder: Path, token: str) -> subprocess.CompletedProcess[str]:
    """Run the worker until there is no more mail; its tools write down their arguments."""
    (folder / "token").write_text(f"{token}\n")
    for tool in ("curl", "jq"):
        shim = folder / "bin" / tool
        shim.parent.mkdir(exist_ok=True)
        shim.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >>{folder}/seen\nexec {shutil.which(tool)} "$@"\n')
        shim.chmod(0o700)
    path = f"{folder}/bin:{os.environ['PATH']}"
    return subprocess.run(
        [str(SCRIPT), gateway.url, str(folder / "token"), "worker/anna"],
        env={**os.environ, "PATH": path, "WAIT": "0.1", "TMPDIR": str(folder)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


@needs_tools
@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_the_shell_worker_replies_buries_and_keeps_its_token_to_itself(
    gateway: Gateway, tmp_path: Path
) -> None:
    (tmp_path / "one.txt").write_text("to be or not to be\n")
    text = await gateway.scoped(inboxes=["worker/anna"], verbs=["poll", "ack", "nack"])
    async with gateway.client() as client:
        for file in ("one.txt", "gone.txt", "one.txt"):
            await client.send("worker/anna", "CountWords", {"file": file}, sender="manager/mo")
        done = work(gateway, tmp_path, text)
        assert done.returncode == 0, done.stderr
        replies = await client.poll("manager/mo", max=9)
        assert [reply.body for reply in replies] == [{"file": "one.txt", "words": 6}] * 2
    seen = (tmp_path / "seen").read_text()
    assert "Idempotency-Key" in seen
    assert text not in seen
    assert [path.name async for path in anyio.Path(tmp_path).glob("tmp.*")] == []


@needs_tools
@pytest.mark.slow
def test_the_shell_worker_says_what_the_gateway_said(gateway: Gateway, tmp_path: Path) -> None:
    done = work(gateway, tmp_path, "postroom_wrong")
    assert done.returncode == 1
    assert "unauthorized" in done.stderr


def test_the_shell_worker_is_about_twenty_lines_of_posix_shell() -> None:
    subprocess.run(["sh", "-n", str(SCRIPT)], check=True)
    lines = [line for line in SCRIPT.read_text().splitlines() if line and not line.startswith("#")]
    assert len(lines) <= 24
