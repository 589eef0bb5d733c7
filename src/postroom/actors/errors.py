"""What a handler raises to say how its message should be settled."""

from __future__ import annotations


class Reject(Exception):
    """The message can never be handled: it is dead at once, with this reason."""


class RetryAfter(Exception):
    """Try the message again in so many seconds, instead of by the standard schedule."""

    def __init__(self, seconds: float, reason: str = "") -> None:
        super().__init__(reason or f"asked to be tried again in {seconds} s")
        self.seconds = seconds


class AskInsideTurn(RuntimeError):
    """A turn asked and waited. Its question would leave only when the turn ends: a deadlock."""

    def __init__(self) -> None:
        super().__init__(
            "ask waits for an answer that cannot come before this turn ends. "
            "Instead: self.send('counter/main', CountWords(path)) here, "
            "and a second handler, @handles(Counted) async def counted(self, answer): ..."
        )
