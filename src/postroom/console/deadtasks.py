"""``dead list|resolve|retry --run RUN``: tasks that could not be done, kept for a person to see to."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Any, TextIO

from ..mailbox.desk import OPERATOR
from ..mailbox.envelope import check_text
from ..mailbox.views import time_text
from ..store.clock import MICROS
from . import render
from .desks import opened_store
from .exits import DONE
from .ordering import order
from .orders import LONGEST_TEXT, RUN
from .parsing import Parser, Subparsers

if TYPE_CHECKING:
    from ..actors.convoys.entering import RunRecord
    from ..actors.convoys.ledger import Ledger, Row


def add_verbs(verbs: Subparsers[Parser]) -> None:
    """The verbs of ``dead`` that are about tasks alone."""
    resolve = verbs.add_parser("resolve", help="say that a task that could not be done was seen to")
    resolve.add_argument("task", metavar="TASK")
    resolve.add_argument("--run", required=True, metavar="RUN", help=RUN)
    resolve.add_argument("--text", required=True, metavar="T", help="what was done about it; it is kept")
    resolve.set_defaults(command=resolve_task)

    retry = verbs.add_parser("retry", help="have tasks that could not be done tried again")
    retry.add_argument("tasks", metavar="TASK", nargs="*", help="without any, all that nobody has seen to")
    retry.add_argument("--run", required=True, metavar="RUN", help=RUN)
    retry.set_defaults(command=retry_tasks)


def list_tasks(args: Namespace, out: TextIO) -> int:
    """Write the dead letters of a run, those that were seen to included."""
    from ..actors.convoys.finding import find_run
    from ..actors.convoys.ledger import Ledger

    with opened_store(args) as store:
        ledger = Ledger(store)
        run = find_run(ledger, args.run)
        letters = [_letter(row) for row in _dead(ledger, run)]
    if args.json:
        render.emit(out, {"run": run.id, "tasks": letters})
    elif letters:
        render.table(
            out,
            ("task", "failure", "attempts", "error", "resolution"),
            [
                (one["task"], one["failure"], one["attempts"], one["error"], one["resolution"])
                for one in letters
            ],
        )
    else:
        render.lines(out, ["no dead letters"])
    return DONE


def resolve_task(args: Namespace, out: TextIO) -> int:
    """Say that a dead letter was seen to; its task stays as it is. Durable when this returns."""
    text = check_text("text", args.text, LONGEST_TEXT)

    def make(_: Ledger, __: RunRecord) -> object:
        from ..actors.convoys.messages import ResolveDead

        return ResolveDead(args.task, OPERATOR, text)

    return order(args, out, make, f"{args.task} was seen to", about=False)


def retry_tasks(args: Namespace, out: TextIO) -> int:
    """Have dead letters tried again, with what was lost with them; durable when this returns."""

    def make(ledger: Ledger, run: RunRecord) -> object:
        from ..actors.convoys.messages import Again

        unseen = [row.id for row in _dead(ledger, run) if row.state.dead and not row.state.dead.by]
        tasks = tuple(args.tasks or unseen)
        return Again(tasks, OPERATOR) if tasks else None

    return order(args, out, make, "to be done again:", about=True)


def _dead(ledger: Ledger, run: RunRecord) -> list[Row]:
    report = ledger.report(run.id)
    return [row for row in (report.tasks if report else ()) if row.state.dead is not None]


def _letter(row: Row) -> dict[str, Any]:
    letter = row.state.dead
    assert letter is not None, "only such tasks are listed"
    return {
        "task": row.id,
        "agent": row.state.agent,
        "failure": letter.failure.value,
        "error": letter.error,
        "attempts": row.attempts,
        "tokens": row.state.tokens,
        "at": time_text(round(letter.at * MICROS)),
        "by": letter.by or None,
        "resolution": letter.resolution or None,
    }
