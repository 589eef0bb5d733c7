"""``inbox list|show|peek|pause|resume|drain|purge``: inboxes as a whole."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable
from typing import TYPE_CHECKING, TextIO

from ..mailbox.views import inbox_view, message_view
from ..store.clock import MICROS
from ..store.states import State
from . import render
from .desks import opened_desk, opened_store
from .exits import DONE
from .parsing import Parser, Subparsers, whole

if TYPE_CHECKING:
    from ..store.records import InboxCounts

SWITCHES = {
    "pause": "let it accept mail and deliver none",
    "resume": "let it accept and deliver again",
    "drain": "let it deliver what it has and accept no more",
    "purge": "cancel all its mail that nobody has claimed",
}
KEYED = ("pause", "resume")


def add_parser(subparsers: Subparsers[Parser]) -> None:
    """The arguments of ``inbox`` and its verbs."""
    parser = subparsers.add_parser("inbox", help="list, show, peek into and switch inboxes")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)

    listing = verbs.add_parser("list", help="all inboxes with their counts")
    listing.set_defaults(command=list_inboxes)

    show = verbs.add_parser("show", help="the counts of one inbox")
    show.add_argument("inbox", metavar="INBOX")
    show.set_defaults(command=show_inbox)

    peek = verbs.add_parser("peek", help="its messages in claiming order; changes nothing")
    peek.add_argument("inbox", metavar="INBOX")
    peek.add_argument("--max", type=whole(1, 1000), default=10, metavar="N", help="at most N (10)")
    peek.add_argument("--state", choices=[state.word for state in State], help="only in this state")
    peek.set_defaults(command=peek_inbox)

    for verb, text in SWITCHES.items():
        switch = verbs.add_parser(verb, help=text)
        switch.add_argument("inbox", metavar="INBOX")
        if verb in KEYED:
            switch.add_argument("--key", metavar="C", help="only mail of this correlation id")
        switch.set_defaults(command=switch_inbox, key=None)


def write_overview(out: TextIO, counts: Iterable[InboxCounts]) -> None:
    """Write a table of inboxes."""
    render.table(
        out,
        ("inbox", "ready", "delayed", "leased", "held", "done", "dead", "oldest", ""),
        [
            (
                count.inbox, count.ready, count.delayed, count.leased, count.held, count.done,
                count.dead, render.age(_oldest(count)), _mode(count),
            )
            for count in counts
        ],
    )  # fmt: skip


def _oldest(count: InboxCounts) -> float | None:
    return None if count.oldest_ready_us is None else count.oldest_ready_us / MICROS


def _mode(count: InboxCounts) -> str:
    words = ("paused", count.paused), ("draining", count.draining), ("ended", count.ended)
    return " ".join(word for word, holds in words if holds)


def list_inboxes(args: Namespace, out: TextIO) -> int:
    """Write all inboxes."""
    with opened_store(args) as store:
        counts = store.counts()
    if args.json:
        render.emit(out, {"inboxes": [inbox_view(count) for count in counts]})
    else:
        write_overview(out, counts)
    return DONE


def show_inbox(args: Namespace, out: TextIO) -> int:
    """Write the counts of one inbox."""
    with opened_desk(args) as desk:
        view = inbox_view(desk.inbox(args.inbox))
    if args.json:
        render.emit(out, view)
    else:
        render.fields(out, view.items())
    return DONE


def peek_inbox(args: Namespace, out: TextIO) -> int:
    """Write the next messages of an inbox without claiming them."""
    with opened_desk(args) as desk:
        messages = [message_view(m) for m in desk.peek(args.inbox, args.max, state=args.state)]
    if args.json:
        render.emit(out, {"inbox": args.inbox, "messages": messages})
    else:
        render.table(
            out,
            ("id", "state", "type", "sender", "attempts", "body"),
            [
                (m["id"], m["state"], m["type"], m["sender"], m["attempts"], render.brief(m["body"]))
                for m in messages
            ],
        )
    return DONE


def switch_inbox(args: Namespace, out: TextIO) -> int:
    """Pause, resume, drain or purge; durable when this returns."""
    with opened_desk(args) as desk:
        if args.verb in KEYED:
            verb = desk.pause if args.verb == "pause" else desk.resume
            changed = verb(args.inbox, key=args.key)
        else:
            changed = (desk.drain if args.verb == "drain" else desk.purge)(args.inbox)
        view = inbox_view(desk.inbox(args.inbox))
    if args.json:
        render.emit(out, {**view, "changed": changed.count})
    else:
        past = {"pause": "paused", "resume": "resumed", "drain": "draining", "purge": "purged"}
        render.lines(out, [f"{args.inbox}: {past[args.verb]} ({changed.count} changed)"])
    return DONE
