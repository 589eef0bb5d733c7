"""``search``: sessions, messages and events of loops that have a word in them."""

from __future__ import annotations

from argparse import Namespace
from typing import Any, TextIO

from ..actors.loops import searching as tasks
from ..mailbox import searching
from ..mailbox.views import message_view
from . import render
from .desks import opened_store
from .exits import DONE, NOTHING_TO_DO
from .parsing import Parser, Subparsers, whole


def add_parser(subparsers: Subparsers[Parser]) -> None:
    """The arguments of ``search``."""
    parser = subparsers.add_parser(
        "search",
        help="find sessions, messages and what happened to tasks by a word",
        description="Reads everything that the store remembers, finished mail too; upper and lower case"
        " are the same. Exit code 4 if nothing has the word.",
    )
    parser.add_argument("text", metavar="TEXT")
    parser.add_argument("--inbox", metavar="INBOX", help="only messages of this inbox")
    parser.add_argument(
        "--max", type=whole(1, searching.MOST), default=20, metavar="N",
        help="at most N messages and events, the newest (20)",
    )  # fmt: skip


def command(args: Namespace, out: TextIO) -> int:
    """Write what has the word. Nothing is changed."""
    word = searching.Word(args.text)
    with opened_store(args) as store:
        messages = [message_view(one) for one in searching.messages(store, word, args.max, args.inbox)]
        everywhere = args.inbox is None
        sessions = tasks.sessions(store, word) if everywhere else []
        events = tasks.events(store, word, args.max) if everywhere else []
    if args.json:
        render.emit(out, {"sessions": sessions, "messages": messages, "events": events})
    else:
        _write(out, sessions, messages, events)
    return DONE if sessions or messages or events else NOTHING_TO_DO


Found = list[dict[str, Any]]


def _write(out: TextIO, sessions: Found, messages: Found, events: Found) -> None:
    if sessions:
        columns = ("task", "role", "address", "binding", "health", "thread_id", "thread_title")
        headings = (*columns[:-2], "thread", "title")
        render.table(out, headings, [[one[name] for name in columns] for one in sessions])
    if messages:
        names = ("created_at", "id", "state", "type", "sender", "recipient")
        rows = [(*(one[name] for name in names), render.brief(one["body"])) for one in messages]
        render.table(out, ("at", "id", "state", "type", "from", "to", "body"), rows)
    if events:
        lines = [(e["at"], e["task"], e["event"], e["by"], render.brief(e.get("data", {}))) for e in events]
        render.table(out, ("at", "task", "event", "by", "data"), lines)
