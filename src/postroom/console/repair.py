"""``repair``: mend a damaged store, with copies of it as it was."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, TextIO

from msgspec import to_builtins

from . import render
from .desks import only_for_files
from .exits import DONE
from .parsing import Parser, Subparsers

if TYPE_CHECKING:
    from ..store.repair import Repaired


def add_parser(subparsers: Subparsers[Parser]) -> None:
    """The arguments of this command."""
    repair = subparsers.add_parser(
        "repair",
        help="mend a damaged store; copies of its files are kept",
        description="What can be known is put right exactly. Where mail would be lost or doubtful,"
        " nothing is changed unless --accept-loss is given.",
    )
    repair.add_argument(
        "--accept-loss",
        action="store_true",
        help="give up what cannot be read; it is counted, and shown by verify from then on",
    )
    repair.set_defaults(command=repair_store)


def repair_store(args: Namespace, out: TextIO) -> int:
    """Write what was found and done."""
    only_for_files(args, "repair", "restore the server's backup; look with: postroom verify --deep")
    from ..store.repair import repair  # it loads apsw

    done = repair(args.store, accept_loss=args.accept_loss)
    if args.json:
        render.emit(out, to_builtins(done))
    else:
        _write(out, done)
    return DONE


def _write(out: TextIO, done: Repaired) -> None:
    if not done.found:
        render.lines(out, [f"{done.store}: nothing is damaged, nothing was changed"])
        return
    render.lines(out, (f"found: {what}" for what in done.found))
    render.lines(out, (f"mended: {what}" for what in done.mended))
    render.lines(out, (f"in doubt, now a dead letter if it was live: message {id}" for id in done.doubtful))
    render.lines(out, (f"lost: {count} messages of inbox {inbox}" for inbox, count in done.lost.items()))
    if done.kept:
        render.lines(out, [f"the files as they were are in {done.kept}"])
