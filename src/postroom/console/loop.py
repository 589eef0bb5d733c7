"""``loop``: how a task stands, its iterations, criteria, budgets, and what its two sides say."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import msgspec

from ..actors.loops import acks, budgets, criteria, cycling, iterations, talking
from ..actors.loops.change import Change, binding_of, changed
from ..actors.loops.evidence import read_evidence
from ..actors.loops.records import history
from ..actors.loops.standing import NO_PROGRESS_SECONDS, standing, standing_view
from ..actors.loops.states import CRITERION_VERBS, DECISIONS, PERMISSIONS, Source
from ..mailbox.codec import MAX_BYTES
from ..mailbox.heartbeats import STALE_SECONDS
from ..mailbox.views import time_text
from ..store.errors import BadInput
from . import render
from .desks import opened_store
from .exits import DONE, NOTHING_TO_DO
from .loopview import write_choice, write_history, write_standing
from .messages import read_stdin
from .pair import add_terms, read_terms, store_option
from .parsing import Parser, Subparsers, whole

if TYPE_CHECKING:
    from ..actors.loops.records import Evidence

T = TypeVar("T")
ROLES = "manager or worker"


def add_parser(subparsers: Subparsers[Parser]) -> None:
    """The arguments of ``loop`` and its verbs."""
    parser = subparsers.add_parser("loop", help="a task's iterations, evidence, criteria and budgets")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    _add_looking(verbs)
    _add_iterating(verbs)
    _add_agreeing(verbs)
    _add_talking(verbs)


def _verb(
    verbs: Subparsers[Parser], name: str, help: str, command: Callable[[Namespace, TextIO], int]
) -> Parser:
    """A verb about one task."""
    parser: Parser = verbs.add_parser(name, help=help)
    parser.add_argument("task", metavar="TASK")
    parser.set_defaults(command=command)
    return parser


def _add_looking(verbs: Subparsers[Parser]) -> None:
    status = _verb(verbs, "status", "how a task stands; always exit code 0 for a known one", show_status)
    status.add_argument(
        "--stale", type=float, default=STALE_SECONDS, metavar="S",
        help=f"a heartbeat is stale after S seconds ({STALE_SECONDS:g})",
    )  # fmt: skip
    status.add_argument(
        "--no-progress", type=float, default=NO_PROGRESS_SECONDS, metavar="S",
        help=f"tell of work in hand that is not finished for S seconds ({NO_PROGRESS_SECONDS:g})",
    )  # fmt: skip
    cycle = _verb(verbs, "cycle", "wait until the manager has something to decide, and show it", show_cycle)
    cycle.add_argument(
        "--wait", type=float, default=0.0, metavar="S", help="at most S seconds (0); then exit code 4"
    )
    _verb(verbs, "history", "everything that happened in a task's loop", show_history)


def _add_iterating(verbs: Subparsers[Parser]) -> None:
    add_terms(_verb(verbs, "start", "begin with iteration 1", start_loop), required=True)
    for name, text, command, needed in (
        ("continue", "end an iteration and begin the next one", continue_loop, False),
        ("evidence", "keep evidence for the present iteration", keep_evidence, True),
    ):
        parser = _verb(verbs, name, text, command)
        parser.add_argument("--iteration", type=int, required=True, metavar="N", help="the present one")
        parser.add_argument(
            "--evidence", required=needed, metavar="JSON",
            help="{checked, how, result, kind?, failure_mode?} or an array of such; - reads it from stdin",
        )  # fmt: skip
    resume = _verb(verbs, "resume", "let a loop go on that a budget has paused", resume_loop)
    resume.add_argument("--add", action="append", default=[], metavar="BUDGET=N", help="raise its limit")
    spend = _verb(verbs, "spend", "report that a budget is used", spend_budget)
    spend.add_argument("budget", metavar="BUDGET", help=", ".join(budgets.REPORTED))
    spend.add_argument("amount", type=int, metavar="N")
    _add_key(spend)


def _add_agreeing(verbs: Subparsers[Parser]) -> None:
    criterion = verbs.add_parser("criterion", help="what the work must fulfil")
    moves = criterion.add_subparsers(dest="move", metavar="MOVE", required=True)
    add = _verb(moves, "add", "propose one", add_criterion)
    add.add_argument("text", metavar="TEXT")
    for move in CRITERION_VERBS:
        parser = _verb(moves, move, f"{move} one", move_criterion)
        parser.add_argument("id", metavar="ID", help="as loop status shows it")
        parser.add_argument("--reason", metavar="R", help="why; it is kept")
    for parser in moves.choices.values():
        parser.add_argument("--source", choices=[*Source], default="manager", help="who says so (manager)")
    for name, text in (("permit", "grant a permission"), ("forbid", "take a permission away")):
        parser = _verb(verbs, name, text, switch_permission)
        parser.add_argument("permission", metavar="PERM", help=", ".join(PERMISSIONS))
    ack = _verb(verbs, "ack", "say of the task as it is agreed now: received, accepted or blocked", ack_task)
    ack.add_argument("word", metavar="WORD", help=", ".join(acks.RoleAck))
    ack.add_argument("--role", required=True, metavar="R", help=ROLES)
    ack.add_argument("--text", metavar="TEXT", help="what there is to say; - reads it from stdin")


def _add_talking(verbs: Subparsers[Parser]) -> None:
    for name, text, command in (
        ("nudge", "remind the worker", nudge_worker),
        ("notify", "tell the manager something", notify_manager),
    ):
        parser = _verb(verbs, name, text, command)
        parser.add_argument("text", metavar="TEXT")
        _add_key(parser)
    handoff = _verb(verbs, "handoff", "leave a message to the next session of the same role", hand_off)
    handoff.add_argument("--role", required=True, metavar="R", help=ROLES)
    handoff.add_argument("--summary", required=True, metavar="S", help="what was done")
    handoff.add_argument("--next", required=True, metavar="N", help="what comes next")
    _add_key(handoff)
    decide = _verb(verbs, "decide", "record what the manager has decided", record_decision)
    decide.add_argument("decision", metavar="DECISION", help=", ".join(DECISIONS))
    decide.add_argument("--reason", required=True, metavar="R")
    decide.add_argument(
        "--seen", type=whole(0, 10**9), metavar="N",
        help="what was decided on, as loop cycle told it; exit code 3 if more has happened since",
    )  # fmt: skip
    _add_key(decide)


def _add_key(parser: Parser) -> None:
    parser.add_argument("--key", metavar="K", help="the same again under the same key changes nothing")


# What they do


def show_status(args: Namespace, out: TextIO) -> int:
    """Write how the task stands. Nothing is changed."""
    with opened_store(args) as store:
        view = standing_view(
            store, standing(store, args.task, args.stale, args.no_progress), store_option(args)
        )
    if args.json:
        render.emit(out, view)
    else:
        write_standing(out, view)
    return DONE


def show_cycle(args: Namespace, out: TextIO) -> int:
    """Write how the task stands once there is something to decide. Nothing is changed."""
    with opened_store(args) as store:
        seen = cycling.cycle(store, args.task, args.wait)
        view = {**standing_view(store, seen.standing, store_option(args)), **cycling.seen_view(seen)}
    if args.json:
        render.emit(out, view)
    else:
        write_standing(out, view)
        write_choice(out, view)
    return DONE if seen.matters else NOTHING_TO_DO


def show_history(args: Namespace, out: TextIO) -> int:
    """Write all events of the task's loop, and what was said of its messages."""
    with opened_store(args) as store:
        task = binding_of(store, args.task, ended=True).task
        events = [{**msgspec.to_builtins(event), "at": time_text(event.at)} for event in history(store, task)]
        said = [{**msgspec.to_builtins(ack), "at": time_text(ack.at)} for ack in acks.history(store, task)]
    if args.json:
        render.emit(out, {"task": task, "events": events, "acks": said})
    else:
        write_history(out, events, said)
    return DONE


