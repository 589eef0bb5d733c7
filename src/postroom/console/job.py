"""One run in this process: entered or taken up, given its first orders, and played to its end."""

from __future__ import annotations

import signal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import define

from ..store.errors import BadInput, Conflict
from . import exits

if TYPE_CHECKING:
    import socket

    import trio

    from ..actors.convoys.entering import RunRecord
    from ..actors.convoys.ledger import Ledger, Report
    from ..actors.convoys.plan import Convoy
    from ..actors.convoys.record.guard import Breach
    from ..actors.system import System
    from ..store.port import Store
    from ..telemetry.metrics import Metrics
    from .runview import View

ROLES = ("manager", "convoy-worker", "convoy-checker", "convoy-reviewing")


@define
class Job:
    """One run in this process. ``ledger`` reads its ``store``.

    ``orders`` are given to the run before it is played. ``signal`` is what interrupted it, if anything
    did; ``breaches`` what its guard has found.
    """

    store: Store
    ledger: Ledger
    file: Path
    settings: dict[str, str]
    convoy: Convoy
    logs: Path
    orders: tuple[object, ...] = ()
    listener: socket.socket | None = None
    run: RunRecord | None = None
    signal: int | None = None
    report: Report | None = None
    breaches: tuple[Breach, ...] = ()

    @property
    def log_folder(self) -> Path:
        """Where the output of this run's tasks is."""
        assert self.run is not None, "it is known once the run was entered or found"
        return self.logs / self.run.id

    def resume(self, *, over: bool = False) -> Report | None:
        """Take up the file's newest unfinished run; a file without any run begins its first.

        If the newest run is over, its report is the answer: nothing is left to do. With ``over`` the
        newest run is taken up also then, and there has to be one. Raises ``BadInput`` if the file or its
        inputs are not those that the run began with, ``UnknownRun``, and ``Conflict`` if orders are to be
        given to a run that is played.
        """
        from ..actors.convoys.finding import UnknownRun
        from ..actors.convoys.living import player_of
        from ..actors.convoys.spec.reading import read_convoy, whole_path

        ledger, file = self.ledger, str(whole_path(self.file))
        self.run = ledger.newest(file, unfinished=True)
        if self.run is None:
            self.run = ledger.newest(file, unfinished=False)
            if self.run is None and over:
                raise UnknownRun(f"{self.file} has no run", "nobody has run it on this store", "begin one")
            if self.run is None or not over:
                return ledger.report(self.run.id) if self.run else None
        if self.orders and player_of(self.store, self.run.id):
            raise Conflict(
                f"run {self.run.id} is being played",
                "another process does it",
                "order it: postroom retry, allow",
            )
        if not self.settings:
            self.convoy = read_convoy(self.file, self.run.settings)
        plan = ledger.plan(self.run.id)
        if plan is not None and _as_declared(plan) != _as_declared(self.convoy):
            raise BadInput(
                f"{self.file} is not what run {self.run.id} began with",
                "its tasks or inputs have changed since",
                "undo the change, or begin a new run without --resume",
            )
        self.convoy = plan or self.convoy
        return None

    async def play(self, view: View) -> Report:
        """Play the run to its end, or until SIGINT or SIGTERM; a second signal does not wait."""
        import trio

        from ..actors.convoys.wires import convoy_wire
        from ..actors.system import open_postroom
        from ..telemetry.metrics import Metrics

        metrics = Metrics(self.store, roles=ROLES)
        try:
            async with (
                open_postroom(self.store, observer=metrics, wire=convoy_wire()) as office,
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
        return await self._outcome()

    def check(self) -> None:
        """Have the guard look over a run that has ended, once nobody plays it any more."""
        from ..actors.convoys.record.guard import guard
        from ..actors.convoys.record.ndjson import NAME
        from ..actors.convoys.rules.states import is_over

        if self.run is not None and self.report is not None and is_over(self.report.status):
            self.breaches = tuple(guard(self.store, self.run.id, self.log_folder / NAME))

    async def _play(self, office: System, stop: trio.Event, view: View) -> Report:
        from ..actors.convoys.ordering import give
        from ..actors.convoys.playing import play
        from ..store.looking import look

        run = self.run = self.run or await self._enter(office)
        before = await look(self.store, partial(self.ledger.report, run.id))
        if before is not None:
            view.recall(before)
        for order in self.orders:
            await give(office, run.id, order)
        await self._make_inboxes(office)
        self.log_folder.mkdir(0o700, parents=True, exist_ok=True)
        return await play(
            office, run.id, self.convoy, self.log_folder, stop=stop, watch=view.show, ledger=self.ledger
        )

    async def _enter(self, office: System) -> RunRecord:
        from ..actors.convoys.entering import RunRecord, enter
        from ..actors.convoys.spec.reading import whole_path
        from ..actors.convoys.spec.writing import resolved
        from ..mailbox.ids import id_text

        run = RunRecord(id_text(office.ids.new()), str(whole_path(self.file)), self.settings)
        await enter(office, run, self.convoy, resolved(self.convoy))
        return run

    async def _make_inboxes(self, office: System) -> None:
        """The inboxes that the file names: who pulls from them may come later than what is for them."""
        from ..store.records import InboxSpec, Register

        named = {agent.inbox for agent in self.convoy.agents}
        named |= {reviewer.inbox for reviewer in self.convoy.reviewing.reviewers}
        await office.commit.submit(Register(tuple(map(InboxSpec, sorted(named - {""})))))

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

    async def _outcome(self) -> Report:
        """What there is to report, also when the process was stopped before it could ask."""
        from ..store.looking import look

        if self.report is None and self.run is not None:
            self.report = await look(self.store, partial(self.ledger.report, self.run.id))
        if self.report is None:
            raise exits.Terminated if self.signal == signal.SIGTERM else KeyboardInterrupt
        return self.report


def _as_declared(plan: Convoy) -> Convoy:
    """A plan without what was added while it ran, and without what this machine makes of ``auto``."""
    from attrs import evolve

    return evolve(plan, concurrency=1, tasks=tuple(task for task in plan.tasks if not task.source))


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
