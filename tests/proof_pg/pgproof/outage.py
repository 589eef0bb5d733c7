"""A server that is away for long, under several processes: all of it goes on by itself, and says so once."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit
from uuid import uuid4

from postgres_server import PostgresServer

from .proving import FAILURES, judge
from .scene import Scene
from .table import Row
from .watch import Looker

NODES = ("a", "b", "c", "d")
"""Each has a worker, and one of them the ledger to which all of them report."""

GONE, BACK = "the server does not answer: ", "the server answers again after "
READY, NOT_READY = 200, 503
EVERY_SECONDS, ANSWER_SECONDS = 0.2, 10.0
AWARE_SECONDS = 60.0
"""Within which all must have noticed that the server is back: twice the longest pause between two tries."""


class Readiness(Looker):
    """Asks ``/readyz`` again and again. ``said`` is what was answered, without what was the same again."""

    def __init__(self, url: str) -> None:
        super().__init__("readiness")
        self._place = urlsplit(url).netloc
        self.said: list[int] = []

    def run(self) -> None:
        while not self._over.wait(EVERY_SECONDS):
            status = self._ask()
            if self.said[-1:] != [status]:
                self.said.append(status)

    def _ask(self) -> int:
        connection = HTTPConnection(self._place, timeout=ANSWER_SECONDS)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status
        except (OSError, HTTPException):
            return 0
        finally:
            connection.close()


@contextmanager
def serving(store: str, log: Path) -> Generator[str]:
    """`postroom serve` on a store; its URL."""
    words = ["-m", "postroom", "serve", "--json", "--port", "0", "--store", store]
    with (
        log.open("ab") as errors,
        subprocess.Popen(
            [sys.executable, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()


def prove_outage(server: PostgresServer, seconds: float, rng: Random, tell: Callable[[str], None]) -> Row:
    """Stop the server for so long under four nodes, a sender and a listener, and start it again."""
    row = Row(f"the server away for {seconds:,.0f} s, under {len(NODES)} nodes and a listener", 1)
    with TemporaryDirectory() as folder:
        logs = Path(folder)
        try:
            with (
                Scene(server, f"o{uuid4().hex[:12]}", rng, nodes=NODES, logs=logs) as scene,
                serving(scene.url, logs / "serve") as url,
                Readiness(url) as readiness,
            ):
                _be_away(scene, readiness, seconds, tell)
                row.seconds = scene.goes_on()
                row.amount = 1
                tell(f"jobs are done again after {row.seconds:.1f} s")
                _all_are_aware(scene, readiness, logs)
                judge(row, scene, scene.finish())
        except FAILURES as error:
            row.stuck += 1
            row.wrong.append(f"{type(error).__name__}: {error}")
        row.wrong += said_wrongly(logs)
        row.told["lines of the log"] = sum(len(log.read_text().splitlines()) for log in logs.iterdir())
    return row


def _be_away(scene: Scene, readiness: Readiness, seconds: float, tell: Callable[[str], None]) -> None:
    scene.until(lambda: readiness.said == [READY], "the listener is ready")
    scene.server.stop()
    tell(f"the server is away, after {scene.sender.upto} jobs sent")
    ends = time.monotonic() + seconds
    scene.until(lambda: time.monotonic() > ends, "time passes", within=2 * seconds + 60)
    scene.server.start()
    tell("the server is there again")


def _all_are_aware(scene: Scene, readiness: Readiness, logs: Path) -> None:
    """Wait until each process has said that the server is back, and the listener is ready."""

    def aware() -> bool:
        return readiness.said[-1] == READY and all(BACK in log.read_text() for log in logs.iterdir())

    scene.told["seconds until all have said so"] = round(
        scene.until(aware, "all have noticed that the server is back", within=AWARE_SECONDS), 1
    )
    if readiness.said != [READY, NOT_READY, READY]:
        scene.wrong.append(f"/readyz said {readiness.said}")


def said_wrongly(logs: Path) -> list[str]:
    """What a log should have been without, or should have had: one line for each change of state."""
    wrong: list[str] = []
    for log in sorted(logs.iterdir()):
        lines = log.read_text().splitlines()
        for line, times in Counter(kind for line in lines for kind in (GONE, BACK) if kind in line).items():
            if times != 1:
                wrong.append(f"{log.name} has said {times} times: {line}")
        wrong += [f"{log.name} has said: {line}" for line in lines if not (GONE in line or BACK in line)]
    return wrong
