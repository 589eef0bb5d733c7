"""Programs that tasks, gates and hooks run: each in a process group of its own, its words heard by us."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import trio
from attrs import frozen

from ...process_groups import end_group
from .hearing import Heard, end_of
from .hearing import last_line as last_line

KILL_AFTER = 5.0
"""Seconds between SIGTERM and SIGKILL for a command that has to end."""

RUN_MARK, LOGS_MARK = "POSTROOM_RUN", "POSTROOM_LOGS"
CHUNK = 1 << 16

T = TypeVar("T")


@frozen
class Ended:
    """How a command ended: its exit status, negative for a signal, and what is kept of its words.

    ``fault`` says why its words could not be written down; empty if they were.
    """

    code: int
    words: str
    fault: str = ""

    @property
    def output(self) -> str:
        """The end of what it said."""
        return end_of(self.words)

    @property
    def well(self) -> bool:
        """Whether it did what it should, and its words were kept."""
        return self.code == 0 and not self.fault

    @property
    def reason(self) -> str:
        """In one line, how it ended and its last words; empty if all is well."""
        if self.well:
            return ""
        if self.code == 0:
            return self.fault
        ending = f"killed by {_name(-self.code)}" if self.code < 0 else f"exit {self.code}"
        last = last_line(self.output)
        return f"{ending}: {last}" if last else ending


def _name(number: int) -> str:
    """The name of a signal; some have none."""
    known = [known.name for known in signal.Signals if known == number]
    return known[0] if known else f"signal {number}"


def environment(given: Mapping[str, str], marks: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a command sees: this process's environment, what the task gives, and what marks the work.

    The programs beside this Python come first, as in its environment.
    """
    beside = str(Path(sys.executable).parent)
    path = f"{beside}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {**os.environ, "PATH": path, **given, **(marks or {})}


def marks_of(run: str, task: str, attempt: int, log: str) -> dict[str, str]:
    """Variables that name the work: run and task are the idempotency key of what it does outside.

    ``POSTROOM_ATTEMPT`` counts from 1; ``POSTROOM_LOGS`` is the folder of the run.
    """
    return {**marks_of_run(run, log), "POSTROOM_TASK": task, "POSTROOM_ATTEMPT": str(attempt)}


def marks_of_run(run: str, log: str) -> dict[str, str]:
    """Variables that name the run of which this is a log."""
    return {RUN_MARK: run, LOGS_MARK: log.rpartition("/")[0]}


async def run_command(
    words: tuple[str, ...], *, cwd: str, env: Mapping[str, str], log: Path, stdin: str = ""
) -> Ended:
    """Run a command to its end; its words are appended to ``log``, of a long speech both ends.

    It is over when its first process is. What that has left running may go on, but nobody hears it any
    more: what is to run in the background writes to a file of its own. Raises ``OSError`` or
    ``ValueError`` if it cannot be started. Cancelled, it ends the whole process group: SIGTERM, and
    SIGKILL to whatever is left after ``KILL_AFTER`` seconds.
    """
    with Heard(log) as heard:
        process, ear = await _started(words, cwd, env, speak=bool(stdin))
        try:
            code = await _hearing(ear, heard, lambda: _spoken_to(process, stdin))
        except BaseException:
            with trio.CancelScope(shield=True):
                await _hearing(ear, heard, lambda: end_group(process, KILL_AFTER))
            raise
        finally:
            os.close(ear)
    return Ended(code, heard.words, heard.fault)


async def _started(
    words: tuple[str, ...], cwd: str, env: Mapping[str, str], *, speak: bool
) -> tuple[trio.Process, int]:
    """A process that leads a group, and the end of the pipe at which it is heard."""
    ear, mouth = os.pipe()
    try:
        process = await trio.lowlevel.open_process(
            words,
            stdin=subprocess.PIPE if speak else subprocess.DEVNULL,
            stdout=mouth,
            stderr=mouth,
            cwd=cwd,
            env=env,
            start_new_session=True,
        )
    except BaseException:
        os.close(ear)
        raise
    finally:
        os.close(mouth)
    os.set_blocking(ear, False)
    return process, ear


async def _hearing(ear: int, heard: Heard, doing: Callable[[], Awaitable[T]]) -> T:
    """Hear what is said while something is done, and what was said before that ended."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_hear, ear, heard)
        done = await doing()
        nursery.cancel_scope.cancel()
    _hear_rest(ear, heard)
    return done


async def _hear(ear: int, heard: Heard) -> None:
    while True:
        await trio.lowlevel.wait_readable(ear)
        said = os.read(ear, CHUNK)
        if not said:
            return
        heard.add(said)


def _hear_rest(ear: int, heard: Heard) -> None:
    """What lies in the pipe. Not more than that: somebody else who holds it may never stop."""
    left = fcntl.fcntl(ear, fcntl.F_GETPIPE_SZ)
    while left > 0:
        try:
            said = os.read(ear, CHUNK)
        except BlockingIOError:
            return
        if not said:
            return
        heard.add(said)
        left -= len(said)


async def _spoken_to(process: trio.Process, stdin: str) -> int:
    """Say to a command what it is to hear, and wait for its end."""
    async with trio.open_nursery() as nursery:
        if process.stdin is not None:
            nursery.start_soon(_say, process.stdin, stdin)
        code = await process.wait()
        nursery.cancel_scope.cancel()
    return code


async def _say(stream: trio.abc.SendStream, text: str) -> None:
    """Give a command its standard input; one that does not want it all may end before."""
    async with stream:
        try:
            await stream.send_all(text.encode(errors="replace"))
        except trio.BrokenResourceError:
            return


def leftovers(run: str, logs: str) -> Iterator[int]:
    """The ids of the processes that carry the marks of a run in their environment.

    In a store that was copied, a run has the name of the original, and other logs.
    """
    marks = {f"{RUN_MARK}={run}".encode(), f"{LOGS_MARK}={logs}".encode()}
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            marked = marks <= set(entry.read_bytes().split(b"\0"))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it has ended, or is another user's
        if marked:
            yield int(entry.parent.name)


def kill_leftovers(run: str, logs: str) -> int:
    """Kill what a run left behind whose process was killed, and say how many processes that were.

    It could not end its commands. They must not go on beside the attempts that replace them.
    """
    killed = 0
    for process in leftovers(run, logs):
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
            killed += 1
    return killed
