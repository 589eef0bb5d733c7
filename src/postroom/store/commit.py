"""Group commit: the operations of many tasks become one transaction.

One task owns the writing side of a store. It takes what has gathered, executes the statements on
the event loop (a worker thread would fight it for the interpreter at every row) and commits:
right here when the batch is small and the disk is quick, in a thread otherwise, so that the loop
goes on preparing the next batch while the disk works.

What a caller may rely on:

* an operation whose answer was delivered is durable;
* an operation cancelled before its batch began never happens; later its outcome is unknown to the
  caller, and a settlement is shielded, so that its answer always arrives;
* an error of the storage is given to every operation of its batch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from random import Random

import trio
from outcome import Value

from .clock import MICROS
from .errors import OutcomeUnknown, PostroomError, StoreBusy, StoreUnavailable
from .events import BatchCommitted, CommitFailed, ignore
from .port import Store
from .records import Answer, Operation, Result, Send, Settle
from .transact import transact

MAX_BATCH = 1000
"""Operations in one transaction at most: bounds how long others wait for the lock."""

LEAST_BATCH = 16
"""The same after a failure, doubled with each success: on a disk that is full, what is small still fits."""

INLINE_OPERATIONS = 8
INLINE_SECONDS = 0.001
"""A batch up to this size is committed on the loop while commits take less than this."""

HOLD_SECONDS = 0.020
YIELD_SECONDS = 0.001
"""The write lock has no queue. After 20 ms of back-to-back commits it is left alone for 1 ms, so
that a process that naps between tries gets its turn."""

PATIENCE_SECONDS = 0.002
"""How long an operation for which nobody waits may wait for company."""

BUSY_SECONDS = 5.0
FIRST_NAP, LONGEST_NAP = 0.0003, 0.005


class _Entry:
    """One operation on its way, and whom to tell."""

    __slots__ = ("done", "operation", "started", "task")

    def __init__(self, operation: Operation, done: Callable[[Answer], None]) -> None:
        self.operation = operation
        self.done = done
        self.started = False
        self.task: trio.lowlevel.Task | None = None

    def answer(self, answer: Answer) -> None:
        """Tell whoever asked, and wake the task that waits for just this."""
        self.done(answer)
        if self.task is not None:
            trio.lowlevel.reschedule(self.task, Value(answer))


class _Crowd:
    """A task that waits for the answers to several operations."""

    __slots__ = ("answers", "cancelled", "missing", "task")

    def __init__(self, task: trio.lowlevel.Task, size: int) -> None:
        self.task = task
        self.answers: list[Answer | None] = [None] * size
        self.missing = size
        self.cancelled = False


class _Member:
    """One of the operations of a crowd."""

    __slots__ = ("crowd", "n", "operation", "started")

    def __init__(self, operation: Operation, crowd: _Crowd, n: int) -> None:
        self.operation = operation
        self.crowd = crowd
        self.n = n
        self.started = False

    def answer(self, answer: Answer) -> None:
        """Keep the answer; the last one wakes the task."""
        crowd = self.crowd
        crowd.answers[self.n] = answer
        crowd.missing -= 1
        if not crowd.missing and not crowd.cancelled:
            trio.lowlevel.reschedule(crowd.task)


class GroupCommit:
    """The committing side of one store, for one trio program."""

    def __init__(
        self,
        store: Store,
        *,
        observer: Callable[[object], None] = ignore,
        rng: Random | None = None,
    ) -> None:
        self.store = store
        self._observer = observer
        self._rng = rng or Random(0)
        self._waiting: deque[_Entry | _Member] = deque()
        self._patient: list[_Entry] = []
        self._sleeper: trio.lowlevel.Task | None = None
        self._commit_seconds = 0.0
        self._last_size = 0
        self._most = MAX_BATCH
        self._held_since = 0.0
        self._closed: StoreUnavailable | None = None
        self._suspect = False
        self.on_rung: Callable[[set[str]], None] = ignore
        self.on_doubt: Callable[[object], None] = ignore
        self.on_delayed: Callable[[set[int]], None] = ignore

    # Callers

    async def submit(self, operation: Operation, heard: Callable[[Answer], None] = ignore) -> Result:
        """Have one operation committed; raises the ``PostroomError`` that answers it.

        Cancelled while it waits for its batch, the operation never happens. Cancelled later, a
        settlement still waits for its answer and anything else has an unknown outcome.

        ``heard`` is given the answer as soon as there is one, before this task runs again and also if
        it is cancelled; for an operation that never happens, a ``StoreUnavailable``.
        """
        if self._closed is not None:
            heard(self._closed)
            raise self._closed
        task = trio.lowlevel.current_task()
        entry = _Entry(operation, heard)
        entry.task = task
        self._waiting.append(entry)
        self._wake()

        def abort(_: object) -> trio.lowlevel.Abort:
            if entry.started and type(operation) is Settle:
                return trio.lowlevel.Abort.FAILED
            entry.task = None
            if not entry.started:
                self._waiting.remove(entry)
                heard(StoreUnavailable("the operation was withdrawn", "its caller was cancelled", ""))
            return trio.lowlevel.Abort.SUCCEEDED

        answer: Answer = await trio.lowlevel.wait_task_rescheduled(abort)
        if isinstance(answer, PostroomError):
            raise answer
        return answer

    async def submit_many(self, operations: Sequence[Operation]) -> list[Answer]:
        """Have operations committed, in one transaction or several; errors are among the answers.

        Cancellation is that of ``submit``, for those whose batch has not begun.
        """
        if not operations:
            await trio.lowlevel.checkpoint()
            return []
        return await self._wait(operations)

    def submit_nowait(
        self, operation: Operation, done: Callable[[Answer], None], *, patient: bool = False
    ) -> None:
        """Queue an operation; ``done`` gets its answer on the event loop and must not raise or block.

        A ``patient`` operation, for which nobody waits, joins the next batch, or makes one of its own
        after ``PATIENCE_SECONDS``.
        """
        if self._closed is not None:
            done(self._closed)
            return
        if patient:
            self._patient.append(_Entry(operation, done))
            if self._sleeper is None or len(self._patient) > 1:
                return
        else:
            self._waiting.append(_Entry(operation, done))
        self._wake()

    async def _wait(self, operations: Sequence[Operation]) -> list[Answer]:
        if self._closed is not None:
            raise self._closed
        crowd = _Crowd(trio.lowlevel.current_task(), len(operations))
        entries = [_Member(operation, crowd, n) for n, operation in enumerate(operations)]
        self._waiting.extend(entries)
        self._wake()

        def abort(_: object) -> trio.lowlevel.Abort:
            if any(entry.started and type(entry.operation) is Settle for entry in entries):
                return trio.lowlevel.Abort.FAILED
            for entry in entries:
                if not entry.started:
                    self._waiting.remove(entry)
            crowd.cancelled = True
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)
        return [answer for answer in crowd.answers if answer is not None]

    def _wake(self) -> None:
        if self._sleeper is not None:
            sleeper, self._sleeper = self._sleeper, None
            trio.lowlevel.reschedule(sleeper)

    # The committing task

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Commit until cancelled. What waits then is answered ``StoreUnavailable``: it never happened."""
        task_status.started()
        try:
            while True:
                await self._gather()
                await self._commit(self._take())
        finally:
            self._close()

    def _close(self) -> None:
        self._closed = StoreUnavailable("the store is closed", "its program is shutting down", "")
        left, self._patient = [*self._patient, *self._waiting], []
        self._waiting.clear()
        for entry in left:
            entry.answer(self._closed)

    async def _gather(self) -> None:
        """Wait until there is work. Under load, let one more round of tasks add theirs."""
        if self._waiting:
            await trio.lowlevel.checkpoint()
        else:
            self._held_since = 0.0
            if not self._patient:
                await self._sleep()
            if not self._waiting:
                with trio.move_on_after(PATIENCE_SECONDS):
                    await self._sleep()
        if self._last_size > INLINE_OPERATIONS:
            await trio.lowlevel.checkpoint()

    async def _sleep(self) -> None:
        def abort(_: object) -> trio.lowlevel.Abort:
            self._sleeper = None
            return trio.lowlevel.Abort.SUCCEEDED

        self._sleeper = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(abort)

    def _take(self) -> list[_Entry | _Member]:
        waiting = self._waiting
        batch: list[_Entry | _Member] = [*self._patient[: self._most]]
        batch += [waiting.popleft() for _ in range(min(len(waiting), self._most))]
        del self._patient[: self._most]
        for entry in batch:
            entry.started = True
        self._last_size = len(batch)
        return batch

    async def _commit(self, batch: list[_Entry | _Member]) -> None:
        """One transaction. Shielded: once begun, a batch is brought to its end."""
        if not batch:
            return
        answers: Sequence[Answer] = ()
        with trio.CancelScope(shield=True):
            try:
                answers = await self._transact(batch)
                self._most = min(2 * self._most, MAX_BATCH)
            except StoreUnavailable as error:
                self._most = LEAST_BATCH
                self._observer(CommitFailed(error.code))
                if isinstance(error, OutcomeUnknown):
                    self.on_doubt(error)
                answers = [error] * len(batch)
        for entry, answer in zip(batch, answers, strict=True):
            entry.answer(answer)
        rung = self.store.rung()
        if rung:
            self.on_rung(rung)
        delays = {delay for entry in batch for delay in _delays_of(entry.operation) if delay}
        if delays:
            self.on_delayed(delays)
        await self._yield_lock()

    async def _transact(self, batch: list[_Entry | _Member]) -> list[Answer]:
        if self._suspect:
            if self.store.is_remote:
                await trio.to_thread.run_sync(self.store.reopen)
            else:
                self.store.reopen()
            self._suspect = False
        delay = self.store.commit_delay()
        if delay:
            await trio.sleep(delay)
        operations = [entry.operation for entry in batch]
        started = trio.current_time()
        in_thread = self.store.is_remote or self._wants_thread(len(batch))
        try:
            if self.store.is_remote:
                answers = await trio.to_thread.run_sync(transact, self.store, operations)
            else:
                started = await self._begin()
                answers = await self._change(operations, in_thread)
        except BaseException as error:
            self._suspect = isinstance(error, OutcomeUnknown)
            raise
        self._observer(BatchCommitted(len(batch), trio.current_time() - started, in_thread))
        return answers

    async def _change(self, operations: list[Operation], in_thread: bool) -> list[Answer]:
        try:
            answers = self.store.apply(operations)
            await self._make_durable(in_thread)
        except BaseException:
            self.store.rollback()
            raise
        return answers

    async def _make_durable(self, in_thread: bool) -> None:
        if in_thread:
            seconds = await trio.to_thread.run_sync(self._timed_commit)
        else:
            seconds = self._timed_commit()
        self._commit_seconds += 0.2 * (seconds - self._commit_seconds)

    def _timed_commit(self) -> float:
        """Commit; answers what the device took, without the waiting for threads around it."""
        clock = self.store.clock
        started = clock.now().boot
        self.store.commit()
        return (clock.now().boot - started) / MICROS

    def _wants_thread(self, size: int) -> bool:
        quick = size <= INLINE_OPERATIONS and self._commit_seconds < INLINE_SECONDS
        return self.store.commits_in_thread and not quick

    async def _begin(self) -> float:
        """Take the write lock, napping while another process has it; answers when it was had."""
        nap, waited = FIRST_NAP, 0.0
        while True:
            try:
                self.store.begin()
            except StoreBusy:
                if waited >= BUSY_SECONDS:
                    raise
            else:
                return trio.current_time()
            pause = nap * (0.5 + self._rng.random())
            await trio.sleep(pause)
            waited += pause
            nap = min(nap * 1.5, LONGEST_NAP)

    async def _yield_lock(self) -> None:
        now = trio.current_time()
        if not self._held_since:
            self._held_since = now
        elif now - self._held_since > HOLD_SECONDS and self._waiting:
            await trio.sleep(YIELD_SECONDS)
            self._held_since = trio.current_time()


def _delays_of(operation: Operation) -> Iterable[int]:
    """For how long an operation puts mail aside, in microseconds; 0 or nothing for what goes at once."""
    if type(operation) is Send:
        return (operation.message.delay_us,)
    if type(operation) is Settle:
        delays = [output.message.delay_us for output in operation.outputs]
        return [operation.delay_us, *delays] if operation.delay_us else delays
    return ()
