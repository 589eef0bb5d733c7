"""Harm at each message of the protocol, one exchange after the other: no answer may be false."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

from chaos_proxy import ChaosProxy, Harm
from doubts import Doubts
from postgres_server import PostgresServer

from postroom.store.postgres.engine import open_postgres
from postroom.store.postgres.patience import Connection

from .table import Row

PATIENCE_SECONDS, STALL_SECONDS = 0.4, 0.1
SEVERAL = {Harm.CUT: 1, Harm.TEAR: 1, Harm.STALL: 4, Harm.DELAY: 12, Harm.TRICKLE: 12, Harm.DARK: 6}
"""Every how many messages: what takes time is not done at all of them, but each time at others."""
CONNECTING_SELDOM = 4


def prove_exchanges(server: PostgresServer, harm: Harm, offset: int, tell: Callable[[str], None]) -> Row:
    """Send, claim and settle with this harm on the link; an exchange is one unit."""
    row = Row(f"a link at each message of send, claim and settle: {harm.value}", 1)
    Connection.patience = PATIENCE_SECONDS  # of this process only
    schema = f"e{uuid4().hex[:12]}"
    near = open_postgres(server.url(schema), create=True)
    try:
        with ChaosProxy(server.base, stall_seconds=STALL_SECONDS) as proxy:
            far = open_postgres(proxy.url(schema), create=False)
            doubts = Doubts(proxy, far, near)
            for act in (doubts.connect_and_send, doubts.send, doubts.claim, doubts.settle):
                step = SEVERAL[harm]
                if act == doubts.connect_and_send:
                    if harm is Harm.DARK:
                        continue  # each would wait for as long as one may wait for a server
                    step *= CONNECTING_SELDOM
                row.amount += doubts.everywhere(act, harm, step, first=offset % step)
                tell(f"{harm.value} {act.__name__}, {row.amount} exchanges")
            far.close()
        row.wrong = doubts.judge()
    finally:
        near.close()
    row.wanted, row.jobs = row.amount, row.amount
    names = ("answered", "refused", "unknown")
    row.told = {f"exchanges {name}": getattr(doubts, name) for name in names}
    return row
