"""Disks that are full, that lose permissions, whose syncs fail; processes at their limits.

Each episode is one store from its first message to its last, with something taken away in the middle.
Those on a full disk have a real small file system, in a mount namespace that only their process sees.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
from children import CREW

from .disk import syncs
from .disk.told import Order, Told
from .outcome import Outcome, Tell

CYCLE = ("full", "actors", "losing", "syncs", "limits", "full")
"""The kinds of episodes, in turn. All but ``syncs`` are played by children."""

SIZE = "8m"
NOBODY = 65534
AT_ONCE = 60
"""Episodes that are dealt out together: one child plays those of its kinds, another those of a user
who is not root.
"""

SECONDS = 240.0

Episode = tuple[str, int]
"""Its kind and its seed."""


def namespaces() -> tuple[str, ...] | None:
    """The words that give a command a mount namespace in which it may mount; None where nothing does."""
    if shutil.which("unshare") is None or shutil.which("mount") is None:
        return None
    for words in (("unshare", "-m"), ("unshare", "-rm")):
        with tempfile.TemporaryDirectory() as folder:
            mount = [*words, "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]
            if subprocess.run(mount, capture_output=True, check=False).returncode == 0:
                return words
    return None


def play(episodes: list[Episode], before: tuple[str, ...] | None, uid: int | None = None) -> Iterator[Told]:
    """Have a child play episodes; one that does not tell of all of them has crashed."""
    with tempfile.TemporaryDirectory() as folder:
        order = Order(folder, episodes, uid=uid)
        words: tuple[str, ...] = ()
        if before is not None:
            order.size, words = SIZE, before
        elif uid is not None:
            os.chown(folder, uid, uid)
        path = (str(Path(__file__).parents[1]), str(CREW.parent), os.environ.get("PYTHONPATH", ""))
        found = subprocess.run(
            [*words, sys.executable, "-m", "prove.disk.child"],
            input=msgspec.json.encode(order),
            capture_output=True,
            timeout=SECONDS,
            check=False,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, path)),
                "PYTHONSAFEPATH": "1",
            },
        )
    told = [msgspec.json.decode(line, type=Told) for line in found.stdout.splitlines()]
    yield from told
    if found.returncode or len(told) < len(episodes):
        kind, seed = episodes[min(len(told), len(episodes) - 1)]
        last = found.stderr.decode(errors="replace").strip().splitlines()[-1:]
        yield Told(kind, seed, wrong=[f"the child ended with {found.returncode}: {last}"])


def fail_syncs(episodes: list[Episode]) -> Iterator[Told]:
    """Episodes with a sync that fails, here, each with a process of its own."""
    for _, seed in episodes:
        with tempfile.TemporaryDirectory() as folder:
            yield syncs.run(Path(folder), seed)


def run(amount: int, seed: int, tell: Tell) -> Outcome:
    """Play ``amount`` episodes whose seeds begin with ``seed * 1000000``."""
    outcome = Outcome(amount)
    before, fails = namespaces(), syncs.injector()
    if before is None:
        outcome.notes.append(
            "no small file system can be mounted here: files too large in place of full disks"
        )
    outcome.notes.append(f"syncs made to fail by {fails}" if fails else "nothing here can make syncs fail")
    for done, told in enumerate(_all(amount, seed, before, fails), 1):
        tell(min(done, amount))
        judge(outcome, told)
    outcome.figures = dict(sorted(outcome.figures.items()))
    return outcome


def _all(amount: int, seed: int, before: tuple[str, ...] | None, fails: str) -> Iterator[Told]:
    somebody = NOBODY if os.geteuid() == 0 else None
    for first in range(0, amount, AT_ONCE):
        chosen: list[Episode] = []
        for n in range(first, min(amount, first + AT_ONCE)):
            kind = CYCLE[n % len(CYCLE)]
            if (kind in ("full", "actors") and before is None) or (kind == "syncs" and not fails):
                kind = "limits"
            chosen.append((kind, seed * 1_000_000 + n))
        apart = ("losing", "syncs")
        if here := [episode for episode in chosen if episode[0] not in apart]:
            yield from play(here, before)
        if theirs := [episode for episode in chosen if episode[0] == "losing"]:
            yield from play(theirs, before, somebody)
        yield from fail_syncs([episode for episode in chosen if episode[0] == "syncs"])


def judge(outcome: Outcome, told: Told) -> None:
    """Count what an episode has told."""
    where = f"{told.kind}, seed {told.seed}"
    outcome.messages += told.messages
    outcome.blame(told.breaches, where)
    for wrong in told.wrong:
        outcome.wrong(f"{where}: {wrong}")
    outcome.figures[f"episodes of {told.kind}"] = outcome.figures.get(f"episodes of {told.kind}", 0) + 1
    for name, value in told.figures.items():
        outcome.figures[name] = outcome.figures.get(name, 0) + value