def _change(args: Namespace, decide: Callable[[Change], T]) -> T:
    with opened_store(args) as store:
        return changed(store, args.task, decide)


def _answer(args: Namespace, out: TextIO, view: dict[str, Any], text: str) -> int:
    """Write the outcome of a verb; ``already`` says that it had been done before."""
    if args.json:
        render.emit(out, {"task": args.task, **view})
    else:
        render.lines(
            out, [f"task {args.task}: {text}" + (" (it was already)" if view.get("already") else "")]
        )
    return DONE


def start_loop(args: Namespace, out: TextIO) -> int:
    """Begin iteration 1; durable when this returns."""
    terms = read_terms(args)
    assert terms is not None, "--max-iterations is required"
    already = _change(args, lambda change: iterations.start(change, terms))
    view = {"state": "running", "iteration": 1, "max_iterations": args.max_iterations, "already": already}
    return _answer(args, out, view, f"the loop has begun, at most {args.max_iterations} iterations")


def _evidence(args: Namespace) -> tuple[Evidence, ...]:
    if args.iteration < 1:
        raise BadInput(f"iteration {args.iteration}", "the first one is 1", "see: postroom loop status")
    if args.evidence is None:
        return ()
    return read_evidence(read_stdin(MAX_BYTES, "the evidence") if args.evidence == "-" else args.evidence)


def continue_loop(args: Namespace, out: TextIO) -> int:
    """Go on to the next iteration; that, its evidence and the worker's message are durable on return."""
    evidence = _evidence(args)
    view = _change(args, lambda change: iterations.go_on(change, args.iteration, evidence))
    return _answer(args, out, view, f"iteration {view['iteration']} has begun")


