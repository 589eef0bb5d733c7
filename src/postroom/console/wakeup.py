"""``wakeup plan|dispatch|record|rotate|join|drive``: who is to be woken, and by whom it was done."""

from __future__ import annotations

from argparse import Namespace
from random import Random
from typing import TYPE_CHECKING, Any, TextIO

from ..actors.loops import budgets
from ..actors.loops.change import changed
from ..actors.wakeups import autopilot, joining, planning, receipts, rotation
from ..actors.wakeups.autopilot import PilotState
from ..actors.wakeups.deciding import decided
from ..mailbox import wakes
from ..store.errors import BadInput
from . import render
from .desks import opened_desk, opened_store
from .exits import DONE
from .parsing import Parser, Subparsers, whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..actors.wakeups.driving import Waking
    from ..actors.wakeups.planning import Plan
    from ..store.port import Store
    from .settings import Wakeups


def add_parser(subparsers: Subparsers[Parser]) -> None:
    """The arguments of ``wakeup`` and its verbs."""
    parser = subparsers.add_parser("wakeup", help="plan wakes, record them, and have them driven")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)

    plan = verbs.add_parser("plan", help="who of a task is to be woken now, and why; changes nothing")
    plan.add_argument("task", metavar="TASK")
    plan.set_defaults(command=show_plan)

    dispatch = verbs.add_parser("dispatch", help="the same, with a receipt for what you do about it")
    dispatch.add_argument("task", metavar="TASK")
    dispatch.set_defaults(command=dispatch_plan)

    record = verbs.add_parser(
        "record",
        help="say what you did about a role of a receipt",
        description="Only what fits the receipt: sent for ready_to_send, with the same thread; skipped for"
        " skipped_healthy; blocked for blocked_missing_thread; once. Else exit code 3.",
    )
    record.add_argument("task", metavar="TASK")
    record.add_argument("--receipt", required=True, metavar="R")
    record.add_argument("--role", required=True, choices=planning.ROLES)
    record.add_argument("--status", required=True, choices=list(receipts.SAYS))
    record.add_argument("--thread-id", metavar="ID", help="the thread that was woken")
    record.add_argument("--reason", metavar="TEXT")
    record.set_defaults(command=record_one)

    rotate = verbs.add_parser("rotate", help="put another app thread in the place of one")
    rotate.add_argument("task", metavar="TASK")
    rotate.add_argument("--role", required=True, choices=planning.ROLES)
    rotate.add_argument("--from", required=True, dest="old", metavar="OLD", help="the thread's id until now")
    rotate.add_argument("--to", required=True, dest="new", metavar="NEW", help="the new thread's id")
    rotate.add_argument("--title", metavar="TEXT", help="the new thread's title")
    rotate.set_defaults(command=rotate_thread)

    join = verbs.add_parser(
        "join",
        help="wake a role once for several messages, such as the answers to a batch",
        description="It is woken when so many messages wait for it, or after so many seconds with what"
        " there is. A poll takes what there is at any time.",
    )
    join.add_argument("task", metavar="TASK")
    join.add_argument("--role", required=True, choices=planning.ROLES)
    join.add_argument(
        "--messages", type=whole(0, wakes.MOST_JOINED), required=True, metavar="N",
        help="how many; 0 ends the waiting",
    )  # fmt: skip
    join.add_argument(
        "--within", type=float, default=wakes.JOIN_SECONDS, metavar="S",
        help=f"the longest wait, in seconds from now ({wakes.JOIN_SECONDS:g})",
    )  # fmt: skip
    join.set_defaults(command=join_wakes)

    drive = verbs.add_parser(
        "drive",
        help="wake by the drivers of postroom.toml, until interrupted",
        description="Wakes the roles that have a command or a webhook in [wakeups], of the tasks whose"
        " autopilot runs. Ends with exit code 0 when it is interrupted.",
    )
    drive.set_defaults(command=drive_wakes)


def document(store: Store, plan: Plan) -> dict[str, Any]:
    """What is shown of a plan. Where the autopilot is off, ``notice`` says what follows from that."""
    pilot = autopilot.find(store, plan.task)[0]
    state = "off" if pilot is None else str(pilot.state)
    shown: dict[str, Any] = {
        "task": plan.task,
        "actions": plan.actions,
        "summary": plan.summary(),
        "autopilot": state,
    }
    waits = any(action.prompt is not None for action in plan.actions)
    if waits and pilot is not None and pilot.state is not PilotState.RUNNING:
        shown["notice"] = (
            f"the autopilot is {state}, so nobody is woken by itself;"
            f" run: postroom autopilot start {plan.task}"
        )
    return shown


def show_plan(args: Namespace, out: TextIO) -> int:
    """Write what to do about a task. Raises ``Refused`` for an unknown one."""
    with opened_store(args) as store:
        return _write_plan(args, out, document(store, planning.plan(store, args.task)))


