"""The manager of a convoy: an actor whose turns let the board judge, and do what it asks for."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager

from ...store.errors import PostroomError
from ..actor import Actor, handles
from . import keeping
from .messages import (
    Again,
    Allow,
    Askable,
    Begin,
    Bounced,
    Cancel,
    Checked,
    ConvoyChecked,
    Inject,
    Interrupt,
    Noted,
    Obeyed,
    Overdue,
    Performed,
    Refused,
    ResolveDead,
    Rested,
    Reviewed,
    Said,
    SettleDispute,
    TimeIsUp,
)
from .pulling import OVERDUE, attempt_of, bounced, result_of
from .record.secrets import redact
from .rules import attempts, coming, orders
from .rules.board import Board
from .rules.standing import Result, Standing, TaskState
from .rules.starting import go_on, time_is_up
from .rules.states import ConvoyStatus, is_over

Judge = Callable[[Board, float], Sequence[str] | None]


class Manager(Actor):
    """Plays one run of a convoy. Its address is ``manager/RUN``.

    Each turn is one verb of the board. ``ring`` is called after it, as a hint that something has
    changed; ``wall`` tells wall seconds; ``halt`` cuts short what runs here of a task. One that does not
    play only notes orders: it starts nothing, and leaves a run that could go on interrupted.
    """

    state: Standing

    def __init__(
        self,
        ring: Callable[[ConvoyStatus], None],
        wall: Callable[[], float],
        halt: Callable[[str, int], None],
        *,
        plays: bool = True,
    ) -> None:
        super().__init__()
        self._plays = plays
        self._ring = ring
        self._wall = wall
        self.halt = halt
        self._board: Board | None = None

    @property
    def run(self) -> str:
        """The id of the run."""
        return self.address.partition("/")[2]

    @asynccontextmanager
    async def _judging(self) -> AsyncGenerator[tuple[Board, float]]:
        """The board as it stands, for one verb; then what follows from that is kept and sent.

        The board is remembered from turn to turn as long as the state is the same object: a turn that
        fails, or is not kept, is given another one, and the board is read again.
        """
        board, self._board = self._board, None
        if board is None or board.standing is not self.state:
            board = await keeping.load(self.records, self.state)
        now = self._wall()
        try:
            yield board, now
        except PostroomError:  # an order that was refused before it changed anything
            self._board = board
            raise
        if not self._plays and board.status is ConvoyStatus.RUNNING and board.standing.since_first:
            coming.interrupt(board, "nobody plays it")
        go_on(board, now)
        if not self._plays:
            board.standing.since = 0.0
        keeping.keep(self, board, now)
        self._board = board
        self._ring(board.status)

    # Whoever plays the run

    @handles(Begin)
    async def begin(self, order: Begin) -> Noted:
        """Set out or go on."""
        async with self._judging() as (board, now):
            board.standing.logs = order.logs
            coming.begin(board, now)
        return Noted()

    @handles(Interrupt)
    async def interrupt(self, order: Interrupt) -> Noted:
        """Start nothing more."""
        async with self._judging() as (board, _):
            coming.interrupt(board, order.reason)
        return Noted()

    # Attempts

    @handles(Performed)
    async def performed(self, answer: Performed) -> None:
        """Judge how an attempt ended; the same answer again changes nothing."""
        async with self._judging() as (board, now):
            if answer.result is None:
                attempts.cut_short(board, answer.task, answer.attempt, "cut short")
            else:
                attempts.claimed(board, answer.task, answer.attempt, answer.result, now)

    @handles(Said)
    async def said(self, reply: Said) -> None:
        """Whoever pulls has done a task, or says why not."""

        def result(board: Board, state: TaskState, now: float) -> Result:
            began = state.tries[-1].started if state.tries else now
            return result_of(reply, now - began, board.convoy.allowed)

        await self._hear(result)

    @handles(Bounced)
    async def bounced(self, notice: Bounced) -> None:
        """Nobody is there who pulls; of other mail that bounced, nothing is heard."""

        def result(board: Board, state: TaskState, _: float) -> Result | None:
            asked = board.convoy.agent(state.agent).inbox == notice.recipient
            return bounced(notice) if asked else None

        await self._hear(result)

    async def _hear(self, made: Callable[[Board, TaskState, float], Result | None]) -> None:
        """Judge what the message of this turn says of an attempt of somebody who pulls, if it is."""
        found = attempt_of(self.message.correlation_id)
        if found is None:
            return
        async with self._judging() as (board, now):
            task, attempt = found
            state = board.tasks.get(task)
            result = made(board, state, now) if state is not None else None
            if result is not None:
                attempts.claimed(board, task, attempt, result, now)

    @handles(Overdue)
    async def overdue(self, timer: Overdue) -> None:
        """Whoever pulls has taken too long; what it says later is not heard."""
        async with self._judging() as (board, now):
            attempts.claimed(board, timer.task, timer.attempt, OVERDUE, now)

    @handles(Checked)
    async def checked(self, answer: Checked) -> None:
        """Judge what the gates and hooks have said."""
        async with self._judging() as (board, now):
            attempts.checked(board, answer.task, answer.attempt, answer.notes, now)

    @handles(Reviewed)
    async def reviewed(self, answer: Reviewed) -> None:
        """Judge what the reviewers have said."""
        async with self._judging() as (board, now):
            attempts.reviewed(
                board,
                answer.task,
                answer.attempt,
                answer.verdict,
                answer.notes,
                answer.tokens,
                now,
                panel=answer.panel,
            )

    @handles(ConvoyChecked)
    async def convoy_checked(self, answer: ConvoyChecked) -> None:
        """Judge what the hooks and gates of the whole convoy have said."""
        async with self._judging() as (board, _):
            if (answer.life, answer.look) == (board.standing.life, board.standing.looks):
                coming.convoy_checked(board, answer.point, answer.notes)

    # Timers

    @handles(Rested)
    async def rested(self, timer: Rested) -> None:
        """Go on with a task that paused."""
        async with self._judging() as (board, _):
            attempts.rested(board, timer.task, timer.attempt)

    @handles(Askable)
    async def askable(self, timer: Askable) -> None:
        """Go on with the tasks that waited for an agent."""
        async with self._judging() as (board, _):
            attempts.askable(board, timer.agent)

    @handles(TimeIsUp)
    async def time_is_up(self, _: TimeIsUp) -> None:
        """See whether the budget of time is used up."""
        async with self._judging() as (board, now):
            time_is_up(board, now)

    # Orders

    @handles(Again)
    async def again(self, order: Again) -> Obeyed | Refused:
        """Have tasks done again."""
        return await self._obey(lambda board, _: orders.again(board, order.tasks, order.by))

    @handles(Cancel)
    async def cancel(self, order: Cancel) -> Obeyed | Refused:
        """Cancel tasks."""
        return await self._obey(
            lambda board, now: orders.cancel(board, order.tasks, redact(order.reason)[0], now)
        )

    @handles(Inject)
    async def inject(self, order: Inject) -> Obeyed | Refused:
        """Add a task."""

        def judge(board: Board, _: float) -> list[str]:
            orders.inject(board, order.task, order.by, order.key)
            return [order.task.id]

        return await self._obey(judge)

    @handles(Allow)
    async def allow(self, order: Allow) -> Obeyed | Refused:
        """Add to the budget."""
        return await self._obey(lambda board, now: orders.allow(board, order.more, order.by, now))

    @handles(SettleDispute)
    async def settle_dispute(self, order: SettleDispute) -> Obeyed | Refused:
        """A person decides about a disputed task."""
        return await self._obey(
            lambda board, now: orders.settle_dispute(
                board, order.task, order.resolution, order.by, redact(order.text)[0], now
            )
        )

    @handles(ResolveDead)
    async def resolve_dead(self, order: ResolveDead) -> Obeyed | Refused:
        """Somebody has seen to a dead letter."""
        return await self._obey(
            lambda board, _: orders.resolve_dead(board, order.task, order.by, redact(order.text)[0])
        )

    async def _obey(self, judge: Judge) -> Obeyed | Refused:
        """Do what somebody orders. What is refused is refused before anything was changed."""
        try:
            async with self._judging() as (board, now):
                was_over = is_over(board.status)
                done = judge(board, now)
                reopened = was_over and not is_over(board.status)
        except PostroomError as error:
            return Refused(error.code, error.what, error.why, error.do)
        return Obeyed(tuple(done or ()), reopened)
