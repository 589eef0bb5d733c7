"""Calls of functions that may block: each has a thread for itself, and those that are quick share one.

A function holds the interpreter while it runs, so a thread that is woken for each call costs more than a
short call itself. Here a thread goes on with the next call when it has done one, and each brings one more
along while calls wait: those go to work if the first is held up, and else find nothing left.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from threading import Lock
from typing import Any, TypeVar

import outcome
import trio

T = TypeVar("T")


class _Call:
    """A function on its way, and the task that waits for it; None once nobody does."""

    __slots__ = ("context", "function", "outcome", "task")

    def __init__(self, function: Callable[[], Any], task: trio.lowlevel.Task) -> None:
        self.function = function
        self.context: Context = copy_context()
        self.task: trio.lowlevel.Task | None = task
        self.outcome: outcome.Outcome[Any] | None = None


class Calls:
    """The calls of one trio program. There are as many threads as calls that block at the same time."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: deque[_Call] = deque()
        self._ended: list[_Call] = []
        self._thread_comes = self._told = False

    async def make(self, function: Callable[[], T]) -> T:
        """What a function answers, or raises, in a thread.

        Cancelled, a call that was begun is left alone, for no thread can be killed: nobody hears what
        comes of it. One that was not begun never is.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        call = _Call(function, trio.lowlevel.current_task())
        token = trio.lowlevel.current_trio_token()
        with self._lock:
            self._waiting.append(call)
            comes, self._thread_comes = self._thread_comes, True
        if not comes:
            self._bring(token)

        def abort(_: object) -> trio.lowlevel.Abort:
            call.task = None
            return trio.lowlevel.Abort.SUCCEEDED

        answer: T = await trio.lowlevel.wait_task_rescheduled(abort)
        return answer

    def _bring(self, token: trio.lowlevel.TrioToken) -> None:
        trio.lowlevel.start_thread_soon(lambda: self._work(token), lambda ended: ended.unwrap())

    def _work(self, token: trio.lowlevel.TrioToken) -> None:
        """In a thread: make calls until none waits."""
        with self._lock:
            self._thread_comes = False
        self._tell(token)  # what a thread has ended that may be held up by now
        while (call := self._next(token)) is not None:
            if call.task is not None:
                call.outcome = outcome.capture(call.context.run, call.function)
                with self._lock:
                    self._ended.append(call)
        self._tell(token)

    def _next(self, token: trio.lowlevel.TrioToken) -> _Call | None:
        """The call that has waited longest. While more wait, another thread is on its way."""
        with self._lock:
            if not self._waiting:
                return None
            call = self._waiting.popleft()
            bring = bool(self._waiting) and not self._thread_comes
            self._thread_comes |= bring
        if bring:
            self._bring(token)
        return call

    def _tell(self, token: trio.lowlevel.TrioToken) -> None:
        """Have the event loop woken for all that has ended; once, until it has heard."""
        with self._lock:
            tell = bool(self._ended) and not self._told
            self._told |= tell
        if tell:
            try:
                token.run_sync_soon(self._hear)
            except trio.RunFinishedError:  # calls that were left alone have outlived their program
                return

    def _hear(self) -> None:
        """On the event loop: wake those whose calls have ended."""
        with self._lock:
            ended, self._ended, self._told = self._ended, [], False
        for call in ended:
            if call.task is not None and call.outcome is not None:
                trio.lowlevel.reschedule(call.task, call.outcome)
