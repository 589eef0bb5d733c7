"""Giving an order to a run, and telling what came of it; for all commands that do."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

from . import render
from .desks import opened_store
from .exits import DONE, NOTHING_TO_DO
from .nextsteps import resume_command

if TYPE_CHECKING:
    from ..actors.convoys.entering import RunRecord
    from ..actors.convoys.ledger import Ledger
    from ..actors.convoys.ordering import Obedience

UNBEGUN = "not begun"
"""The status of a run that was entered, and whose player ended before it set out."""


def order(
    args: Namespace, out: TextIO, make: Callable[[Ledger, RunRecord], object], past: str, *, about: bool
) -> int:
    """Give the order that ``make`` makes to the run ``args.run``, and write what came of it.

    ``past`` says what was done. ``about`` says that the order is about tasks: then exit code 4 if
    there were none, and no convoy that was over goes on either. ``make`` answers None where there is
    nothing to order. Durable when this returns. Raises what ``ordering.give`` raises.
    """
    import trio

    from ..actors.convoys.finding import find_run
    from ..actors.convoys.ledger import Ledger
    from ..actors.convoys.living import player_of
    from ..actors.convoys.ordering import Obedience, give
    from ..actors.convoys.wires import convoy_wire
    from ..actors.system import open_postroom

    async def given(run: RunRecord, wanted: object) -> Obedience:
        async with open_postroom(store, wire=convoy_wire()) as office:
            return await give(office, run.id, wanted)

    with opened_store(args) as store:
        ledger = Ledger(store)
        run = find_run(ledger, args.run)
        wanted = make(ledger, run)
        played = bool(player_of(store, run.id))
        done = Obedience((), played) if wanted is None else trio.run(given, run, wanted)
        standing, url = ledger.standing(run.id), store.url
    status = standing.status.value if standing is not None and standing.since_first else UNBEGUN
    waits = not done.played and status in (UNBEGUN, "interrupted")
    steps = [resume_command(run.file, url)] if waits else []
    if args.json:
        tasks = list(done.tasks)
        view = {"run": run.id, "status": status, "tasks": tasks, "played": done.played}
        view |= {"reopened": done.reopened, "next": steps}
        render.emit(out, view)
    else:
        what = ", ".join(done.tasks) or (_without_tasks(done) if about else "")
        render.lines(out, [f"run {run.id}: {past} {what}".rstrip() + f"; it is {status}"])
        render.lines(out, [f"go on with: {step}" for step in steps])
    return NOTHING_TO_DO if about and not (done.tasks or done.reopened) else DONE


def _without_tasks(done: Obedience) -> str:
    """What an order was about that is about tasks, and about none of them."""
    return "what looks at the whole convoy" if done.reopened else "nothing"
