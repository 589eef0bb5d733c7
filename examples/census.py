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
import platform
import subprocess
import sys
import sysconfig
import tempfile
import warnings
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import trio
from attrs import asdict, define, field, frozen
from rich.console import Console
from rich.markup import escape
from rich.progress import MofNCompleteColumn, Progress
from rich.table import Table

from postroom import Actor, PostroomError, System, handles, open_postroom
from postroom.store.errors import StoreUnavailable

MANAGER = "manager/census"
NOT_OURS = {"site-packages", "dist-packages", "__pycache__"}
LOOK_EVERY = 0.02
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
    return sorted(path for path in root.rglob("*.py") if not NOT_OURS & set(path.relative_to(root).parts))


def survey(path: Path, worker: str) -> Surveyed:
    """Parse one file and count what is in it."""
    lines = 0
    try:
        source = path.read_bytes()
        lines = source.count(b"\n")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (OSError, SyntaxError, ValueError, RecursionError) as error:
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
        self._hired = 0
        self._processes: list[trio.Process] = []

    async def hire(self) -> None:
        """Start one more worker, and wait until it is at work."""
        self._hired += 1
        me = [sys.executable, __file__, "--store", self._store, "--worker", str(self._hired)]
        process = await trio.lowlevel.open_process(
            me, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        self._processes.append(process)
        assert process.stdout is not None
        if not await process.stdout.receive_some():
            raise RuntimeError("a worker did not start")

    async def kill_one(self) -> None:
        """SIGKILL to one worker, in the middle of whatever it does. The last one is replaced."""
        victim = self._processes.pop()
        victim.kill()
        await victim.wait()
        if not self._processes:
            await self.hire()

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


@frozen
class Census:
    """What there is to tell at the end."""

    totals: Totals
    killed: int
    dead: int
    seconds: float


async def take_census(options: argparse.Namespace, store: str, show: Show) -> Census:
    """Have the manager and its workers do it, and tell how far they are."""
    started = trio.current_time()
    killed = 0
    async with open_postroom(store) as office, crew(store, options.processes) as workers:
        await office.start(MANAGER, Manager)
        totals, _ = await how_far(office)
        if not 0 < totals.files < totals.expected:  # else a census was interrupted: it goes on
            await office.send(MANAGER, Begin(str(options.root)))
        while True:
            totals, dead = await how_far(office)
            show(totals.files, totals.expected)
            if totals.files + dead >= totals.expected:
                return Census(totals, killed, dead, trio.current_time() - started)
            if options.demo and not killed and totals.files * 2 >= totals.expected:
                await workers.kill_one()
                killed += 1
            await trio.sleep(LOOK_EVERY)


async def how_far(office: System) -> tuple[Totals, int]:
    """What is known by now, and how many files no worker could do.

    A server that is away is asked again; all others go on by themselves when it is back.
    """
    while True:
        try:
            totals: Totals = await office.ask(MANAGER, HowFar(), timeout=60, reply=Totals)
            return totals, sum(counts.dead for counts in office.store.counts("any:worker"))
        except (StoreUnavailable, trio.TooSlowError):
            await trio.sleep(LOOK_EVERY)


# What is shown

Show = Callable[[int, int], None]


@contextmanager
def progress(quiet: bool) -> Generator[Show]:
    """A bar on a terminal, a line for each tenth elsewhere, nothing if nothing is wanted."""
    if quiet:
        yield lambda done, total: None
    elif sys.stdout.isatty():
        with Progress(*Progress.get_default_columns(), MofNCompleteColumn()) as bar:
            task = bar.add_task("census")
            yield lambda done, total: bar.update(task, completed=done, total=total)
    else:
        tenths = -1

        def show(done: int, total: int) -> None:
            nonlocal tenths
            if total and done * 10 // total != tenths:
                tenths = done * 10 // total
                print(f"{done:6} of {total} files", flush=True)

        yield show


def verified(store: str) -> dict[str, Any]:
    """What ``postroom verify`` says."""
    command = [sys.executable, "-m", "postroom", "verify", "--json", "--store", store]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def document(census: Census, verification: dict[str, Any]) -> dict[str, Any]:
    """Everything as JSON."""
    return {
        **asdict(census.totals),
        "killed": census.killed,
        "dead": census.dead,
        "seconds": round(census.seconds, 2),
        "verify": verification,
    }


def below(root: Path, text: str) -> str:
    """A place in a file, as seen from ``root``."""
    return text.removeprefix(f"{root}/")


def print_tables(census: Census, verification: dict[str, Any], root: Path) -> None:
    """Everything for people."""
    totals, console = census.totals, Console(highlight=False)
    table = Table("census", title=f"Python {platform.python_version()}: its standard library")
    table.add_column(justify="right", overflow="fold")
    table.add_row("files", f"{totals.files:,}")
    table.add_row("lines", f"{totals.lines:,}")
    table.add_row("functions", f"{totals.functions:,}")
    table.add_row("classes", f"{totals.classes:,}")
    table.add_row("longest function", f"{totals.longest_lines:,} lines")
    table.add_row("", escape(below(root, totals.longest)))
    table.add_row("files Python cannot parse", f"{len(totals.problems):,}")
    for worker, files in sorted(totals.by_worker.items()):
        table.add_row(worker, f"{files:,} files")
    table.add_row("workers killed half-way", str(census.killed))
    table.add_row("seconds", f"{census.seconds:.1f}")
    console.print(table)
    for path, problem in sorted(totals.problems.items()):
        console.print(f"  {escape(below(root, path))}: {escape(problem)}", soft_wrap=True)
    word = "ok" if verification["ok"] else "NOT OK"
    console.print(
        f"postroom verify: {word}: {verification['accepted']:,} messages accepted,"
        f" {verification['unaccounted']:,} unaccounted for"
    )


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--demo", action="store_true", help="kill one worker half-way")
    parser.add_argument("--processes", type=int, default=3, metavar="N", help="workers (3)")
    parser.add_argument("--store", metavar="URL", help="keep the store, and go on after a kill")
    parser.add_argument("--json", action="store_true", help="one JSON document, and nothing else")
    parser.add_argument("--root", type=Path, default=Path(sysconfig.get_path("stdlib")), metavar="DIR")
    parser.add_argument("--worker", metavar="NAME", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.processes < 1:
        parser.error("--processes must be at least 1")
    if not python_files(options.root):
        parser.error(f"there is no Python file in {str(options.root)!r}")
    return options


def printable(text: str) -> str:
    """A text without what a terminal would obey instead of showing it."""
    return "".join(char if char.isprintable() else " " for char in text)


def main() -> int:
    """Take the census; 0 if every file was counted and every message is accounted for."""
    options = arguments()
    if options.worker:
        trio.run(work, options.store, options.worker)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        store = options.store or f"sqlite:///{folder}/census.db"
        try:
            with progress(options.json) as show:
                census = trio.run(take_census, options, store, show)
        except PostroomError as error:  # such as a store that cannot be opened
            print(f"census: {printable(str(error))}", file=sys.stderr)
            return 1
        verification = verified(store)
    if options.json:
        print(json.dumps(document(census, verification)))
    else:
        print_tables(census, verification, options.root)
    return 0 if verification["ok"] and not census.dead else 1


if __name__ == "__main__":
    raise SystemExit(main())
