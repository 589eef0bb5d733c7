"""What second processes do: wait for mail, by pull or as an actor, or keep one file busy."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

import msgspec
import trio

from .. import Actor, handles, open_postroom
from ..mailbox.desk import Desk
from ..mailbox.ids import IdMaker
from ..store.urls import open_store
from .convoys import plays_convoy
from .load import Job, Tally, keep_sending, pad_for, sink


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@contextmanager
def opened_desk(url: str) -> Generator[Desk, None, None]:
    """The verbs as the pull commands have them; the file is closed when the block ends."""
    store = open_store(url, create=False)
    try:
        yield Desk(store, IdMaker(store.clock, random.Random()))
    finally:
        store.close()


def waits_by_pull(settings: dict[str, str]) -> None:
    """Poll one inbox for ever and say, for each message, how many nanoseconds it was under way."""
    with opened_desk(settings["url"]) as desk:
        say("ready")
        while True:
            for delivery in desk.poll(settings["inbox"], wait=60.0):
                job = msgspec.json.decode(delivery.body)
                say(str(time.monotonic_ns() - int(job["serial"])))
                desk.ack(delivery.id, delivery.fence)


class Waiter(Actor):
    """Says how long each message was under way. The time of sending travels in the body."""

    @handles(Job)
    async def note(self, job: Job) -> None:
        say(str(time.monotonic_ns() - job.serial))


def waits_as_actor(settings: dict[str, str]) -> None:
    async def wait() -> None:
        async with open_postroom(settings["url"]) as office:
            await office.start(settings["inbox"], Waiter)
            say("ready")
            await trio.sleep_forever()

    trio.run(wait)


def keeps_busy(settings: dict[str, str]) -> None:
    """Send to an actor of its own and handle, as fast as it goes; says how many turns were handled.

    Begins at a line from the row, so that several can begin together.
    """

    async def pump() -> None:
        seconds, senders = float(settings["seconds"]), int(settings["senders"])
        async with open_postroom(settings["url"]) as office:
            tally = Tally()
            await office.start(settings["inbox"], sink(tally), concurrency=senders)
            pad = pad_for(int(settings["body_bytes"]))
            say("ready")
            await trio.to_thread.run_sync(sys.stdin.readline)
            await keep_sending(office, settings["inbox"], pad, senders, seconds)
            say(str(tally.handled))

    trio.run(pump)


PARTS: dict[str, Callable[[dict[str, str]], None]] = {
    "waits-by-pull": waits_by_pull,
    "waits-as-actor": waits_as_actor,
    "keeps-busy": keeps_busy,
    "plays-convoy": plays_convoy,
}
