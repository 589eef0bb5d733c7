"""``heartbeat``: a side's sign of life, answered with what to run next."""

from __future__ import annotations

from argparse import Namespace
from typing import TextIO

from ..actors.loops.beating import beat_view, heartbeat
from ..mailbox.heartbeats import MANAGER, WORKER
from . import render
from .desks import opened_store
from .exits import DONE
from .pair import store_option
from .parsing import Parser, Subparsers


def add_parser(subparsers: Subparsers[Parser]) -> None:
    """The arguments of ``heartbeat``."""
    parser = subparsers.add_parser(
        "heartbeat",
        help="tell that a side of a task is alive; answers with what to run next",
        description="Send one every 2 minutes, only while awake. Once the task is over it is refused.",
    )
    parser.add_argument("task", metavar="TASK")
    parser.add_argument("--role", required=True, metavar="R", help=f"{MANAGER} or {WORKER}")
    parser.add_argument("--thread-id", metavar="T", help="the app thread that speaks; another one is refused")


def command(args: Namespace, out: TextIO) -> int:
    """Keep the sign of life and write what it found; durable when this returns."""
    with opened_store(args) as store:
        view = beat_view(heartbeat(store, args.task, args.role, args.thread_id), store_option(args))
    if args.json:
        render.emit(out, view)
        return DONE
    by = f" by {view['paused_by']}" if view["paused_by"] else ""
    paused = f", paused{by}" if view["paused"] else ""
    found = f"{view['mail']} to take, {view['leased']} in hand"
    render.lines(out, [f"{view['role']} of {view['task']}: {found}{paused}", *view["next"]])
    return DONE
