"""What the command line says of a store whose files it may not use, and of a disk that is nearly full."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from children import COMMAND_LINE

from postroom.console.exits import NO_STORE
from postroom.store.sqlite.ballast import ballast_path
from postroom.store.sqlite.file import FileStore


def command(*words: str) -> subprocess.CompletedProcess[bytes]:
    line = [sys.executable, *COMMAND_LINE, *words]
    return subprocess.run(line, capture_output=True, env={**os.environ, "PYTHONSAFEPATH": "1"}, check=False)


def test_an_empty_ballast_refuses_the_sends_of_other_processes_until_there_is_room(
    url: str, store: FileStore
) -> None:
    """Where there is room the next process makes the ballast anew and accepts; nobody has to help."""
    ballast = ballast_path(store.path)
    size = ballast.stat().st_size
    os.truncate(ballast, 0)
    found = command("send", "worker/a", "--type", "Job", "--body", "1", "--store", url, "--json")
    assert json.loads(found.stdout)["state"] == "accepted"
    assert ballast.stat().st_size == size


def test_a_folder_that_is_not_mine_is_one_line_and_exit_code_5(tmp_path: Path) -> None:
    """A plain file in the place of a folder refuses everybody, root too."""
    (tmp_path / "no-folder").write_text("")
    url = f"sqlite:///{tmp_path}/no-folder/room.db"
    found = command("send", "worker/a", "--type", "Job", "--body", "1", "--store", url)
    assert found.returncode == NO_STORE
    assert found.stderr.count(b"\n") == 1
    assert found.stderr.startswith(b"postroom: ")
