"""The gates of a task, a step or a convoy: each is tried, and what came of it noted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import trio

from ..plan import Gate, GateKind
from ..rules.attempts import BLOCKED, UNRUN
from ..rules.standing import Note
from .builtin import Matter, judge
from .doing import Setting
from .trying import Tried, noted, try_command

Look = Callable[[], Awaitable[Matter]]
"""How a gate that is built in learns what it is about; files are looked at only if one asks."""


async def run_gates(gates: Sequence[Gate], setting: Setting, look: Look) -> list[Note]:
    """Try all of them, one after the other: whoever tries again is told everything at once."""
    return [await noted(gate.name, gate.timeout, partial(_try, gate, setting, look)) for gate in gates]


def first_wrong(notes: Sequence[Note]) -> Note | None:
    """The first that has not passed. One that could not run has not."""
    return next((note for note in notes if note.verdict in (BLOCKED, UNRUN)), None)


async def _try(gate: Gate, setting: Setting, look: Look) -> Tried:
    if gate.kind is GateKind.COMMAND:
        return await try_command(gate.command, setting)
    matter = await look()
    return await trio.to_thread.run_sync(judge, gate, matter, abandon_on_cancel=True)
