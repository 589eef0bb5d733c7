"""``retry cancel inject allow dispute``: what a person orders a run to do, also while it is played."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from ..mailbox.desk import OPERATOR
from ..mailbox.envelope import check_text
from . import render
from .allowance import METAVAR, allow_order, read_allowance
from .desks import opened_store
from .exits import DONE
from .ordering import order
from .parsing import Parser, Subparsers

if TYPE_CHECKING:
    from ..actors.convoys.entering import RunRecord
    from ..actors.convoys.ledger import Ledger, Row

RUN = "its id, the beginning of that, or a convoy file: then its newest run"
RESOLUTIONS = ("pass", "fail", "again")
LONGEST_TEXT = 2000
CALLER = "caller_cancelled"


def add_parser(subparsers: Subparsers[Parser]) -> None:
    """The arguments of these commands."""
    retry = _command(subparsers, "retry", "have tasks of a run done again, with all their attempts")
    retry.add_argument("tasks", metavar="TASK", nargs="*", help="without any, all that failed")
    retry.set_defaults(command=retry_tasks)

    cancel = _command(subparsers, "cancel", "cancel tasks of a run, or all of it")
    cancel.add_argument("tasks", metavar="TASK", nargs="*", help="without any, all that are not over")
    cancel.add_argument("--reason", default=CALLER, metavar="R", help=f"why; it is kept ({CALLER})")
    cancel.set_defaults(command=cancel_tasks)

    inject = _command(subparsers, "inject", "add a task to a run")
    inject.add_argument("file", metavar="TASKFILE", help="TOML with one [tasks.ID]")
    inject.add_argument(
        "--key", metavar="K", help="the same task again under the same key changes nothing (the file's hash)"
    )
    inject.set_defaults(command=inject_task)

    allow = _command(subparsers, "allow", "add to the budget of a run; one that had paused goes on")
    allow.add_argument("more", metavar=METAVAR)
    allow.set_defaults(command=allow_more)

    dispute = subparsers.add_parser("dispute", help="tasks that reviewers block again and again")
    verbs = dispute.add_subparsers(dest="verb", metavar="VERB", required=True)
    listing = _command(verbs, "list", "the disputed tasks of a run, with what reviewers said")
    listing.set_defaults(command=list_disputes)
    resolve = _command(verbs, "resolve", "decide: pass it, fail it, or have it done again")
    resolve.add_argument("task", metavar="TASK")
    resolve.add_argument("resolution", choices=RESOLUTIONS, help=", ".join(RESOLUTIONS))
    resolve.add_argument("--text", required=True, metavar="T", help="why; it is kept")
    resolve.set_defaults(command=resolve_dispute)


def _command(subparsers: Subparsers[Parser], name: str, help: str) -> Parser:
    """A command about one run."""
    parser: Parser = subparsers.add_parser(name, help=help)
    parser.add_argument("run", metavar="RUN", help=RUN)
    return parser


def retry_tasks(args: Namespace, out: TextIO) -> int:
    """Have tasks done again, with what was lost with them; durable when this returns."""

    def make(_: Ledger, __: RunRecord) -> object:
        from ..actors.convoys.messages import Again

        return Again(tuple(args.tasks), OPERATOR)

    return order(args, out, make, "to be done again:", about=True)


def cancel_tasks(args: Namespace, out: TextIO) -> int:
    """Cancel tasks, cutting short what runs of them; durable when this returns."""
    reason = check_text("reason", args.reason, LONGEST_TEXT)

    def make(_: Ledger, __: RunRecord) -> object:
        from ..actors.convoys.messages import Cancel

        return Cancel(tuple(args.tasks), reason)

    return order(args, out, make, "cancelled:", about=True)


def inject_task(args: Namespace, out: TextIO) -> int:
    """Add a task; durable when this returns. The same task under the same key changes nothing."""

    def make(ledger: Ledger, run: RunRecord) -> object:
        from ..actors.convoys.injecting import injection
        from ..actors.convoys.work.callables import importable_from

        plan = ledger.plan(run.id)
        assert plan is not None, "a run is entered whole"
        with importable_from(Path(run.file).parent):
            return injection(Path(args.file), plan, run.settings, by=OPERATOR, key=args.key)

    if args.key is not None:
        check_text("key", args.key)
    return order(args, out, make, "has the task", about=True)


def allow_more(args: Namespace, out: TextIO) -> int:
    """Add to the budget; durable when this returns."""
    more = read_allowance(args.more)
    return order(args, out, lambda _, __: allow_order(more, OPERATOR), "may spend more", about=False)


def resolve_dispute(args: Namespace, out: TextIO) -> int:
    """Decide about a disputed task; durable when this returns."""
    text = check_text("text", args.text, LONGEST_TEXT)

    def make(_: Ledger, __: RunRecord) -> object:
        from ..actors.convoys.messages import SettleDispute

        return SettleDispute(args.task, args.resolution, OPERATOR, text)

    return order(args, out, make, f"{args.task} is settled: {args.resolution}", about=False)


def list_disputes(args: Namespace, out: TextIO) -> int:
    """Write the disputed tasks of a run, with what each reviewer said last."""
    from ..actors.convoys.finding import find_run
    from ..actors.convoys.ledger import Ledger

    with opened_store(args) as store:
        ledger = Ledger(store)
        run = find_run(ledger, args.run)
        report = ledger.report(run.id)
    rows = [row for row in (report.tasks if report else ()) if row.status == "disputed"]
    if args.json:
        render.emit(out, {"run": run.id, "disputes": [_dispute(row) for row in rows]})
    elif rows:
        render.table(
            out,
            ("task", "panels", "attempts", "reason"),
            [(row.id, row.state.panels, row.attempts, row.reason) for row in rows],
        )
    else:
        render.lines(out, ["no disputes"])
    return DONE


def _dispute(row: Row) -> dict[str, object]:
    said = [{"by": note.name, "verdict": note.verdict, "text": note.text} for note in row.state.notes]
    return {
        "task": row.id,
        "panels": row.state.panels,
        "attempts": row.attempts,
        "reason": row.reason,
        "said": said,
    }
