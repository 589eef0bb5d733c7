"""How long a message takes when messages come whether or not the last one is done.

Arrivals follow a schedule drawn beforehand, a Poisson process from a fixed seed, at a share of the
throughput that the same process has just shown. Every latency counts from the moment its message
was due, not from when it was sent: a stall delays all that were due during it, and all of them say
so. That is the correction for coordinated omission, by construction; nothing is added afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import trio

from .. import Actor, System, handles, open_postroom
from ..mailbox.ids import parse_id
from ..simulation.between import between
from ..store.port import Store
from ..store.records import Operation, Settle, Verdict
from ..store.urls import open_store
from .figures import milliseconds, quantile
from .ground import INBOX, fresh_store
from .load import FIRST_SERIAL, Job, Tally, keep_sending, pad_for, sink
from .rows import Measured, Params

SEED = 11
CLOSED_SHARE = 0.13
OPEN_SHARE = 0.25
"""Shares of a row's seconds: a row asks for less than half, so that three cost little more than one."""

KEPT = 0.99
"""The schedule was kept if arrivals began at this share of the planned rate, or faster."""


def arrivals(rate: float, seconds: float, rng: Random) -> list[float]:
    """When messages are due, in seconds from the start: gaps are exponential, so bursts happen.

    There is at least one, and none is later than ``seconds``, except that one.
    """
    due = [rng.expovariate(rate)]
    while (following := due[-1] + rng.expovariate(rate)) < seconds:
        due.append(following)
    return due


class AckTimes:
    """Notes, by message id, when the commit of its acknowledgement had returned."""

    def __init__(self) -> None:
        self.at: dict[bytes, float] = {}
        self._open: list[bytes] = []

    def watch(self, store: Store) -> Store:
        """The same store, with commits that are noted."""
        return between(store, self._around)

    def _around(
        self, name: str, call: Callable[[], Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if name == "begin":
            self._open = []
        answer = call()
        if name == "apply":
            batch: Sequence[Operation] = args[0]
            self._open += [each.id for each in batch if type(each) is Settle and each.verdict is Verdict.ACK]
        elif name == "commit":
            self.at.update(dict.fromkeys(self._open, time.perf_counter()))
        return answer


class Passage:
    """The course of each message of one schedule, as seconds after the schedule began."""

    def __init__(self, due: list[float]) -> None:
        self.due = due
        self.began = time.perf_counter()
        self.ids = [""] * len(due)
        self.sent = [0.0] * len(due)
        self.handled = [0.0] * len(due)

    def measured(self, acks: AckTimes, rate: float, closed: float) -> Measured:
        """Raises ``KeyError`` for a message whose acknowledgement was never committed."""
        acked = [acks.at[parse_id(id)] - self.began for id in self.ids]
        whole = _after(self.due, acked)
        started = _after(self.due, self.handled)
        late = _after(self.due, self.sent)
        began_per_s = len(self.due) / max(self.sent)
        return Measured(
            milliseconds(whole, 0.99),
            {
                "p50_ms": milliseconds(whole, 0.5),
                "p99_ms": milliseconds(whole, 0.99),
                "p999_ms": milliseconds(whole, 0.999),
                "max_ms": max(whole) * 1000,
                "start_p50_ms": milliseconds(started, 0.5),
                "start_p99_ms": milliseconds(started, 0.99),
                "start_p999_ms": milliseconds(started, 0.999),
                "samples": len(whole),
                "closed_loop_per_s": closed,
                "asked_per_s": rate,
                "planned_per_s": len(self.due) / self.due[-1],
                "began_per_s": began_per_s,
                "acked_per_s": len(acked) / max(acked),
                "schedule_kept": float(began_per_s >= KEPT * len(self.due) / self.due[-1]),
                "driver_late_p50_ms": quantile(late, 0.5) * 1000,
                "driver_late_p99_ms": quantile(late, 0.99) * 1000,
            },
        )


def open_loop(share: float) -> Callable[[Params], Measured]:
    """The row at this share of the throughput; its value is the p99 in milliseconds."""

    def row(params: Params) -> Measured:
        closed = trio.run(_closed_loop, fresh_store(params, "closed"), params)
        return trio.run(_open_loop, fresh_store(params, "open"), params, closed, closed * share)

    return row


async def _closed_loop(url: str, params: Params) -> float:
    """Turns a second that are acknowledged on disk, with as many senders as the run has."""
    tally = Tally()
    store = open_store(url, create=False)
    pad = pad_for(params.body_bytes)
    try:
        async with open_postroom(AckTimes().watch(store)) as office:
            await office.start(INBOX, sink(tally), concurrency=params.senders)
            began = time.perf_counter()
            seconds = params.seconds * CLOSED_SHARE
            sent = await keep_sending(office, INBOX, pad, params.senders, seconds)
            await tally.reaches(len(sent))
        return len(sent) / (time.perf_counter() - began)
    finally:
        store.close()


async def _open_loop(url: str, params: Params, closed: float, rate: float) -> Measured:
    """The office has closed when the figures are made: every acknowledgement is on disk."""
    due = arrivals(rate, params.seconds * OPEN_SHARE, Random(SEED))
    acks, tally = AckTimes(), Tally()
    store = open_store(url, create=False)
    try:
        async with open_postroom(acks.watch(store)) as office:
            passage = Passage(due)
            await office.start(INBOX, _noting(passage, tally), concurrency=params.senders)
            await keep_schedule(office, passage, pad_for(params.body_bytes))
            await tally.reaches(len(due))
    finally:
        store.close()
    return passage.measured(acks, rate, closed)


def _noting(passage: Passage, tally: Tally) -> type[Actor]:
    """An actor that notes when each of its turns began."""

    class Noting(Actor):
        @handles(Job)
        async def take(self, job: Job) -> None:
            passage.handled[job.serial - FIRST_SERIAL] = time.perf_counter() - passage.began
            tally.count()

    return Noting


async def keep_schedule(office: System, passage: Passage, pad: str) -> None:
    """Begin each send when it is due, in a task of its own, whatever has become of those before.

    Where the driver is late, it begins all that is due by then at once; none is left out.
    """

    async def send(number: int) -> None:
        passage.sent[number] = time.perf_counter() - passage.began
        passage.ids[number] = await office.send(INBOX, Job(pad, FIRST_SERIAL + number))

    passage.began = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for number, due in enumerate(passage.due):
            ahead = passage.began + due - time.perf_counter()
            if ahead > 0:
                await trio.sleep(ahead)
            nursery.start_soon(send, number)


def _after(due: list[float], happened: list[float]) -> list[float]:
    return [there - planned for planned, there in zip(due, happened, strict=True)]
