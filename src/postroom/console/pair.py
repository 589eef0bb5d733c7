"""``pair``: bind a task to its manager and its worker, and tell both how to go on."""

from __future__ import annotations

from argparse import Namespace
from typing import TextIO

from ..mailbox import pairs
from ..store.urls import SCHEME, store_path
from . import render
from .desks import opened_desk
from .exits import DONE
from .parsing import Parser, Subparsers


def add_parser(subparsers: Subparsers[Parser]) -> None:
    """The arguments of ``pair``."""
    parser = subparsers.add_parser(
        "pair",
        help="bind a task to a manager and a worker; prints both sides' commands",
        description="Makes the store if there is none, and the inboxes manager/NAME and"
        " worker/NAME. Doing it again changes nothing.",
    )
    parser.add_argument("task", metavar="TASK")
    parser.add_argument("--manager", required=True, metavar="NAME")
    parser.add_argument("--worker", required=True, metavar="NAME")


def command(args: Namespace, out: TextIO) -> int:
    """Bind and write the commands; the binding is durable when this returns."""
    with opened_desk(args, create=True) as desk:
        made = desk.pair(args.task, args.manager, args.worker)
    binding = made.binding
    # Either side may work in another directory, so the store is named from the root.
    commands = pairs.commands(binding, f"{SCHEME}{store_path(args.store).absolute()}")
    if args.json:
        render.emit(
            out,
            {
                "task": binding.task,
                "manager": binding.manager,
                "worker": binding.worker,
                "state": binding.state,
                "already": made.already,
                "store": args.store,
                "commands": commands,
            },
        )
        return DONE
    again = " (they were already)" if made.already else ""
    render.lines(out, [f"task {binding.task}: {binding.manager} and {binding.worker} are paired{again}"])
    for side, typed in commands.items():
        render.lines(out, ["", f"{side}:", *(f"  {line}" for line in typed)])
    return DONE
