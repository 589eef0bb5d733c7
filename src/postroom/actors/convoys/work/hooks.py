"""What runs before and after a task or the convoy, beside its work.

A guard, and a validation, that fails stops what it guards. A command or an agent that fails stops nothing:
that it failed is noted, as a check that was skipped. A review is no hook of the worker: the reviewing has
those.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from attrs import evolve

from ..plan import Agent, Hook, HookKind, Work
from ..rules.attempts import BLOCKED, PASSED, SKIPPED
from ..rules.standing import Note
from .counting import table_in
from .doing import Setting, do
from .gates import first_wrong
from .trying import Tried, noted, try_command


async def run_hooks(hooks: Sequence[Hook], agents: Sequence[Agent], setting: Setting) -> list[Note]:
    """Run hooks one after the other, up to the first that stops what it guards.

    ``agents`` are those that hooks name.
    """
    known = {agent.name: agent for agent in agents}
    notes: list[Note] = []
    for hook in hooks:
        if hook.kind is HookKind.REVIEW:
            continue
        trying = partial(_try, hook, known, setting)
        notes.append(await noted(hook.name, hook.timeout, trying, asked=hook.agent))
        if hook.kind in _STOPPING and first_wrong(notes[-1:]) is not None:
            break
        if hook.kind not in _STOPPING and notes[-1].verdict != PASSED:
            notes[-1] = _only_noted(notes[-1])
    return notes


_STOPPING = (HookKind.GUARD, HookKind.VALIDATE)


def _only_noted(note: Note) -> Note:
    return evolve(note, verdict=SKIPPED, text=f"it failed, which stops nothing: {note.text}")


async def _try(hook: Hook, agents: dict[str, Agent], setting: Setting) -> Tried:
    if hook.kind is HookKind.AGENT:
        return await _ask(hook, agents.get(hook.agent, Agent(hook.agent)), setting)
    tried = await try_command(hook.command, setting)
    return _validated(tried) if hook.kind is HookKind.VALIDATE and tried.verdict == PASSED else tried


async def _ask(hook: Hook, agent: Agent, setting: Setting) -> Tried:
    ending = await do(Work(prompt=hook.prompt), agent, setting)
    verdict = PASSED if ending.failure is None else BLOCKED
    return Tried(verdict, ending.reason, ending.words, ending.tokens)


def _validated(tried: Tried) -> Tried:
    """By its last line of JSON, which must be a table that says ``"ok": true``."""
    tables = map(table_in, reversed(tried.words.splitlines()))
    said = next((table for table in tables if table is not None), None)
    if said is None:
        return Tried(BLOCKED, "it has said no line of JSON", tried.words)
    if said.get("ok") is True:
        return tried
    why = next((said[key] for key in ("reason", "text", "error") if isinstance(said.get(key), str)), "")
    return Tried(BLOCKED, why or "it does not say that all is well", tried.words)