def keep_evidence(args: Namespace, out: TextIO) -> int:
    """Keep evidence for the present iteration; durable when this returns."""
    evidence = _evidence(args)
    _change(args, lambda change: iterations.add_evidence(change, args.iteration, evidence))
    view = {"iteration": args.iteration, "evidence": msgspec.to_builtins(evidence)}
    return _answer(args, out, view, f"{len(evidence)} kept for iteration {args.iteration}")


def resume_loop(args: Namespace, out: TextIO) -> int:
    """Raise limits and let the loop and its worker go on; durable when this returns."""
    more: dict[str, int] = {}
    for text in args.add:
        name, _, number = text.partition("=")
        if not number.isascii() or not number.isdigit() or name in more:
            raise BadInput(
                f"--add {text[:60]}", "it is BUDGET=N, each once", "for example --add iterations=2"
            )
        more[name] = int(number)
    budgets.check_limits(more)
    _change(args, lambda change: budgets.resume(change, more))
    return _answer(args, out, {"state": "running", "added": more}, "the loop goes on")


def spend_budget(args: Namespace, out: TextIO) -> int:
    """Report use of a budget; durable when this returns, with the pause if that was the last of it."""

    def decide(change: Change) -> dict[str, Any]:
        already = budgets.spend(change, args.budget, args.amount, args.key)
        use = budgets.usage(change.store, change.binding, change.loop)[args.budget]
        return {"used": use.used, "limit": use.limit, "state": str(change.loop.state), "already": already}

    view = {"budget": args.budget, **_change(args, decide)}
    of = "" if view["limit"] is None else f" of {view['limit']}"
    return _answer(args, out, view, f"{view['used']}{of} {args.budget} are used, the loop is {view['state']}")


def add_criterion(args: Namespace, out: TextIO) -> int:
    """Propose a criterion; durable when this returns."""
    added, already = _change(args, lambda change: criteria.add(change, args.text, Source(args.source)))
    view = {"criterion": added.id, "text": added.text, "state": str(added.state), "already": already}
    return _answer(args, out, view, f"{added.id} is {added.state}")


def move_criterion(args: Namespace, out: TextIO) -> int:
    """Move a criterion along its table of legal moves; durable when this returns."""
    source = Source(args.source)
    moved, already = _change(
        args, lambda change: criteria.move(change, args.move, args.id, source, args.reason)
    )
    view = {"criterion": moved.id, "text": moved.text, "state": str(moved.state), "already": already}
    return _answer(args, out, view, f"{moved.id} is {moved.state}")


def switch_permission(args: Namespace, out: TextIO) -> int:
    """Grant a permission or take it away; durable when this returns."""
    granted = args.verb == "permit"
    did = _change(args, lambda change: talking.permit(change, args.permission, granted=granted))
    view = {"permission": args.permission, "granted": granted, "already": not did}
    return _answer(args, out, view, f"{args.permission} is {'granted' if granted else 'taken away'}")


def ack_task(args: Namespace, out: TextIO) -> int:
    """Keep what a role says of the task as it is agreed now; durable when this returns."""
    text = args.text
    if text == "-":
        text = read_stdin(MAX_BYTES, "the text").decode(errors="replace").strip()

    def decide(change: Change) -> int:
        change.write(acks.task_ack_write(change.store, change.binding, args.role, args.word, text))
        return change.loop.revision

    view = {"role": args.role, "ack": args.word, "text": text, "revision": _change(args, decide)}
    return _answer(args, out, view, f"the {args.role} says {args.word}")


def nudge_worker(args: Namespace, out: TextIO) -> int:
    """Remind the worker; durable when this returns."""
    view = _change(args, lambda change: talking.nudge(change, args.text, args.key))
    return _answer(args, out, view, f"nudge {view['id']} {view['state']}")


def notify_manager(args: Namespace, out: TextIO) -> int:
    """Tell the manager; durable when this returns."""
    view = _change(args, lambda change: talking.notify(change, args.text, args.key))
    return _answer(args, out, view, f"{view['id']} {view['state']}")


def hand_off(args: Namespace, out: TextIO) -> int:
    """Leave a message to the next session; durable when this returns."""
    view = _change(
        args, lambda change: talking.hand_off(change, args.role, args.summary, args.next, args.key)
    )
    return _answer(args, out, view, f"{view['id']} {view['state']} for the next {args.role}")


def record_decision(args: Namespace, out: TextIO) -> int:
    """Record a decision; durable when this returns."""
    view = _change(
        args, lambda change: talking.decide(change, args.decision, args.reason, args.key, args.seen)
    )
    return _answer(args, out, view, f"decided: {args.decision}")
