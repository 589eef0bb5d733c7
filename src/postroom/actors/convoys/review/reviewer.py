"""A reviewer who runs here: a command or a call that looks at a change and votes."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import trio

from ....mailbox.codec import encode
from ...actor import Actor, handles
from ..plan import Reviewer as Declared
from ..rules.attempts import UNRUN
from ..work.callables import resolve
from ..work.commands import environment, last_line, marks_of, run_command
from ..work.halts import Halts
from ..work.hearing import clear
from .saying import Opinion, of_answer, of_command
from .votes import Vote, Voted


class Reviewer(Actor):
    """Asks commands and calls what they say of a change. ``halts`` cuts short what runs."""

    def __init__(self, halts: Halts) -> None:
        super().__init__()
        self._halts = halts

    @handles(Vote, timeout=math.inf)  # each reviewer has its own
    async def vote(self, asked: Vote) -> Voted:
        """Have one reviewer vote. Who is too late, or cannot be run, has not passed anything."""
        voted = Voted(asked.task, asked.attempt, asked.seat, None)
        with self._halts.scope(asked.task, asked.attempt):
            voted = await _voted(asked)
        return voted


async def _voted(asked: Vote) -> Voted:
    started = trio.current_time()
    opinion = Opinion(UNRUN, f"took longer than {asked.reviewer.timeout:g} s")
    with trio.move_on_after(asked.reviewer.timeout):
        opinion = await _ask(asked)
    note = opinion.noted(asked.reviewer.name, trio.current_time() - started)
    return Voted(asked.task, asked.attempt, asked.seat, note, opinion.tokens)


async def _ask(asked: Vote) -> Opinion:
    reviewer = asked.reviewer
    if reviewer.command:
        return await _ask_command(reviewer, asked)
    if reviewer.call:
        return await trio.to_thread.run_sync(_ask_call, reviewer.call, asked, abandon_on_cancel=True)
    return Opinion(UNRUN, "it has neither a command nor a call nor an inbox")


async def _ask_command(reviewer: Declared, asked: Vote) -> Opinion:
    """Run the command in the folder of the convoy, with the change as JSON on its standard input."""
    log = Path(asked.log)
    env = environment(
        {}, {**marks_of(asked.run, asked.task, asked.attempt, asked.log), "POSTROOM_REVIEWER": reviewer.name}
    )
    text = encode(asked.change).decode()
    try:
        clear(log)
        ended = await run_command(reviewer.command, cwd=asked.cwd, env=env, log=log, stdin=text)
        return of_command(ended.code, ended.words, ended.reason)
    except OSError as error:
        return Opinion(UNRUN, f"could not be started: {error.strerror or error}")


def _ask_call(call: str, asked: Vote) -> Opinion:
    """Call a function with the change. At the deadline its thread is left alone: none can be killed."""
    try:
        function: Callable[[dict[str, Any]], object] = resolve(call)
        return of_answer(function(asked.change))
    except (Exception, SystemExit) as error:  # noqa: BLE001  # a user's function may raise anything
        return Opinion(UNRUN, f"{type(error).__name__}: {last_line(str(error))}")
