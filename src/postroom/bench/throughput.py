"""How much: shares of the raw limit, measured in turns with it."""

from __future__ import annotations

import time

import attrs
import trio

from .. import Actor, handles, open_postroom
from . import limit
from .figures import Pairs, milliseconds
from .ground import INBOX, fresh_store, raw_queue
from .load import FIRST_SERIAL, Job, Tally, keep_sending, pad_for, sink
from .rows import Measured, Params

SEND_MANY = 500


def durable(params: Params) -> Measured:
    """Send, handle, ack in one process with many senders, as a share of the limit."""
    share = params.seconds / params.rounds / 2
    raw = raw_queue(params)
    url = fresh_store(params, "durable")
    sends: list[float] = []
    pairs = Pairs()

    def subject() -> float:
        rate, taken = trio.run(end_to_end, url, params, share)
        sends.extend(taken)
        return rate

    pairs.measure(params.rounds, lambda: limit.end_to_end_rate(raw, share), subject)
    raw.close()
    return Measured(
        pairs.ratio,
        {
            "end_to_end_per_s": pairs.subject,
            "limit_per_s": pairs.baseline,
            "ratio": pairs.ratio,
            "send_p50_ms": milliseconds(sends, 0.5),
            "send_p99_ms": milliseconds(sends, 0.99),
        },
    )


async def end_to_end(url: str, params: Params, seconds: float) -> tuple[float, list[float]]:
    """The clock runs from the first send until the office has closed: every ack is then on disk."""
    tally = Tally()
    async with open_postroom(url) as office:
        await office.start(INBOX, sink(tally), concurrency=params.senders)
        pad = pad_for(params.body_bytes)
        began = time.perf_counter()
        taken = await keep_sending(office, INBOX, pad, params.senders, seconds)
        await tally.reaches(len(taken))
    return len(taken) / (time.perf_counter() - began), taken


def send_many(params: Params) -> Measured:
    """Accepted sends by ``send_many``, as a share of raw inserts in batches as large."""
    share = params.seconds / params.rounds / 2
    raw = raw_queue(params)
    pairs = Pairs()
    stores = iter([fresh_store(params, f"many{n}") for n in range(params.rounds)])
    pairs.measure(
        params.rounds,
        lambda: limit.insert_rate(raw, share),
        lambda: trio.run(_send_many, next(stores), params, share),
    )
    raw.close()
    return Measured(pairs.ratio, {"per_s": pairs.subject, "limit_per_s": pairs.baseline})


async def _send_many(url: str, params: Params, seconds: float) -> float:
    pad = pad_for(params.body_bytes)
    sent = 0
    async with open_postroom(url) as office:
        began = time.perf_counter()
        while time.perf_counter() - began < seconds:
            jobs = [Job(pad, FIRST_SERIAL + n) for n in range(SEND_MANY)]
            await office.send_many(INBOX, jobs)
            sent += SEND_MANY
        return sent / (time.perf_counter() - began)


@attrs.define
class Sum:
    """The state of the one stateful actor."""

    turns: int = 0
    serials: int = 0


def one_actor(params: Params) -> Measured:
    """One stateful actor that finds a long queue when it starts, as a share of the limit."""
    share = params.seconds / params.rounds / 2
    raw = raw_queue(params)
    url = fresh_store(params, "actor")
    pairs = Pairs()
    pairs.measure(
        params.rounds,
        lambda: limit.end_to_end_rate(raw, share),
        lambda: trio.run(_drain, url, params),
    )
    raw.close()
    return Measured(
        pairs.ratio,
        {"per_s": pairs.subject, "limit_per_s": pairs.baseline, "queued": params.queued},
    )


async def _drain(url: str, params: Params) -> float:
    """The clock runs from the actor's start until the office has closed."""
    tally = Tally()

    class Adder(Actor):
        state: Sum

        @handles(Job)
        async def add(self, job: Job) -> None:
            self.state.turns += 1
            self.state.serials += job.serial
            tally.count()

    pad = pad_for(params.body_bytes)
    async with open_postroom(url) as office:
        for start in range(0, params.queued, SEND_MANY):
            serials = range(start, min(start + SEND_MANY, params.queued))
            await office.send_many(INBOX, [Job(pad, FIRST_SERIAL + n) for n in serials])
        began = time.perf_counter()
        await office.start(INBOX, Adder)
        await tally.reaches(params.queued)
    return params.queued / (time.perf_counter() - began)
