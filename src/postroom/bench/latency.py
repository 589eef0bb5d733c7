"""How soon, when nothing else is going on: in raw one-row commits of the same minute."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import attrs
import trio

from .. import Actor, handles, open_postroom
from . import limit
from .figures import milliseconds, quantile
from .ground import INBOX, fresh_store, raw_queue
from .load import FIRST_SERIAL, Job, pad_for
from .rows import Measured, Params

PAUSE = 0.004
"""Seconds of rest before each sample, so that each meets an idle system."""


@attrs.frozen
class Heard:
    """What the echo answers."""

    serial: int


class Echo(Actor):
    @handles(Job)
    async def answer(self, job: Job) -> Heard:
        return Heard(job.serial)


def send_idle(params: Params) -> Measured:
    """One durable send while nothing else happens, in raw commits of one row."""
    raw = raw_queue(params)
    url = fresh_store(params, "idle")

    async def run() -> Measured:
        async with open_postroom(url) as office:
            job = Job(pad_for(params.body_bytes), FIRST_SERIAL)
            return await _against_commits(raw, lambda: office.send(INBOX, job), params.seconds)

    measured = trio.run(run)
    raw.close()
    return measured


def ask_idle(params: Params) -> Measured:
    """Question, turn and answer while nothing else happens, in raw commits of one row."""
    raw = raw_queue(params)
    url = fresh_store(params, "ask")

    async def run() -> Measured:
        async with open_postroom(url) as office:
            await office.start("bench/echo", Echo)
            job = Job(pad_for(params.body_bytes), FIRST_SERIAL)
            return await _against_commits(
                raw, lambda: office.ask("bench/echo", job, timeout=10), params.seconds
            )

    measured = trio.run(run)
    raw.close()
    return measured


async def _against_commits(
    raw: limit.Queue, subject: Callable[[], Awaitable[object]], seconds: float
) -> Measured:
    """Take turns, one sample each; the ratio of the two medians."""
    commits: list[float] = []
    taken: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        await trio.sleep(PAUSE)
        commits.append(limit.one_commit(raw))
        await trio.sleep(PAUSE)
        began = time.perf_counter()
        await subject()
        taken.append(time.perf_counter() - began)
    return Measured(
        quantile(taken, 0.5) / quantile(commits, 0.5),
        {
            "p50_ms": milliseconds(taken, 0.5),
            "p99_ms": milliseconds(taken, 0.99),
            "commit_p50_ms": milliseconds(commits, 0.5),
            "samples": len(taken),
        },
    )
