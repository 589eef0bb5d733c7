"""Tasks that are commands: looked up beforehand, run in a process group of their own."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import trio

from ..process_groups import end_group
from .faults import Faults
from .faults import Path as KeyPath
from .plan import Task

KILL_AFTER = 5.0
"""Seconds between SIGTERM and SIGKILL for a command that has to end."""

SHELL = ("sh", "-c")
RUN_MARK = "POSTROOM_RUN"
LONGEST_WORD = 64
PLAIN_WORD = re.compile(r"[A-Za-z0-9_./+@%-]+")


def environment(task: Task, run: str = "", attempt: int = 0) -> dict[str, str]:
    """What a command sees. The programs beside this Python come first, as in its environment.

    ``POSTROOM_RUN`` and ``POSTROOM_TASK`` name the work: together they are the idempotency key of
    what it does to the outside world. ``POSTROOM_ATTEMPT`` counts from 1.
    """
    beside = str(Path(sys.executable).parent)
    path = f"{beside}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    marks = {RUN_MARK: run, "POSTROOM_TASK": task.id, "POSTROOM_ATTEMPT": str(attempt)}
    return {**os.environ, "PATH": path, **task.env, **marks}


def check_command(task: Task, path: KeyPath, faults: Faults) -> None:
    """Note a fault if the program cannot be found. A file that other tasks may make is not looked for."""
    first, *words = task.command
    by_shell = (first, *words[:1]) == SHELL and len(words) > 1
    program = _first_word(words[1]) if by_shell else first
    if not program or ("/" in program and task.depends_on):
        return
    env = environment(task)
    if "/" in program:
        found = shutil.which(Path(task.cwd) / program) is not None
    else:
        found = shutil.which(program, path=env["PATH"]) is not None
    if not found and not (by_shell and _shell_knows(program, env)):
        where = path if by_shell else (*path, 0)
        faults.add(where, f"command not found: {program}", "install it, or correct its name")


def _first_word(line: str) -> str:
    """The program a shell line begins with; empty where that takes a shell to know."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return ""
    return words[0] if words and PLAIN_WORD.fullmatch(words[0]) else ""


def _shell_knows(word: str, env: Mapping[str, str]) -> bool:
    """Whether it is one of the shell's own words, such as ``cd`` or ``for``."""
    if len(word) > LONGEST_WORD:
        return False
    asked = [*SHELL, 'command -v -- "$1"', "sh", word]
    done = subprocess.run(asked, env=env, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    return done.returncode == 0


async def run_command(task: Task, *, run: str, attempt: int, log: Path) -> int:
    """Run the command to its end and return its exit status; its output goes to ``log``.

    Raises ``OSError`` if it cannot be started. Cancelled, it ends the whole process group: SIGTERM,
    and SIGKILL to whatever is left after ``KILL_AFTER`` seconds.
    """
    with log.open("wb") as output:
        process = await trio.lowlevel.open_process(
            task.command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=task.cwd,
            env=environment(task, run, attempt),
            start_new_session=True,
        )
    try:
        return await process.wait()
    except trio.Cancelled:
        with trio.CancelScope(shield=True):
            await end_group(process, KILL_AFTER)
        raise


def kill_leftovers(run: str) -> int:
    """Kill what a run left behind whose process was killed, and say how many processes that were.

    It could not end its commands. They carry its mark in their environment, and must not go on
    beside the attempts that replace them.
    """
    mark = f"{RUN_MARK}={run}".encode()
    killed = 0
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in entry.read_bytes().split(b"\0"):
                os.kill(int(entry.parent.name), signal.SIGKILL)
                killed += 1
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it has ended, or is another user's
    return killed
