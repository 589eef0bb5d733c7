"""Trying a command that says by how it ends whether something is in order: for gates and hooks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio
from attrs import evolve, frozen

from ..rules.attempts import BLOCKED, PASSED, UNRUN
from ..rules.standing import Note
from .commands import run_command
from .doing import Setting


@frozen
class Tried:
    """What a command says of its matter: a verdict, why in one line, and all that it said.

    ``tokens`` are what an agent says it has used; None means that nobody counted.
    """

    verdict: str
    text: str = ""
    words: str = ""
    tokens: int | None = None


async def try_command(words: tuple[str, ...], setting: Setting) -> Tried:
    """Passed if it exits with 0, blocked if it ends otherwise, unrun if it cannot be started."""
    try:
        ended = await run_command(words, cwd=setting.cwd, env=setting.env, log=setting.log)
    except OSError as error:
        return Tried(UNRUN, f"could not be started: {error.strerror or error}")
    except ValueError as error:  # a word with a NUL in it
        return Tried(UNRUN, f"could not be started: {error}")
    return Tried(PASSED if ended.well else BLOCKED, ended.reason, ended.words)


async def noted(name: str, timeout: float, trying: Callable[[], Awaitable[Tried]], asked: str = "") -> Note:
    """Try something for ``timeout`` seconds at most, and note what came of it.

    ``asked`` is the agent that it asks. What hangs is ended, a command with its whole process group, and
    has blocked.
    """
    started = trio.current_time()
    tried = Tried(BLOCKED, f"took longer than {timeout:g} s")
    with trio.move_on_after(timeout):
        tried = await trying()
    seconds = round(trio.current_time() - started, 3)
    note = Note(name, tried.verdict, tried.text, seconds, asked=asked, tokens=tried.tokens)
    return note if tried.verdict == PASSED else evolve(note, output=tried.words)
