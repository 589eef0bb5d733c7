"""Attempts as a worker is asked to make them, and processes that they leave behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import trio
from attrs import evolve

from postroom.actors.convoys.plan import Agent, Task, Work
from postroom.actors.convoys.rules.standing import Result
from postroom.actors.convoys.work.attempt import make
from postroom.actors.convoys.work.calls import Calls
from postroom.actors.convoys.work.doing import Setting
from postroom.actors.convoys.work.jobs import Job


def shell(line: str) -> Work:
    """A line for the shell."""
    return Work(("sh", "-c", line))


class Bench:
    """Makes attempts in a folder, with their logs in a folder beside it."""

    def __init__(self, place: Path) -> None:
        self.folder, self.logs = place / "work", place / "logs"
        self.folder.mkdir()
        self.logs.mkdir()

    def task(self, line: str = "true", **more: Any) -> Task:
        more.setdefault("work", shell(line) if "steps" not in more else Work())
        return Task("t", str(self.folder), **more)

    def job(self, task: Task, attempt: int = 1, **more: Any) -> Job:
        log = str(self.logs / f"{task.id}.{attempt}.log")
        agent = more.pop("agent", Agent("local"))
        return evolve(Job("r", task, attempt, agent, log, str(self.folder)), **more)

    async def make(self, line: str = "true", *, attempt: int = 1, job: Any = None, **more: Any) -> Result:
        return await make(self.job(self.task(line, **more), attempt, **(job or {})), Calls())

    def setting(self) -> Setting:
        return Setting(str(self.folder), self.log, {}, {})

    @property
    def log(self) -> Path:
        return self.logs / "t.1.log"

    def write(self, path: str, text: str | bytes) -> Path:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    def text(self, path: str) -> str:
        return (self.folder / path).read_text()


async def gone(*pids: int) -> None:
    """Wait until these processes have ended."""
    with trio.fail_after(10):
        for pid in pids:
            while alive(pid):
                await trio.lowlevel.checkpoint()


def alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


async def words_in(file: Path, count: int) -> list[str]:
    """The first words of a file, once there are so many."""
    with trio.fail_after(10):
        while len(found := _words(file)) < count:
            await trio.lowlevel.checkpoint()
    return found


def _words(file: Path) -> list[str]:
    return file.read_text().split() if file.exists() else []
