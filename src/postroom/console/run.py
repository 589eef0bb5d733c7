"""``postroom run``: play a convoy from a TOML file, and show how it goes."""

from __future__ import annotations

import signal
from argparse import Namespace
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from ..store.errors import BadInput, PostroomError
from ..store.urls import store_path
from . import exits, render
from .desks import opened_store
from .parsing import Parser, Subparsers

if TYPE_CHECKING:
    import socket

    import trio

    from ..actors.convoys.ledger import Ledger, Report, RunRecord
    from ..actors.convoys.plan import Convoy
    from ..store.port import Store
    from .runview import View


def add_parser(subparsers: Subparsers[Parser]) -> None:
    """The arguments of ``run``."""
    parser = subparsers.add_parser(
        "run",
        help="run a convoy of tasks from a TOML file",
        description="Runs the tasks of a file in the order of their dependencies. Exit code 1 if one"
        " failed, 130 or 143 if it was interrupted with work left: --resume goes on from there, also"
        " after a kill -9.",
    )
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--resume", action="store_true", help="go on with the newest unfinished run of FILE")
    parser.add_argument(
        "--metrics", nargs="?", const="", metavar="HOST:PORT", help="serve metrics meanwhile (127.0.0.1:9464)"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="K=V", help="set an [input] of the file; may be repeated"
    )
    parser.set_defaults(command=command)


def command(args: Namespace, out: TextIO) -> int:
    """Run, show, and answer by the convoy's end. What is wrong with the file is told before anything
    is changed, as ``BadInput``; ``Conflict`` if another process plays the run that is to be resumed.
    """
    import trio

    from ..actors.convoys.callables import importable_from
    from ..actors.convoys.ledger import Ledger
    from ..actors.convoys.reading import read_convoy, whole_path
    from .runview import view_on

    file, settings = Path(args.file), _settings(args.set)
    with ExitStack() as stack:
        stack.enter_context(importable_from(whole_path(file).parent))
        convoy = read_convoy(file, settings)
        listener = _listener(args, stack)
        store = stack.enter_context(opened_store(args, create=True))
        ledger = Ledger(store)
        found = _resumed(ledger, file, settings, convoy) if args.resume else None
        if found is None and args.resume and (over := _newest_report(ledger, file)):
            return _finish(args, out, over, None)
        run, convoy = found or (None, convoy)
        job = Job(store, listener, str(whole_path(file)), settings, run, convoy, _logs(args))
        with view_on(out, as_json=args.json) as view:
            report = trio.run(job.play, view)
    return _finish(args, out, report, job.signal)


class Job:
    """One run in this process. ``signal`` is what interrupted it, if anything did."""

    def __init__(
        self,
        store: Store,
        listener: socket.socket | None,
        file: str,
        settings: dict[str, str],
        run: RunRecord | None,
        convoy: Convoy,
        logs: Path,
    ) -> None:
        self.signal: int | None = None
        self._store = store
        self._listener = listener
        self._file = file
        self._settings = settings
        self._run = run
        self._convoy = convoy
        self._logs = logs

    async def play(self, view: View) -> Report:
        """Play the run to its end, or to its interruption by SIGINT or SIGTERM."""
        import trio

        from ..actors.system import open_postroom
        from ..telemetry.metrics import Metrics

        metrics = Metrics(self._store, roles=("manager", "convoy-worker"))
        outcome: Report | PostroomError | None = None
        async with open_postroom(self._store, observer=metrics) as office, trio.open_nursery() as nursery:
            if self._listener is not None:
                view.say(f"{await nursery.start(_serve, self._listener, metrics)}/metrics")
            stop = trio.Event()
            await nursery.start(self._hear, stop, nursery.cancel_scope)
            try:
                outcome = await self._play(office, stop, view)
            except PostroomError as error:  # carried out, or the nurseries would wrap it into a group
                outcome = error
            nursery.cancel_scope.cancel()
        if isinstance(outcome, PostroomError):
            raise outcome
        return outcome or self._left()
