"""postroom itself, in the styles that the peers are measured in."""

from __future__ import annotations

import time

import msgspec
import trio

from ... import open_postroom
from ..ground import INBOX, fresh_store
from ..load import FIRST_SERIAL, Job, Tally, keep_sending, pad_for, sink
from ..rows import Params
from .ways import AHEAD, BATCH, Ran, Style, Way


def durability(params: Params) -> str:
    """The engine refuses to open a file otherwise; of a server the run has asked."""
    return "fsync, commit on" if params.postgres else "WAL, FULL"


def one_or_many(params: Params) -> Ran:
    """Each producer awaits its send before the next; the clock stops when the office has closed."""
    return trio.run(_one_or_many, fresh_store(params, "peer"), params)


async def _one_or_many(url: str, params: Params) -> Ran:
    tally = Tally()
    async with open_postroom(url) as office:
        await office.start(INBOX, sink(tally), concurrency=200)
        began = time.perf_counter()
        sent = await keep_sending(office, INBOX, pad_for(params.body_bytes), params.senders, params.seconds)
        await tally.reaches(len(sent))
    return Ran(len(sent), time.perf_counter() - began, durability(params))


def one(params: Params) -> Ran:
    return one_or_many(msgspec.structs.replace(params, senders=1))


def batched(params: Params) -> Ran:
    """One producer that hands over batches and never runs far ahead of the worker."""
    return trio.run(_batched, fresh_store(params, "peer"), params)


async def _batched(url: str, params: Params) -> Ran:
    tally, sent = Tally(), 0
    pad = pad_for(params.body_bytes)
    async with open_postroom(url) as office:
        await office.start(INBOX, sink(tally), concurrency=200)
        began = time.perf_counter()
        while time.perf_counter() - began < params.seconds:
            await tally.reaches(sent - AHEAD + BATCH)
            await office.send_many(INBOX, [Job(pad, FIRST_SERIAL + n) for n in range(BATCH)])
            sent += BATCH
        await tally.reaches(sent)
    return Ran(sent, time.perf_counter() - began, durability(params))


WAYS = (
    Way("postroom", Style.ONE, "1 task", one),
    Way("postroom", Style.MANY, "200 tasks", one_or_many),
    Way("postroom", Style.BATCHED, "send_many of 500", batched),
)
