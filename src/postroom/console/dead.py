"""``dead list|show|requeue|drop``: messages that could not be handled, and what a person decides.

The dead letters of a run are tasks; with ``--run`` they are listed, resolved and retried.
"""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, TextIO

from ..mailbox.ids import id_text, parse_id
from ..mailbox.views import dead_view, message_view
from ..store.errors import BadInput, Conflict
from . import deadtasks, render
from .desks import opened_desk
from .exits import DONE
from .messages import write_message
from .parsing import Parser, Subparsers, whole

if TYPE_CHECKING:
    from ..mailbox.desk import Desk

MOST = 10_000


def add_parser(subparsers: Subparsers[Parser]) -> None:
    """The arguments of ``dead`` and its verbs."""
    parser = subparsers.add_parser(
        "dead", help="dead letters: list, show, requeue, drop; of a run: list, resolve, retry"
    )
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)

    listing = verbs.add_parser("list", help="dead letters with their reasons")
    listing.add_argument("inbox", metavar="INBOX", nargs="?", help="only of this inbox")
    listing.add_argument("--run", metavar="RUN", help="the tasks of a run that could not be done")
    listing.add_argument("--max", type=whole(1, MOST), default=100, metavar="N", help="at most N (100)")
    listing.set_defaults(command=list_dead)

    show = verbs.add_parser("show", help="one dead letter with its history")
    show.add_argument("id", metavar="ID")
    show.set_defaults(command=show_dead)

    for verb, text in (
        ("requeue", "make them ready again, with all attempts before them"),
        ("drop", "give them up for good"),
    ):
        decide = verbs.add_parser(verb, help=text)
        decide.add_argument("ids", metavar="ID", nargs="*")
        decide.add_argument("--all", action="store_true", help="all dead letters")
        decide.add_argument("--inbox", metavar="INBOX", help="with --all: only of this inbox")
        decide.set_defaults(command=decide_dead)
    deadtasks.add_verbs(verbs)


def list_dead(args: Namespace, out: TextIO) -> int:
    """Write dead letters."""
    if args.run is not None:
        if args.inbox is not None:
            raise BadInput("INBOX and --run", "the one is for messages, the other for tasks", "leave one out")
        return deadtasks.list_tasks(args, out)
    with opened_desk(args) as desk:
        messages = [dead_view(message) for message in desk.dead(args.inbox, args.max)]
    if args.json:
        render.emit(out, {"messages": messages})
    elif messages:
        render.table(
            out,
            ("id", "recipient", "type", "attempts", "reason", "last error"),
            [
                (m["id"], m["recipient"], m["type"], m["attempts"], m["reason"], m["last_error"])
                for m in messages
            ],
        )
    else:
        render.lines(out, ["no dead letters"])
    return DONE


def show_dead(args: Namespace, out: TextIO) -> int:
    """Write one dead letter."""
    with opened_desk(args) as desk:
        message = desk.show(parse_id(args.id))
    if message.state != "dead":
        raise Conflict(
            f"{args.id} is {message.state}", "it is no dead letter", "look at it with: postroom show"
        )
    if args.json:
        render.emit(out, {**message_view(message), **dead_view(message)})
    else:
        write_message(out, message_view(message))
    return DONE


def decide_dead(args: Namespace, out: TextIO) -> int:
    """Requeue or drop: all of the named ones, or none if one of them cannot be."""
    if bool(args.ids) == args.all:
        raise BadInput(f"dead {args.verb} takes ids or --all", "it got none or both", "give one of them")
    if args.inbox and not args.all:
        raise BadInput("--inbox without --all", "ids name their messages themselves", "leave one out")
    ids = [parse_id(text) for text in args.ids]
    with opened_desk(args) as desk:
        ids = ids or _all_dead(desk, args.inbox)
        decide = desk.requeue if args.verb == "requeue" else desk.drop
        count = decide(*ids).count if ids else 0
    if args.json:
        render.emit(out, {"changed": count, "ids": [id_text(id) for id in ids]})
    else:
        render.lines(out, [f"{count} {'requeued' if args.verb == 'requeue' else 'dropped'}"])
    return DONE


def _all_dead(desk: Desk, inbox: str | None) -> list[bytes]:
    return [message.id for message in desk.dead(inbox, MOST)]
