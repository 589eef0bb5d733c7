"""Harm at each message of the protocol, one exchange after the other: no answer may be false."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from uuid import uuid4

from chaos_proxy import ChaosProxy, Harm
from doubts import Doubts
from postgres_server import PostgresServer

from postroom.store.postgres.engine import open_postgres
from postroom.store.postgres.patience import Connection

from .table import Row

SILENCE_SECONDS, STALL_SECONDS = 0.25, 0.1
PATIENCE_SECONDS = 5.0
"""For an answer, where it is late but comes: what waits longer is no better on a machine that is busy."""

PASSES = {Harm.CUT: 1, Harm.TEAR: 1, Harm.STALL: 4, Harm.DELAY: 4, Harm.TRICKLE: 4, Harm.DARK: 4}
"""In how many passes all messages are harmed. What takes time has several, for after the first there may be
none left for more.
"""
CONNECTING_SELDOM = 4
"""Links that are just being made are harmed at every so many of the messages of one pass."""


class Exchanges:
    """All exchanges of one store, over links that have one kind of harm."""

    def __init__(self, doubts: Doubts, harm: Harm) -> None:
        self.harm = harm
        self.row = Row(f"a link at each message of send, claim and settle: {harm.value}", 1)
        self.passes = 0
        self._doubts = doubts

    @property
    def whole(self) -> bool:
        return self.passes == PASSES[self.harm]

    def another_pass(self, offset: int) -> None:
        """Harm every so many messages, others than in the passes before."""
        doubts, harm, step = self._doubts, self.harm, PASSES[self.harm]
        Connection.patience = SILENCE_SECONDS if harm is Harm.DARK else PATIENCE_SECONDS  # of this process
        try:
            if not self.passes and harm is not Harm.DARK:  # each would wait as long as one may for a server
                seldom = CONNECTING_SELDOM * step
                self._amount(doubts.everywhere(doubts.connect_and_send, harm, seldom, offset % seldom))
            for act in (doubts.send, doubts.claim, doubts.settle):
                self._amount(doubts.everywhere(act, harm, step, self.passes))
        except AssertionError as error:
            self.row.stuck += 1
            self.row.wrong.append(str(error))
        self.passes += 1

    def judge(self) -> Row:
        """What has come of it."""
        row, doubts = self.row, self._doubts
        row.wrong += doubts.judge()
        row.wanted = row.jobs = row.amount
        row.told = {f"exchanges {name}": getattr(doubts, name) for name in ("answered", "refused", "unknown")}
        if not self.whole:
            row.notes = [f"{self.passes} of {PASSES[self.harm]} passes: time was over"]
        return row

    def _amount(self, harmed: int) -> None:
        self.row.amount += harmed


@contextmanager
def doubting(server: PostgresServer) -> Generator[Doubts]:
    """A store that is reached by a proxy of its own."""
    schema = f"e{uuid4().hex[:12]}"
    with ExitStack() as stack:
        near = open_postgres(server.url(schema), create=True)
        stack.callback(near.close)
        proxy = stack.enter_context(ChaosProxy(server.base, stall_seconds=STALL_SECONDS))
        far = open_postgres(proxy.url(schema), create=False)
        stack.callback(far.close)
        yield Doubts(proxy, far, near)


def prove_exchanges(
    server: PostgresServer, offset: int, tell: Callable[[str], None], over: Callable[[], bool]
) -> list[Row]:
    """Send, claim and settle with each harm at each message; an exchange is one unit.

    Once time is ``over`` no pass is begun but the first of each harm.
    """
    with ExitStack() as stack:
        all = [Exchanges(stack.enter_context(doubting(server)), harm) for harm in Harm]
        for number in range(max(PASSES.values())):
            for one in all:
                if not one.whole and not (number and over()):
                    one.another_pass(offset)
                    tell(f"{one.harm.value}, pass {one.passes}, {one.row.amount} exchanges")
        return [one.judge() for one in all]
