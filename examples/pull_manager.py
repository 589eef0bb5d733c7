"""A manager in Python with a worker in shell: count the words of files.

    python examples/pull_manager.py README.md LICENSE
    python examples/pull_manager.py --workers 3 *.md

The manager is an actor. The workers are ``pull_worker.sh``: a loop on ``postroom poll``, ``ack`` and
``nack``, started here but just as well by hand, from cron or over ssh.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import trio
from attrs import define, field, frozen

from postroom import Actor, handles, message, open_postroom

MANAGER, WORKER = "manager/words", "worker/words"
PULL_WORKER = Path(__file__).with_name("pull_worker.sh")
POSTROOM = f"{sys.executable} -m postroom"


@frozen
class Begin:
    """Have the words of these files counted."""

    files: list[str]


@frozen
class CountWords:
    """To the worker; the shell sees it as ``{"file": "..."}``."""

    file: str


@message("reply")
@frozen
class Counted:
    """From the worker: the body of ``postroom ack --reply``."""

    file: str
    words: int


@frozen
class Look:
    """Ask the manager what it knows."""


@define
class Totals:
    """The manager's durable state."""

    words: dict[str, int] = field(factory=dict[str, int])


class Manager(Actor):
    """Sends out one message for each file, and keeps what comes back."""

    state: Totals

    @handles(Begin)
    async def begin(self, order: Begin) -> None:
        for file in order.files:
            self.send(WORKER, CountWords(file))

    @handles(Counted)
    async def counted(self, answer: Counted) -> None:
        self.state.words[answer.file] = answer.words

    @handles(Look)
    async def look(self, _: Look) -> Totals:
        return self.state


async def count(files: list[str], workers: int, store: str) -> tuple[Totals, int]:
    """The words of each file, and how many files no worker could read."""
    async with open_postroom(store) as office, trio.open_nursery() as nursery:
        await office.start(MANAGER, Manager)
        await office.send(MANAGER, Begin(files))
        for _ in range(workers):
            nursery.start_soon(run_worker, store)
        while True:
            totals: Totals = await office.ask(MANAGER, Look(), timeout=60, reply=Totals)
            found = await office.look(office.store.counts, WORKER)
            dead = sum(counts.dead for counts in found)
            if len(totals.words) + dead == len(files):
                nursery.cancel_scope.cancel()
                return totals, dead
            await trio.sleep(0.1)


async def run_worker(store: str) -> None:
    """A shell worker, until cancelled. Whatever it holds then comes back to its inbox."""
    env = {**os.environ, "POSTROOM": POSTROOM, "POSTROOM_STORE": store}
    await trio.run_process(
        [str(PULL_WORKER), WORKER],
        env=env,
        check=False,
        start_new_session=True,
        deliver_cancel=end_group,
    )


async def end_group(process: trio.Process) -> None:
    """End the shell and the ``postroom poll`` that it waits for."""
    os.killpg(process.pid, signal.SIGTERM)


def postroom(*words: str, store: str) -> dict[str, Any]:
    """Run a postroom command and answer its JSON."""
    command = [sys.executable, "-m", "postroom", *words, "--json", "--store", store]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def main() -> int:
    """Count and show; 0 if every file was counted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="shell loops (2)")
    options = parser.parse_args()
    if options.workers < 1:
        parser.error("--workers must be at least 1")
    files = sorted({str(Path(file).absolute()) for file in options.files})
    with tempfile.TemporaryDirectory() as folder:
        store = f"sqlite:///{folder}/words.db"
        postroom("pair", "count", "--manager", "words", "--worker", "words", store=store)
        totals, dead = trio.run(count, files, options.workers, store)
        verification = postroom("verify", store=store)
    for file, words in sorted(totals.words.items()):
        print(f"{words:8}  {file}")
    print(f"{dead} not readable; {verification['accepted']} messages, {verification['unaccounted']} lost")
    return 1 if dead or not verification["ok"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
