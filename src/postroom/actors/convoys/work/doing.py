"""Doing one piece of work: a command, a call in a thread, or a prompt for the agent it goes to."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from traceback import format_exception
from typing import Any, cast

from attrs import evolve, field, frozen

from ....mailbox.codec import encode
from ....store.errors import BadInput
from ..plan import Agent, Work
from ..rules.standing import Failure, Feedback
from .callables import resolve
from .calls import Calls
from .commands import environment, run_command
from .counting import of_answer, of_words
from .hearing import Heard, last_line


@frozen
class Setting:
    """Where work is done, and on whose behalf.

    ``given`` and ``marks`` are variables: what the task says, and what names the work. ``log`` is the
    file that takes what is said. ``feedback`` is what was wrong with the attempt before. ``calls`` makes
    the calls.
    """

    cwd: str
    log: Path
    given: Mapping[str, str]
    marks: Mapping[str, str]
    feedback: Feedback | None = None
    calls: Calls = field(factory=Calls)

    @property
    def env(self) -> dict[str, str]:
        """All that a command sees."""
        return environment(self.given, self.marks)


@frozen
class Ending:
    """How a piece of work ended. ``failure`` None means well; ``words`` is what is kept of what it said."""

    failure: Failure | None = None
    reason: str = ""
    code: int | None = None
    words: str = ""
    tokens: int | None = None


async def do(work: Work, agent: Agent, setting: Setting) -> Ending:
    """Do a piece of work, within the scope of whoever calls.

    Agents that are asked may tell how many tokens they used, as ``counting`` reads it.
    """
    if work.call:
        return await _call(work.call, work.arguments, setting, asked=False)
    if work.command:
        return await _command(work.command, "", setting, asked=False)
    if agent.call:
        return await _call(agent.call, {"prompt": work.prompt}, setting, asked=True)
    if agent.command:
        return await _command(agent.command, work.prompt, setting, asked=True)
    why = "is asked through its inbox" if agent.inbox else "has neither a command nor a call"
    return Ending(Failure.AGENT, f"agent {agent.name} {why}")


async def _command(words: tuple[str, ...], stdin: str, setting: Setting, *, asked: bool) -> Ending:
    """Run a command; one that is an agent which is asked may tell of tokens."""
    try:
        ended = await run_command(words, cwd=setting.cwd, env=setting.env, log=setting.log, stdin=stdin)
    except OSError as error:
        return Ending(Failure.ERROR, f"could not be started: {error.strerror or error}")
    except ValueError as error:  # a word with a NUL in it
        return Ending(Failure.ERROR, f"could not be started: {error}")
    said, tokens = of_words(ended.words) if asked else (ended.words, None)
    ended = evolve(ended, words=said)
    failure = None if ended.well else Failure.ERROR
    return Ending(failure, ended.reason, ended.code, said, tokens)


async def _call(call: str, arguments: Mapping[str, Any], setting: Setting, *, asked: bool) -> Ending:
    """Call a function in a thread. At the deadline the thread is left alone: none can be killed."""
    work = partial(_call_here, call, arguments, setting.feedback, asked=asked)
    ending, said = await setting.calls.make(work)
    if said:  # only now: the words of a call that was left alone are nobody's
        with Heard(setting.log) as heard:
            heard.add(said.encode(errors="backslashreplace"))
    return ending


def _call_here(
    call: str, arguments: Mapping[str, Any], feedback: Feedback | None, *, asked: bool
) -> tuple[Ending, str]:
    """How a call ended, and what is to be written down of it."""
    try:
        function = resolve(call)
        answer = function(**arguments, **_feedback(function, feedback))
        answer, tokens = of_answer(answer) if asked else (answer, None)
        said = "" if answer is None else _text(answer)
    except (Exception, SystemExit) as error:  # noqa: BLE001  # a user's function may raise anything
        trace = "".join(format_exception(error))
        return Ending(Failure.ERROR, f"{type(error).__name__}: {last_line(str(error))}", words=trace), trace
    return Ending(words=said, tokens=tokens), f"{said}\n" if said else ""


def _text(answer: Any) -> str:
    """What a function has answered, as its words: tables and lists as JSON, if they can be that."""
    if not isinstance(answer, dict | list):
        return str(answer)
    whole = cast(object, answer)
    try:
        return encode(whole).decode()
    except BadInput:
        return str(whole)


def _feedback(function: Any, feedback: Feedback | None) -> dict[str, Any]:
    """What was wrong with the attempt before, for a function that has a parameter ``feedback``."""
    try:
        wants = "feedback" in inspect.signature(function).parameters
    except ValueError:  # some functions written in C tell nothing about their arguments
        return {}
    return {"feedback": feedback} if wants else {}
