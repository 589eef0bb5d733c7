"""``postroom run``: play a convoy from a TOML file, and show how it goes."""

from __future__ import annotations

import shlex
import signal
from argparse import Namespace
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from attrs import define

from ..store.errors import BadInput
from ..store.urls import store_path
from . import exits, render
from .desks import opened_store
from .parsing import Parser, Subparsers

if TYPE_CHECKING:
    import socket

    import trio

    from ..actors.convoys.ledger import Report, RunRecord
    from ..actors.convoys.plan import Convoy
    from ..actors.system import System
    from ..store.port import Store
    from ..telemetry.metrics import Metrics
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
    parser.add_argument("--resume", action="store_true", help="go on with FILE's newest unfinished run")
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

    from ..actors.convoys.callables import importable_from
    from ..actors.convoys.reading import read_convoy, whole_path
    from .runview import view_on

    file, settings = Path(args.file), _settings(args.set)
    with ExitStack() as stack:
        stack.enter_context(importable_from(whole_path(file).parent))
        convoy = read_convoy(file, settings)
        listener = _listener(args, stack)
        store = stack.enter_context(opened_store(args, create=True))
        job = Job(store, file, settings, convoy, _logs(args), listener)
        if args.resume and (over := job.resume()):
            return _finish(args, out, over, job)
        with view_on(out, as_json=args.json) as view:
            report = trio.run(job.play, view)
    return _finish(args, out, report, job)


@define
class Job:
    """One run in this process. ``signal`` is what interrupted it, if anything did."""

    store: Store
    file: Path
    settings: dict[str, str]
    convoy: Convoy
    logs: Path
    listener: socket.socket | None = None
    run: RunRecord | None = None
    signal: int | None = None
    report: Report | None = None

    @property
    def log_folder(self) -> Path:
        """Where the output of this run's tasks is."""
        assert self.run is not None, "it is known once the run was entered or found"
        return self.logs / self.run.id

    def resume(self) -> Report | None:
        """Take up the file's newest unfinished run; a file without any run begins its first.

        If the newest run is over, its report is the answer: nothing is left to do. Raises
        ``BadInput`` if the file or its inputs are not those that the run began with.
        """
        from ..actors.convoys.ledger import Ledger
        from ..actors.convoys.reading import read_convoy, whole_path

        ledger, file = Ledger(self.store), str(whole_path(self.file))
        self.run = ledger.newest(file, unfinished=True)
        if self.run is None:
            self.run = ledger.newest(file, unfinished=False)
            return ledger.report(self.run.id) if self.run else None
        if not self.settings:
            self.convoy = read_convoy(self.file, self.run.settings)
        plan = ledger.plan(self.run.id)
        if plan is not None and plan != self.convoy:
            raise BadInput(
                f"{self.file} is not what run {self.run.id} began with",
                "its tasks or inputs have changed since",
                "undo the change, or begin a new run without --resume",
            )
        return None

    async def play(self, view: View) -> Report:
        """Play the run to its end, or until SIGINT or SIGTERM; a second signal does not wait."""
        import trio

        from ..actors.system import open_postroom
        from ..telemetry.metrics import Metrics

        metrics = Metrics(self.store, roles=("manager", "convoy-worker"))
        try:
            async with (
                open_postroom(self.store, observer=metrics) as office,
                trio.open_nursery() as nursery,
            ):
                stop = trio.Event()
                await nursery.start(self._hear, stop, nursery.cancel_scope)
                if self.listener is not None:
                    await nursery.start(_serve, self.listener, metrics, view)
                self.report = await self._play(office, stop, view)
                nursery.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            raise _only_cause(group) from group
        return self._outcome()

    async def _play(self, office: System, stop: trio.Event, view: View) -> Report:
        from ..actors.convoys.ledger import RunRecord
        from ..actors.convoys.playing import enter, play
        from ..actors.convoys.reading import whole_path
        from ..mailbox.ids import id_text

        if self.run is None:
            run = RunRecord(id_text(office.ids.new()), str(whole_path(self.file)), self.settings)
            await enter(office, run)
            self.run = run
        self.log_folder.mkdir(parents=True, exist_ok=True)
        return await play(office, self.run.id, self.convoy, self.log_folder, stop=stop, watch=view.show)

    async def _hear(
        self,
        stop: trio.Event,
        scope: trio.CancelScope,
        task_status: trio.TaskStatus[None],
    ) -> None:
        """The first signal stops the convoy, the second this process."""
        import trio

        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            self.signal = await anext(signals)
            stop.set()
            await anext(signals)
            scope.cancel()

    def _outcome(self) -> Report:
        """What there is to report, also when the process was stopped before it could ask."""
        from ..actors.convoys.ledger import Ledger

        if self.report is None and self.run is not None:
            self.report = Ledger(self.store).report(self.run.id)
        if self.report is None:
            raise exits.Terminated if self.signal == signal.SIGTERM else KeyboardInterrupt
        return self.report


def _only_cause(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that nurseries have wrapped, where it is only one."""
    error: BaseException = group
    causes: tuple[BaseException, ...] = group.exceptions
    while len(causes) == 1:
        error = causes[0]
        causes = getattr(error, "exceptions", ())
    return error


async def _serve(
    listener: socket.socket, metrics: Metrics, view: View, task_status: trio.TaskStatus[None]
) -> None:
    import trio

    from ..telemetry.http import metrics_app
    from ..telemetry.listener import serve_on

    async with trio.open_nursery() as nursery:
        nursery.start_soon(metrics.watch_loop)
        url = await nursery.start(serve_on, listener, metrics_app(metrics))
        view.say(f"metrics at {url}/metrics")
        task_status.started()


def _settings(given: list[str]) -> dict[str, str]:
    settings: dict[str, str] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise BadInput(f"--set {text}", "it takes the form K=V", "for example --set out=/tmp/release")
        settings[key] = value
    return settings


def _listener(args: Namespace, stack: ExitStack) -> socket.socket | None:
    """The open socket for the metrics, so that a busy port is known before anything is changed."""
    if args.metrics is None:
        return None
    from ..telemetry.listener import listen, parse_listen

    host, port = parse_listen(args.metrics or args.settings.listen)
    return stack.enter_context(listen(host, port))


def _logs(args: Namespace) -> Path:
    """The folder for what tasks print: beside the store."""
    return store_path(args.settings.store).absolute().parent / "runs"


def _finish(args: Namespace, out: TextIO, report: Report, job: Job) -> int:
    """Write how it ended; the exit code of the contract."""
    if args.json:
        render.emit(out, {**report.view(), "logs": str(job.log_folder)})
    else:
        from .runview import summary

        again = shlex.join(["postroom", "run", args.file, "--resume", "--store", job.store.url])
        summary(out, report, job.log_folder, again)
    if report.status == "done":
        return exits.DONE
    if report.status == "failed":
        return exits.FAILED
    return exits.TERMINATED if job.signal == signal.SIGTERM else exits.INTERRUPTED