def dispatch_plan(args: Namespace, out: TextIO) -> int:
    """Write what to do, and keep it as a receipt, which is durable then. Raises as ``plan`` does."""
    with opened_desk(args) as desk:
        store, ids = desk.store, desk.ids

        def make() -> tuple[tuple[Plan, str], Any]:
            plan, receipt, put = receipts.dispatch(store, ids, args.task)
            return (plan, receipt), put

        (plan, receipt), _ = decided(store, make)
        return _write_plan(args, out, {"receipt": receipt, **document(store, plan)})


def _write_plan(args: Namespace, out: TextIO, shown: dict[str, Any]) -> int:
    if args.json:
        render.emit(out, shown)
        return DONE
    if "receipt" in shown:
        render.lines(out, [f"receipt {shown['receipt']}"])
    rows = [(a.role, a.address, a.status, a.reason, a.thread_id) for a in shown["actions"]]
    render.table(out, ("role", "address", "status", "reason", "thread"), rows)
    for action in shown["actions"]:
        if action.prompt is not None:
            where = "a new thread" if action.thread_id is None else f"thread {action.thread_id}"
            render.lines(out, ["", f"for {where}:", action.prompt])
    if shown["summary"]["dispatcher_required"]:
        render.lines(out, ["", "no dispatcher gives signs of life; run: postroom serve"])
    if "notice" in shown:
        render.lines(out, ["", shown["notice"]])
    return DONE


def record_one(args: Namespace, out: TextIO) -> int:
    """Record, durably. Raises ``Refused`` for what is unknown, ``Conflict`` for what does not fit."""
    with opened_store(args) as store:
        said, _ = decided(
            store,
            lambda: receipts.record(
                store, args.task, args.receipt, args.role, args.status,
                thread_id=args.thread_id, reason=args.reason,
            ),
        )  # fmt: skip
        if said.status == "sent":  # that may have been the last one its budget allows
            changed(store, args.task, budgets.enforce)
    if args.json:
        shown = {"task": args.task, "receipt": args.receipt, "role": said.role, "status": said.status}
        render.emit(out, {**shown, "thread_id": said.thread_id, "reason": said.reason})
    else:
        render.lines(out, [f"{said.role} of {args.task}: {said.status}"])
    return DONE


def rotate_thread(args: Namespace, out: TextIO) -> int:
    """Rotate, durably. Raises ``Refused`` for an unknown task, ``Conflict`` if it has another thread."""
    with opened_store(args) as store:
        thread, _ = decided(
            store,
            lambda: rotation.rotate(store, args.task, args.role, args.old, args.new, args.title),
        )
    if args.json:
        shown = {"task": args.task, "role": args.role, "address": thread.address, "from": args.old}
        render.emit(out, {**shown, "thread_id": thread.thread_id, "thread_title": thread.title})
    else:
        render.lines(out, [f"{thread.address} is thread {thread.thread_id} now"])
    return DONE


def join_wakes(args: Namespace, out: TextIO) -> int:
    """Have a role woken for several messages together, durably. Raises ``Refused`` for an unknown task."""
    with opened_store(args) as store:
        (address, wake), _ = decided(
            store, lambda: joining.join(store, args.task, args.role, args.messages, args.within)
        )
    left = 0 if wake.join is None else wake.join.left
    if args.json:
        shown = {"task": args.task, "role": args.role, "address": address, "messages": left}
        render.emit(out, {**shown, "within_seconds": args.within if left else None})
    elif left:
        render.lines(out, [f"{address} is woken for {left} messages, or in {args.within:g} s"])
    else:
        render.lines(out, [f"{address} is woken for any message"])
    return DONE


def drive_wakes(args: Namespace, out: TextIO) -> int:
    """Wake until SIGINT or SIGTERM. Raises ``BadInput`` if the settings name no driver."""
    import trio

    waking = waking_of(args.settings.wakeups)
    if waking is None:
        raise BadInput(
            "no driver",
            "[wakeups] in postroom.toml has neither a command nor a webhook",
            "add one for a role",
        )
    with opened_store(args) as store:
        roles = waking.driver.roles

        def announce() -> None:
            if args.json:
                render.emit(out, {"store": store.url, "roles": roles})
            else:
                render.lines(out, [f"waking {' and '.join(roles)} of {store.url}"])

        trio.run(_drive, store, waking, announce)
    return DONE


def waking_of(settings: Wakeups) -> Waking | None:
    """How a process wakes by the settings; None if they name no driver. Raises ``BadInput``."""
    if not (settings.command or settings.webhook):
        return None
    from ..actors.wakeups.driving import Waking, drivers

    driver = drivers(settings.command.items(), settings.webhook.items(), settings.timeout)
    return Waking(driver, settings.autopilot == "all", settings.debounce)


async def _drive(store: Store, waking: Waking, announce: Callable[[], None]) -> None:
    import signal
    from functools import partial

    import trio

    from ..actors.wakeups.driving import drive
    from ..store.process import this_process

    run = partial(drive, store, waking, process=this_process(), rng=Random())
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            await nursery.start(run)
            announce()
            await anext(signals)
            nursery.cancel_scope.cancel()
