"""What runs on each host: a worker that takes jobs, does them, and says so. Started by ``play.py``.

    python host.py NAME URL --lease 3 --work 0.1

It tells what happens to it, one JSON line each; times are of the monotonic clock. The end of standard
input is the order to stop.
"""

from __future__ import annotations

import argparse
import json
import os
import time

import trio

from postroom import PostroomError
from postroom.client import Client
from postroom.client.records import Delivered
from postroom.store.errors import LostLease, StoreUnavailable

AT_ONCE = 3
AGAIN_SECONDS = 0.2


def tell(event: str, **facts: object) -> None:
    """One event, written whole."""
    os.write(1, json.dumps({"event": event, "at": time.monotonic(), **facts}).encode() + b"\n")


class Host:
    """One worker. ``away`` is whether the server did not answer the last time."""

    def __init__(self, name: str, client: Client, lease: float, work: float) -> None:
        self._name = name
        self._client = client
        self._lease = lease
        self._work = work
        self._away = False

    async def run(self) -> None:
        """Take jobs a few at a time, and do one after the other; for ever, until cancelled."""
        while True:
            try:
                found = await self._client.poll(f"worker/{self._name}", 1.0, AT_ONCE, self._lease)
            except StoreUnavailable as error:
                await self._wait(error)
                continue
            self._heard()
            for job in found:
                tell("taken", n=job.body["n"], attempt=job.attempt)
            with trio.CancelScope(shield=True):
                for job in found:
                    await trio.sleep(self._work)  # here a real one would do something
                    await self._say_done(job)

    async def _say_done(self, job: Delivered) -> None:
        """Settle a job, however often that must be said; perhaps it is somebody else's by then."""
        reply = {"n": job.body["n"], "host": self._name}
        while True:
            try:
                await self._client.ack(job.id, job.fence, reply=reply)
            except LostLease as error:
                self._heard()
                tell("lost", n=job.body["n"], why=str(error))
                return
            except StoreUnavailable as error:
                await self._wait(error)
            else:
                self._heard()
                tell("done", n=job.body["n"])
                return

    async def _wait(self, error: PostroomError) -> None:
        if not self._away:
            tell("away", why=str(error))
        self._away = True
        await trio.sleep(AGAIN_SECONDS)

    def _heard(self) -> None:
        if self._away:
            tell("back")
        self._away = False


async def main(args: argparse.Namespace) -> None:
    async with Client(args.url, create=False) as client, trio.open_nursery() as nursery:
        nursery.start_soon(Host(args.name, client, args.lease, args.work).run)
        tell("ready")
        await trio.lowlevel.wait_readable(0)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A worker on one host.")
    parser.add_argument("name")
    parser.add_argument("url")
    parser.add_argument("--lease", type=float, default=3.0)
    parser.add_argument("--work", type=float, default=0.1)
    trio.run(main, parser.parse_args())
