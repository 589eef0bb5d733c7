"""``postroom run``: play a convoy from a TOML file, and show how it goes."""

from __future__ import annotations

import signal
from argparse import Namespace
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from ..mailbox.desk import OPERATOR
from ..store.shown import is_remote
from ..store.urls import DEFAULT_URL, store_path
from . import exits, render
from .allowance import METAVAR, allow_order, read_allowance
from .desks import opened_store
from .parsing import Parser, Subparsers, assignments

if TYPE_CHECKING:
    import socket

    from ..actors.convoys.ledger import Report
    from .job import Job


def add_parser(subparsers: Subparsers[Parser]) -> None:
    """The arguments of ``run``."""
    parser = subparsers.add_parser(
        "run",
        help="run a convoy of tasks from a TOML file",
        description="Runs the tasks of a file in the order of their dependencies. Exit code 1 if one"
        " failed, 130 or 143 if it was interrupted or paused with work left: --resume goes on from there,"
        " also after a kill -9.",
    )
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--resume", action="store_true", help="go on with FILE's newest unfinished run")
    parser.add_argument(
        "--retry-failed", nargs="?", const="", metavar="TASK",
        help="go on with FILE's newest run, also one that is over, and do what failed again, or only TASK",
    )  # fmt: skip
    parser.add_argument("--allow", metavar=METAVAR, help="add to the budget of the run")
    parser.add_argument(
        "--metrics", nargs="?", const="", metavar="HOST:PORT", help="serve metrics meanwhile (127.0.0.1:9464)"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="K=V", help="set an [input] of FILE; may be repeated"
    )
    parser.set_defaults(command=command)


def command(args: Namespace, out: TextIO) -> int:
    """Run, show, and answer by the convoy's end.

    What is wrong with the file is told before anything is changed, as ``BadInput``. Raises
    ``Conflict`` if another process plays the run that is to be resumed.
    """
    import trio

    from ..actors.convoys.ledger import Ledger
    from ..actors.convoys.spec.reading import read_convoy, whole_path
    from ..actors.convoys.work.callables import importable_from
    from .job import Job
    from .runview import view_on

    file, settings = Path(args.file), assignments(args.set)
    orders = _orders(args)
    with ExitStack() as stack:
        stack.enter_context(importable_from(whole_path(file).parent))
        convoy = read_convoy(file, settings)
        listener = _listener(args, stack)
        store = stack.enter_context(opened_store(args, create=True))
        job = Job(store, Ledger(store), file, settings, convoy, logs_of(args), orders, listener)
        retried = args.retry_failed is not None
        if (args.resume or retried) and (over := job.resume(over=retried)):
            return _finish(args, out, over, job)
        with view_on(out, job.convoy, as_json=args.json) as view:
            report = trio.run(job.play, view)
        job.check()
    return _finish(args, out, report, job)


def _orders(args: Namespace) -> tuple[object, ...]:
    """What the run is told before it is played."""
    orders: list[object] = []
    if args.retry_failed is not None:
        from ..actors.convoys.messages import Again

        orders.append(Again((args.retry_failed,) if args.retry_failed else (), OPERATOR))
    if args.allow is not None:
        orders.append(allow_order(read_allowance(args.allow), OPERATOR))
    return tuple(orders)


def _listener(args: Namespace, stack: ExitStack) -> socket.socket | None:
    """The open socket for the metrics, so that a busy port is known before anything is changed."""
    if args.metrics is None:
        return None
    from ..telemetry.listener import listen, parse_listen

    host, port = parse_listen(args.metrics or args.settings.listen)
    return stack.enter_context(listen(host, port))


def logs_of(args: Namespace) -> Path:
    """The folder for what the tasks of all runs print: beside the store, or where the default one is."""
    url = DEFAULT_URL if is_remote(args.settings.store) else args.settings.store
    return store_path(url).absolute().parent / "runs"


def _finish(args: Namespace, out: TextIO, report: Report, job: Job) -> int:
    """Write how it ended and what leads on; the exit code of the contract.

    A run that is done, and of which the guard finds that something is not as it must be, has failed.
    """
    from .nextsteps import next_steps
    from .reporting import report_view, write_report

    steps = next_steps(report, job.convoy, args.file, job.store.url)
    if args.json:
        found = [{"rule": one.rule, "task": one.task, "text": one.text} for one in job.breaches]
        render.emit(out, {**report_view(report, job.convoy, job.log_folder, steps), "guard": found})
    else:
        write_report(out, report, job.convoy, job.log_folder, steps)
        shown = [(f"guard: {one.rule}:", one.task, one.text) for one in job.breaches]
        render.lines(out, [" ".join(filter(None, words)) for words in shown])
    if report.status == "done":
        return exits.FAILED if job.breaches else exits.DONE
    if report.status == "failed":
        return exits.FAILED
    return exits.TERMINATED if job.signal == signal.SIGTERM else exits.INTERRUPTED
