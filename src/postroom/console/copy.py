"""``copy``: move a stopped store into another file, or to or from a server."""

from __future__ import annotations

import sys
from argparse import Namespace
from contextlib import suppress
from shlex import quote
from typing import TextIO

from msgspec import to_builtins

from ..store.errors import BadInput
from ..store.shown import shown_url
from ..store.urls import from_anywhere, is_store
from . import render
from .exits import DONE
from .parsing import Parser, Subparsers
from .settings import whole_url


def add_parser(subparsers: Subparsers[Parser]) -> None:
    """The arguments of ``copy``."""
    parser = subparsers.add_parser(
        "copy",
        help="move a stopped store into another file, or to or from a server",
        description="All messages with their histories, records, counts and remembered ids. The store at"
        " --from must be stopped and stays as it was; there must be nothing at --to. Leases of before settle"
        " nothing there. There is no store at --to before all of it was compared; a copy that was cut off"
        " goes on where it was if the same is done again. Exit code 1 if the store or its copy has faults, 3"
        " if there is something else at --to or --from has changed since, 5 if a store is missing, in use or"
        " does not answer.",
    )
    parser.add_argument("--from", dest="source", required=True, metavar="URL", help="the stopped store")
    parser.add_argument("--to", dest="target", required=True, metavar="URL", help="where it is to be")
    parser.add_argument("--anew", action="store_true", help="throw away an unfinished copy at --to first")
    parser.set_defaults(command=command)


def command(args: Namespace, out: TextIO) -> int:
    """Copy, and write what was copied; it is durable when this returns."""
    from ..store.copying.copy import copy  # it loads apsw

    source, target = (whole_url(url, args.settings.store) for url in (args.source, args.target))
    for url in (source, target):
        if not is_store(url):
            raise BadInput(
                f"not a store URL: {shown_url(url)}",
                "it begins with sqlite:/// or postgresql://",
                "for example sqlite:///work.db",
            )
    done = copy(source, target, anew=args.anew, progress=tell, going_on=tell_going_on)
    if args.json:
        render.emit(out, to_builtins(done))
    else:
        render.lines(out, [f"{done.target}: copied from {done.source}, epoch {done.epoch}"])
        render.fields(out, [(name, count) for name, count in done.rows.items() if count])
        render.lines(
            out,
            [
                f"compared and verified: {done.accepted} accepted, none unaccounted",
                f"use it from now on: export POSTROOM_STORE={quote(from_anywhere(target))}",
            ],
        )
    return DONE


def tell(done: str, what: str, so_far: int, total: int) -> None:
    """Write progress where it disturbs nobody."""
    _say(f"{done} {so_far:,} of {total:,} {what}")


def tell_going_on(begun_at: int, so_far: int, total: int) -> None:
    """Write that not all of it is copied again."""
    from ..store.copying.mark import told_time

    begun = told_time(begun_at)
    _say(f"going on with the copy begun at {begun}: {so_far:,} of {total:,} messages are there")


def _say(text: str) -> None:
    with suppress(OSError):  # a copy does not fail because nobody looks on
        sys.stderr.write(f"{text}\n")
