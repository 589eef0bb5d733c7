"""A census of the standard library of the Python that runs this, by actors in several processes.

    python examples/census.py --demo                one worker is killed half-way; it does not matter
    python examples/census.py --processes 4 --json

A manager sends one message for each file to ``any:worker``. Workers, each a process of its own on
the same store, parse the files and reply. The manager's totals are its durable state: each reply
counts once, whoever dies when. With ``--store`` the census survives being killed as a whole: start it
again and it goes on.
"""

from __future__ import annotations

import argparse
import ast
import json
import subprocess
import sys
import sysconfig
import tempfile
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio
from attrs import asdict, define, field, frozen

from postroom import Actor, System, handles, open_postroom

MANAGER = "manager/census"
NOT_OURS = {"site-packages", "dist-packages", "__pycache__"}
LOOK_EVERY = 0.1
"""Seconds between two looks at how far it is."""

# What is said


@frozen
class Begin:
    """Take the census of all Python files under ``root``."""

    root: str


@frozen
class Survey:
    """Have a look at one file."""

    path: str


@frozen
class Surveyed:
    """What one file holds. ``problem`` is empty unless Python cannot parse it."""

    path: str
    worker: str
    lines: int = 0
    functions: int = 0
    classes: int = 0
    longest: str = ""
    longest_lines: int = 0
    problem: str = ""


@frozen
class HowFar:
    """Ask the manager for its totals."""


@define
class Totals:
    """The manager's state: everything that is known so far."""

    expected: int = 0
    files: int = 0
    lines: int = 0
    functions: int = 0
    classes: int = 0
    longest: str = ""
    longest_lines: int = 0
    problems: dict[str, str] = field(factory=dict[str, str])
    by_worker: dict[str, int] = field(factory=dict[str, int])


# Who says it


class Surveyor(Actor):
    """A worker. It keeps nothing, so there may be any number of them, and any may die."""

    @handles(Survey)
    def survey(self, job: Survey) -> Surveyed:
        return survey(Path(job.path), self.address)


class Manager(Actor):
    """Hands out the files and adds up what comes back."""

    state: Totals

    @handles(Begin)
    async def begin(self, order: Begin) -> None:
        files = python_files(Path(order.root))
        self.state = Totals(expected=len(files))
        for path in files:
            self.send("any:worker", Survey(str(path)))

    @handles(Surveyed)
    async def add(self, found: Surveyed) -> None:
        totals = self.state
        totals.files += 1
        totals.lines += found.lines
        totals.functions += found.functions
        totals.classes += found.classes
        totals.by_worker[found.worker] = totals.by_worker.get(found.worker, 0) + 1
        if found.longest_lines > totals.longest_lines:
            totals.longest, totals.longest_lines = found.longest, found.longest_lines
        if found.problem:
            totals.problems[found.path] = found.problem

    @handles(HowFar)
    async def how_far(self, _: HowFar) -> Totals:
        return self.state


def python_files(root: Path) -> list[Path]:
    """All modules below ``root`` but for what was installed there later."""
    return sorted(
        path for path in root.rglob("*.py") if not NOT_OURS & set(path.relative_to(root).parts)
    )


def survey(path: Path, worker: str) -> Surveyed:
    """Parse one file and count what is in it."""
    source = path.read_bytes()
    lines = source.count(b"\n")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError) as error:
        return Surveyed(str(path), worker, lines, problem=f"{type(error).__name__}: {error}")
    functions = classes = longest_lines = 0
    longest = ""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            classes += 1
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            functions += 1
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > longest_lines:
                longest, longest_lines = f"{path}:{node.lineno} {node.name}", length
    return Surveyed(str(path), worker, lines, functions, classes, longest, longest_lines)


# The processes


async def work(store: str, name: str) -> None:
    """A worker process: one actor, until standard input ends."""
    async with open_postroom(store) as office:
        await office.start(f"worker/{name}", Surveyor)
        print("ready", flush=True)
        await trio.to_thread.run_sync(sys.stdin.buffer.read, abandon_on_cancel=True)


class Crew:
    """The worker processes. They go home when their standard input is closed."""

    def __init__(self, store: str) -> None:
        self._store = store
        self._processes: list[trio.Process] = []

    @property
    def size(self) -> int:
        return len(self._processes)

    async def hire(self) -> None:
        """Start one more worker, and wait until it is at work."""
        me = [sys.executable, str(Path(__file__).absolute()), "--store", self._store]
        process = await trio.lowlevel.open_process(
            [*me, "--worker", str(self.size + 1)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._processes.append(process)
        assert process.stdout is not None
        if not await process.stdout.receive_some():
            raise RuntimeError("a worker did not start")

    async def kill_one(self) -> str:
        """SIGKILL to the first worker, in the middle of whatever it does; answers its address."""
        self._processes[0].kill()
        await self._processes[0].wait()
        return "worker/1"

    async def go_home(self) -> None:
        """Let all workers finish what they have, and end."""
        for process in self._processes:
            assert process.stdin is not None
            await process.stdin.aclose()
        for process in self._processes:
            await process.wait()


@asynccontextmanager
async def crew(store: str, size: int) -> AsyncGenerator[Crew]:
    """So many worker processes, which end with the block."""
    workers = Crew(store)
    try:
        async with trio.open_nursery() as nursery:
            for _ in range(size):
                nursery.start_soon(workers.hire)
        yield workers
    finally:
        with trio.CancelScope(shield=True):
            await workers.go_home()
