"""Cancelling an operation at every place where it can be cancelled, one after another."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

STEPS = 1000


class Cut(trio.abc.Instrument):
    """A scope that is cancelled after so many steps of any tasks; with 0, before its body begins.

    Between two steps of anybody the world stands still, so one cut after each number of steps is
    every cut there is: while the body waits for its turn, for a batch, for a commit, for an answer.
    """

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.scope = trio.CancelScope()
        self.fell = False
        self._left = steps

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._left -= 1
        if not self._left:
            self.fall()

    def fall(self) -> None:
        self.fell = True
        self.scope.cancel()

    async def through(self, operation: Callable[[], Awaitable[object]]) -> None:
        """Run an operation, cut off where this cut falls. Others' steps before it do not count."""
        with self.scope:
            if self.steps == 0:
                self.fall()
            trio.lowlevel.add_instrument(self)
            try:
                await operation()
            finally:
                trio.lowlevel.remove_instrument(self)


async def at_every_step(trial: Callable[[Cut], Awaitable[None]], *, least: int = 3, rounds: int = 1) -> None:
    """Try with a cut after 0, 1, 2, ... steps, until one is so late that all is over before it.

    Tasks that can run at the same time do so in any order. Where that matters, have several rounds.
    """
    for _ in range(rounds):
        await _one_round(trial, least)


async def _one_round(trial: Callable[[Cut], Awaitable[None]], least: int) -> None:
    for steps in range(STEPS):
        cut = Cut(steps)
        try:
            await trial(cut)
        except Exception as error:
            error.add_note(f"cut after {steps} steps")
            raise
        if not cut.fell:
            assert steps >= least, "nothing was cut"
            return
    raise AssertionError("it never comes to its end")
