"""Does a big store cost more? The engine with much waiting, and with many inboxes.

Both rows speak to the store port in batches of 200, so that no event loop and no command hides
what the engine does, and alternate between a small and a big store after every batch.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

from ..mailbox.ids import IdMaker
from ..store.clock import SystemClock
from ..store.errors import PostroomError
from ..store.process import this_process
from ..store.records import (
    Claim,
    Claimed,
    Delivery,
    InboxSpec,
    NewMessage,
    OpenSession,
    Operation,
    Register,
    Result,
    Send,
    Session,
    Settle,
    Verdict,
)
from ..store.transact import transact
from ..store.urls import open_store
from .figures import padding, quantile, raw_body
from .ground import ROOMY, new_url
from .rows import Measured, Params

BATCH = 200
FILL_BATCH = 2000


class Engine:
    """One store with some inboxes, and the three steps of a message's life as batches."""

    def __init__(self, url: str, inboxes: int, params: Params) -> None:
        clock = SystemClock()
        self._store = open_store(url, create=True)
        self._ids = IdMaker(clock, random.Random(1))
        self._choose = random.Random(2)
        self._pad = padding(raw_body(1_000_000, ""), params.body_bytes)
        self._serial = 1_000_000
        self._addresses = [f"bench/{n}" for n in range(inboxes)]
        specs = [InboxSpec(address, bound=ROOMY) for address in self._addresses]
        for start in range(0, inboxes, FILL_BATCH):
            self._apply([Register(tuple(specs[start : start + FILL_BATCH]))])
        (session,) = self._apply([OpenSession("bench", "bench", this_process(), 600_000_000)])
        assert isinstance(session, Session)
        self._session = session.id

    def send(self, count: int) -> list[str]:
        """Send to inboxes chosen at random; the recipients."""
        messages = [self._new() for _ in range(count)]
        self._apply([Send(message) for message in messages])
        return [message.recipient for message in messages]

    def claim_and_ack(self, inboxes: Sequence[str], count: int = BATCH) -> int:
        """Two commits; how many messages were claimed and acknowledged."""
        names = tuple(dict.fromkeys(inboxes))
        (claimed,) = self._apply([Claim(names, count, session=self._session)])
        assert isinstance(claimed, Claimed)
        self._apply([self._ack(delivery) for delivery in claimed.deliveries])
        return len(claimed.deliveries)

    def fill(self, count: int, seconds: float) -> int:
        """Send ``count`` messages, or as many as ``seconds`` allow; how many it were."""
        end = time.perf_counter() + seconds
        sent = 0
        while sent < count and time.perf_counter() < end:
            batch = min(FILL_BATCH, count - sent)
            self.send(batch)
            sent += batch
        return sent

    def close(self) -> None:
        self._store.close()

    def _ack(self, delivery: Delivery) -> Settle:
        return Settle(delivery.id, delivery.fence, Verdict.ACK, seq=delivery.seq)

    def _new(self) -> NewMessage:
        self._serial += 1
        body = raw_body(self._serial, self._pad)
        recipient = self._choose.choice(self._addresses)
        return NewMessage(self._ids.new(), recipient, "operator/bench", "Job", body)

    def _apply(self, batch: Sequence[Operation]) -> list[Result]:
        results: list[Result] = []
        for answer in transact(self._store, batch):
            if isinstance(answer, PostroomError):
                raise answer
            results.append(answer)
        return results


def claim_depth(params: Params) -> Measured:
    """Claim and ack with very many messages waiting in the inbox, against few."""
    few, many = min(1_000, params.waiting), params.waiting
    shallow = Engine(new_url(params, "shallow"), 1, params)
    deep = Engine(new_url(params, "deep"), 1, params)
    shallow.fill(few, params.fill_seconds)
    waiting = deep.fill(many, params.fill_seconds)
    samples: dict[Engine, list[float]] = {shallow: [], deep: []}
    end = time.perf_counter() + params.seconds
    while time.perf_counter() < end:
        for engine, taken in samples.items():
            began = time.perf_counter()
            count = engine.claim_and_ack(["bench/0"])
            taken.append((time.perf_counter() - began) / count)
            engine.send(count)
    shallow.close()
    deep.close()
    shallow_cost, deep_cost = (quantile(taken, 0.5) for taken in samples.values())
    return Measured(
        shallow_cost / deep_cost,
        {"waiting": waiting, "shallow_per_s": 1 / shallow_cost, "deep_per_s": 1 / deep_cost},
    )


def inbox_cost(params: Params) -> Measured:
    """Send, claim and ack of one message with very many inboxes, against one inbox."""
    one = Engine(new_url(params, "one"), 1, params)
    many = Engine(new_url(params, "many"), params.inboxes, params)
    samples: dict[Engine, list[float]] = {one: [], many: []}
    end = time.perf_counter() + params.seconds
    while time.perf_counter() < end:
        for engine, taken in samples.items():
            began = time.perf_counter()
            count = engine.claim_and_ack(engine.send(BATCH))
            taken.append((time.perf_counter() - began) / count)
    one.close()
    many.close()
    one_cost, many_cost = (quantile(taken, 0.5) for taken in samples.values())
    return Measured(
        many_cost / one_cost,
        {"inboxes": params.inboxes, "one_us": one_cost * 1e6, "many_us": many_cost * 1e6},
    )
