"""``pair``: bind a task to its manager and its worker, and tell both how to go on."""

from __future__ import annotations

from argparse import Namespace
from typing import Any, TextIO

from ..actors.loops.iterations import Terms, checked_terms
from ..actors.loops.pairing import AppThread, Paired, pair
from ..actors.loops.prompts import HEARTBEAT_ADVICE, TEARDOWN, first_commands, prompt
from ..actors.loops.sides import HEARTBEAT_SECONDS
from ..mailbox import pairs
from ..mailbox.envelope import check_text
from ..mailbox.heartbeats import MANAGER, WORKER, check_role
from ..store.errors import BadInput
from ..store.urls import from_anywhere
from . import render
from .desks import opened_store
from .exits import DONE
from .parsing import Parser, Subparsers

SIDES = (MANAGER, WORKER)


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
    parser.add_argument("--disposable", action="store_true", help="its inboxes end when it is finished")
    thread = "of the app thread behind a side, to wake it"
    parser.add_argument(
        "--thread-id", action="append", default=[], metavar="ROLE=ID", help=f"the id {thread}"
    )
    parser.add_argument(
        "--thread-title", action="append", default=[], metavar="ROLE=TITLE", help=f"the title {thread}"
    )
    add_terms(parser, required=False)


def add_terms(parser: Parser, *, required: bool) -> None:
    """The arguments that say how a loop is started."""
    parser.add_argument(
        "--max-iterations", required=required, type=int, metavar="N", help="the loop may have N iterations"
    )
    for name in ("nudges", "turns", "wakes", "tokens", "seconds"):
        parser.add_argument(f"--max-{name}", type=int, metavar="N", help=f"pause and ask after N {name}")
    parser.add_argument("--nudge-seconds", type=float, metavar="S", help="nudges are allowed for S seconds")
    parser.add_argument(
        "--require-evidence",
        action="append",
        default=[],
        metavar="KIND",
        help="each iteration ends with evidence of this kind",
    )
    parser.add_argument(
        "--require-acks", action="store_true", help="both sides must have accepted what is agreed to finish"
    )


def read_terms(args: Namespace) -> Terms | None:
    """The terms that the arguments give; None if they give none. Raises ``BadInput``."""
    given = {
        name: getattr(args, f"max_{name}")
        for name in ("iterations", "nudges", "turns", "wakes", "tokens", "seconds")
    }
    limits = {name: limit for name, limit in given.items() if limit is not None}
    if not (limits or args.require_evidence or args.require_acks or args.nudge_seconds is not None):
        return None
    return checked_terms(
        limits,
        args.require_evidence,
        require_acks=args.require_acks,
        nudge_seconds=args.nudge_seconds,
    )


def read_threads(ids: list[str], titles: list[str]) -> dict[str, AppThread]:
    """Threads by role, as ``ROLE=ID`` and ``ROLE=TITLE``. Raises ``BadInput``."""
    named = _by_role("--thread-id", ids)
    entitled = _by_role("--thread-title", titles)
    for role in entitled:
        if role not in named:
            raise BadInput(f"--thread-title {role} without an id", "a title alone wakes nobody", "give both")
    return {role: AppThread(id, entitled.get(role)) for role, id in named.items()}


def _by_role(option: str, given: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in given:
        role, separator, value = text.partition("=")
        if not separator:
            raise BadInput(f"{option} {text[:60]}", "it is ROLE=VALUE", f"for example {option} worker=t-1")
        if check_role(role) in found:
            raise BadInput(f"{option} {role} is there twice", "a side has one thread", "leave one out")
        found[role] = check_text(option.removeprefix("--"), value)
    return found


def store_option(args: Namespace) -> str:
    """The option that names the store from the root: either side may work in another directory."""
    from shlex import quote  # only who prints commands needs it

    return f" --store {quote(from_anywhere(args.store))}"


def command(args: Namespace, out: TextIO) -> int:
    """Bind and write the commands; the binding is durable when this returns."""
    threads, terms = read_threads(args.thread_id, args.thread_title), read_terms(args)
    pairs.new_binding(args.task, args.manager, args.worker, 0)  # bad names make no store
    with opened_store(args, create=True) as store:
        wanted = pairs.new_binding(
            args.task, args.manager, args.worker, store.clock.now().wall, disposable=args.disposable
        )
        view = _view(args, pair(store, wanted, threads, terms))
    if args.json:
        render.emit(out, view)
        return DONE
    again = " (they were already)" if view["already"] else ""
    render.lines(out, [f"task {view['task']}: {view['manager']} and {view['worker']} are paired{again}"])
    for side in SIDES:
        shown = [f"  {line}" for line in view["commands"][side]]
        told = [f"  {line}" for line in view["handoff"][side].split("\n")]
        render.lines(out, ["", f"{side}, run next:", *(f"  {line}" for line in view["next"][side])])
        render.lines(out, [f"{side}'s commands:", *shown, f"for the thread of the {side}:", *told])
    return DONE


def _view(args: Namespace, made: Paired) -> dict[str, Any]:
    binding, at = made.binding, store_option(args)
    return {
        "task": binding.task,
        "manager": binding.manager,
        "worker": binding.worker,
        "state": binding.state,
        "already": made.already,
        "disposable": binding.disposable,
        "store": args.store,
        "commands": pairs.commands(binding, from_anywhere(args.store)),
        "next": first_commands(binding, at),
        "handoff": {side: prompt(binding, side, at) for side in SIDES},
        "heartbeat": {"every_seconds": HEARTBEAT_SECONDS, "advice": HEARTBEAT_ADVICE},
        "teardown": TEARDOWN,
        "threads": {
            role: {"thread_id": thread.thread_id, "title": thread.title}
            for role, thread in made.threads.items()
        },
        "loop": str(made.loop.state),
        "iteration": made.loop.iteration,
        "max_iterations": made.loop.limits.get("iterations"),
    }
