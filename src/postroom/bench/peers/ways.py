"""What is measured: one way to use one peer, and the loops that most of them share."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum

from msgspec import Struct

from ..figures import padding, raw_body
from ..load import FIRST_SERIAL
from ..rows import Params

BATCH = 500
"""Jobs that are put with one call, where a peer can."""

AHEAD = 2 * BATCH
"""Jobs that may wait to be taken before producers pause, so that no round ends in a long drain."""

PAUSE = 0.001


class Style(StrEnum):
    """How jobs are put. Only ways of one style are set against each other."""

    ONE = "one producer"
    MANY = "many producers"
    BATCHED = "in batches"


class Ran(Struct, frozen=True):
    """One round: jobs that were put, taken and acknowledged, and how long all of it took.

    ``durability`` is what the peer answered when asked for its settings.
    """

    jobs: int
    seconds: float
    durability: str


class Way(Struct, frozen=True):
    """One way to use one peer. ``packages`` must be installed, ``server`` must be on the path."""

    peer: str
    style: Style
    how: str
    run: Callable[[Params], Ran]
    packages: tuple[str, ...] = ()
    server: str = ""
    persistent: bool = True

    @property
    def name(self) -> str:
        return f"{self.peer}, {self.style.value}"


class Unkept(RuntimeError):
    """A peer did not give back what it was given; its rate would mean nothing."""


class Bodies:
    """Bodies of the length that was asked for, each encoded anew, as every row of the bench does."""

    def __init__(self, params: Params) -> None:
        self._pad = padding(raw_body(FIRST_SERIAL, ""), params.body_bytes)

    def new(self) -> bytes:
        return raw_body(FIRST_SERIAL, self._pad)

    def text(self) -> str:
        """For peers that keep text."""
        return self.new().decode()


def in_turns(params: Params, cycle: Callable[[], int]) -> tuple[int, float]:
    """Run ``cycle`` (put some, take them, acknowledge them; how many) until the time is over."""
    began = time.perf_counter()
    done = 0
    while time.perf_counter() - began < params.seconds:
        done += cycle()
    return done, time.perf_counter() - began


def side_by_side(
    params: Params, producers: int, opened: Callable[[], Callable[[], object]], take: Callable[[], int]
) -> tuple[int, float]:
    """Threads put one job after another while this one takes, until nothing is left.

    Producers pause while ``AHEAD`` jobs wait.
    ``opened`` is called in each thread and answers what puts one job there. ``take`` answers how many
    it took and acknowledged, and must not wait for ever. It is asked once more at the end, when there
    must be nothing: a job handed out twice would stand for one that still waits.
    """
    began = time.perf_counter()
    end = began + params.seconds

    sent, done = [0] * producers, 0

    def produce(number: int) -> None:
        put = opened()
        while time.perf_counter() < end:
            if sum(sent) - done < AHEAD:
                put()
                sent[number] += 1
            else:
                time.sleep(PAUSE)

    with ThreadPoolExecutor(producers) as pool:
        threads = [pool.submit(produce, number) for number in range(producers)]
        while not all(thread.done() for thread in threads):
            done += take()
        for thread in threads:
            thread.result()
        while done < sum(sent):
            done += take()
    took = time.perf_counter() - began
    done += take()
    if done != sum(sent):
        raise Unkept(f"{sum(sent)} jobs were put and {done} taken")
    return done, took


def durability(db: sqlite3.Connection) -> str:
    """The journal and the level of ``synchronous`` in force on this connection, in words."""
    journal = db.execute("PRAGMA journal_mode").fetchone()[0]
    level = db.execute("PRAGMA synchronous").fetchone()[0]
    return f"{journal.upper()}, {('OFF', 'NORMAL', 'FULL', 'EXTRA')[level]}"
