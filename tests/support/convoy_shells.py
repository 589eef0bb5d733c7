"""A folder with a convoy file in it and a store, and postroom as processes of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any


class ConvoyShell:
    """Starts commands in one folder, all on one store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[str]] = []

    def write(self, text: str) -> None:
        (self.folder / "work.toml").write_text(dedent(text))

    def start(self, *words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "postroom", *words],
            cwd=self.folder,
            env={**os.environ, "POSTROOM_STORE": "sqlite:///store/work.db"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process

    def do(self, *words: str) -> tuple[int, str, str]:
        process = self.start(*words)
        out, err = process.communicate(timeout=50)
        return process.returncode, out, err

    def do_json(self, *words: str) -> tuple[int, dict[str, Any]]:
        code, out, err = self.do(*words, "--json")
        assert "Traceback" not in err, err
        document: dict[str, Any] = json.loads(out)
        return code, document

    def run(self, *words: str) -> tuple[int, str, str]:
        return self.do("run", "work.toml", *words)

    def run_json(self, *words: str) -> tuple[int, dict[str, Any]]:
        return self.do_json("run", "work.toml", *words)

    def verify(self) -> dict[str, Any]:
        return self.do_json("verify")[1]

    def order(self) -> list[str]:
        return (self.folder / "order").read_text().split()

    def end(self) -> None:
        """Kill what still runs; commands that wait for ``go_on`` outlive their run, and end by it."""
        (self.folder / "go_on").touch()
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate()


def seen(process: subprocess.Popen[str], text: str) -> list[str]:
    """Read what a run prints until this is there; answers all that was read."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return lines
    raise AssertionError(f"{text!r} was never printed: {lines}")


def outcome(document: dict[str, Any]) -> dict[str, tuple[str, int]]:
    """The status and the attempts of each task of a report."""
    return {task["id"]: (task["status"], task["attempts"]) for task in document["tasks"]}
