"""``autopilot start|stop|status``: whether a task's roles are woken without a person."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Any, TextIO

from ..actors.wakeups import autopilot, planning
from ..actors.wakeups.autopilot import MOST_QUIET, QUIET_AFTER, Pilot
from ..actors.wakeups.deciding import decided
from ..mailbox.heartbeats import MANAGER, WORKER
from ..store.clock import MICROS
from . import render
from .desks import opened_store
from .exits import DONE
from .parsing import Parser, Subparsers, whole

if TYPE_CHECKING:
    from ..store.port import Store


def add_parser(subparsers: Subparsers[Parser]) -> None:
    """The arguments of ``autopilot`` and its verbs."""
    parser = subparsers.add_parser(
        "autopilot",
        help="have a task's roles woken without a person",
        description="The waking is done by: postroom wakeup drive. It ends by itself when neither side"
        " found anything to do in several heartbeats; mail that comes later starts nothing.",
    )
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    starting = verbs.add_parser("start", help="let a task's roles be woken")
    starting.add_argument("task", metavar="TASK")
    starting.add_argument(
        "--quiet-after",
        type=whole(1, MOST_QUIET),
        default=QUIET_AFTER,
        metavar="N",
        help=f"end after N idle heartbeats of both sides ({QUIET_AFTER})",
    )
    starting.set_defaults(command=start)
    stopping = verbs.add_parser("stop", help="let nobody be woken for a task")
    stopping.add_argument("task", metavar="TASK")
    stopping.set_defaults(command=stop)
    status = verbs.add_parser("status", help="whether a task's roles are woken")
    status.add_argument("task", metavar="TASK")
    status.set_defaults(command=show)


def start(args: Namespace, out: TextIO) -> int:
    """Start, durably; starting again changes nothing. Raises ``Refused`` for an unknown task."""
    with opened_store(args) as store:
        made, written = decided(store, lambda: autopilot.start(store, args.task, args.quiet_after))
        return _write(args, out, view(store, args.task, made), not written)


def stop(args: Namespace, out: TextIO) -> int:
    """Stop, durably; stopping again changes nothing. Raises ``Refused`` for an unknown task."""
    with opened_store(args) as store:
        made, written = decided(store, lambda: autopilot.stop(store, args.task))
        return _write(args, out, view(store, args.task, made), not written)


def show(args: Namespace, out: TextIO) -> int:
    """Write how it is. Raises ``Refused`` for an unknown task."""
    with opened_store(args) as store:
        planning.binding_of(store, args.task)
        found = autopilot.find(store, args.task)[0]
        return _write(args, out, view(store, args.task, found), None)


def view(store: Store, task: str, found: Pilot | None) -> dict[str, Any]:
    """What is shown of an autopilot; one that was never started is ``off``."""
    since = 0 if found is None else found.since
    idle = autopilot.idle_heartbeats(store, task, since)
    return {
        "task": task,
        "state": "off" if found is None else str(found.state),
        "since": None if found is None else found.since / MICROS,
        "quiet_after": QUIET_AFTER if found is None else found.quiet_after,
        "idle_heartbeats": {MANAGER: idle[MANAGER], WORKER: idle[WORKER]},
    }


def _write(args: Namespace, out: TextIO, document: dict[str, Any], already: bool | None) -> int:
    if args.json:
        render.emit(out, document if already is None else {**document, "already": already})
        return DONE
    idle = ", ".join(f"{role} {count}" for role, count in document["idle_heartbeats"].items())
    pairs = [("task", document["task"]), ("autopilot", document["state"]), ("idle heartbeats", idle)]
    render.fields(out, [*pairs, ("ends after", document["quiet_after"])])
    return DONE
