"""``finish``: end a task, or list everything that is still missing."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Any, TextIO

from ..actors.loops.finishing import finish
from . import render
from .desks import opened_store
from .exits import DONE, FAILED
from .parsing import Parser, Subparsers

if TYPE_CHECKING:
    from ..actors.loops.finishing import Finish


def add_parser(subparsers: Subparsers[Parser]) -> None:
    """The arguments of ``finish``."""
    parser = subparsers.add_parser(
        "finish",
        help="end a task's binding, once nothing is missing any more",
        description="Exit code 1 with the list of what is missing; nothing is changed then.",
    )
    parser.add_argument("task", metavar="TASK")
    parser.add_argument("--force", action="store_true", help="end it although something is missing")
    parser.add_argument("--reason", metavar="R", help="why; it is kept in the history")


def command(args: Namespace, out: TextIO) -> int:
    """End the task or write what is missing; durable when this returns 0."""
    with opened_store(args) as store:
        done = finish(store, args.task, force=args.force, reason=args.reason)
    view = _view(done)
    if args.json:
        render.emit(out, view)
    elif done.finished:
        again = " (it was already)" if done.already else ""
        ended = [f"{inbox} has ended" for inbox in done.ended_inboxes]
        render.lines(out, [f"task {args.task} is finished{again}", *ended])
    else:
        render.lines(out, [f"task {args.task} is not finished: {len(done.missing)} missing"])
        rows = [(lack.kind, lack.about, lack.why, lack.do) for lack in done.missing]
        render.table(out, ("kind", "about", "why", "do"), rows)
    return DONE if done.finished else FAILED


def _view(done: Finish) -> dict[str, Any]:
    view: dict[str, Any] = {
        "task": done.binding.task,
        "state": done.binding.state,
        "finished": done.finished,
        "already": done.already,
        "forced": done.forced,
        "missing": [
            {"kind": lack.kind, "about": lack.about, "why": lack.why, "do": lack.do} for lack in done.missing
        ],
        "ended_inboxes": list(done.ended_inboxes),
    }
    if not done.finished:
        first = done.missing[0]
        what = f"task {done.binding.task} is not finished: {len(done.missing)} missing"
        view |= render.error_document(
            "unfinished", what, f"{first.kind} {first.about}: {first.why}", first.do
        )
    return view
