"""A disk that fills up, by the store's own mail or at once by somebody else's, and is freed again."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from random import Random

from postroom.simulation.checkers import Checkers
from postroom.simulation.witness import witnessed
from postroom.store.clock import ManualClock
from postroom.store.port import Store
from postroom.store.records import InboxSpec, Register
from postroom.store.sqlite.ballast import BALLAST_BYTES, ballast_size
from postroom.store.sqlite.file import FileStore, open_file

from .clients import INBOXES, LEDGER, Clients
from .told import Told

SPARE_BYTES = 3 << 20
"""What others have on the disk, and give up when it is to be freed."""

RETRY_SECONDS = 400.0
"""Longer than any pause before mail is tried again."""


class Disk:
    """A small file system of which others use a part."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._spare = folder / "others"
        self._filler = folder / "filler"
        self._take(self._spare, SPARE_BYTES)

    def fill(self) -> None:
        """Others take all that is free now; what the ballast gives up meanwhile they leave to the store."""
        stat = os.statvfs(self.folder)
        held = self._filler.stat().st_size if self._filler.exists() else 0
        self._take(self._filler, held + stat.f_bavail * stat.f_frsize)

    def free(self) -> None:
        """Others give up all that they have."""
        self._filler.unlink(missing_ok=True)
        self._spare.unlink(missing_ok=True)

    def clear(self) -> None:
        """An empty disk."""
        for path in self.folder.iterdir():
            path.unlink()

    def _take(self, path: Path, most: int) -> None:
        with path.open("ab", buffering=0) as file:
            while file.tell() < most:
                try:
                    file.write(bytes(min(1 << 16, most - file.tell())))
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    stat = os.statvfs(self.folder)
                    if not stat.f_bavail:
                        return


class Episode:
    """One store on one small disk, from its first message to its last."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.told = Told("full", seed)
        self.rng = Random(seed)
        self.clock = ManualClock()
        self.checkers = Checkers()
        self.disk = Disk(folder)
        self.path = folder / "room.db"
        self.file: FileStore
        self.store: Store
        self.open(create=True)
        self.clients = Clients(self.store, self.rng, self.told)
        self.clients.surely(Register(tuple(map(InboxSpec, (*INBOXES, LEDGER)))), "registering")

    def open(self, *, create: bool = False) -> None:
        self.file = open_file(
            self.path,
            create=create,
            clock=self.clock,
            rng=Random(self.rng.random()),
            ballast=BALLAST_BYTES if create else 0,
        )
        self.store = witnessed(self.file, self.checkers.see, "one")

    def reopen(self) -> None:
        """Another process in the place of the first."""
        self.file.close()
        self.open()
        self.clients.store = self.store

    def work(self, what: str, most: int, *, until_refused: bool) -> None:
        """Send, claim and settle at random; time passes unless somebody fills the disk between looks."""
        largest = self.rng.choice((3_000, 20_000, 60_000))
        for _ in range(most):
            if self.rng.random() < 0.5:
                batch = [self.clients.message(largest) for _ in range(self.rng.randint(1, 20))]
                accepted = self.clients.send(batch)
                if until_refused and not accepted:
                    return
            elif self.rng.random() < 0.5:
                self.clients.claim(what)
            else:
                self.clients.settle(what)
            self.clock.advance(self.rng.choice((0.0, 0.01, 0.3)))

    def run(self) -> Told:
        """Fill, settle on what is kept back, free, go on, and judge."""
        if self.rng.random() < 0.5:
            self.work("before", 1000, until_refused=True)
        else:
            self.work("before", self.rng.randint(5, 40), until_refused=False)
        if ballast_size(self.path) != 0:  # what the ballast has given back is for settling
            self.disk.fill()
        if self.rng.random() < 0.3:
            self.reopen()
        self.while_full()
        self.disk.free()
        if self.rng.random() < 0.3:
            self.reopen()
        self.afterwards()
        return self.told.judged(self.checkers)

    def while_full(self) -> None:
        """New mail is refused, and whatever ends accepted mail goes on."""
        for n in range(self.rng.randint(10, 30)):
            accepted = self.clients.send([self.clients.message(60_000)])
            self.told.check(not (accepted and n > 1), "a send was accepted by a full disk")
            self.clients.claim("on a full disk")
            for _ in range(self.rng.randint(1, 4)):
                self.clients.settle("on a full disk")
            self.clock.advance(self.rng.choice((0.0, 0.3)))

    def afterwards(self) -> None:
        """With room again, sends are accepted and all is brought to its end, by the same handle."""
        self.clock.advance(0.3)
        self.clients.resolve()
        message = self.clients.message(100)
        accepted = self.clients.send([message]) or self.clients.send([message])
        self.told.check(bool(accepted), "no send is accepted though the disk is free again")
        self.told.check(bool(ballast_size(self.path)), "the ballast was not made anew")
        self.work("afterwards", 20, until_refused=False)
        self.to_the_end()

    def to_the_end(self) -> None:
        """Leases lapse, what is to be tried again is tried, and then everything is judged."""
        for _ in range(12):
            self.clock.advance(RETRY_SECONDS)
            self.clients.empty("afterwards")
        found = self.file.verify(deep=True)
        self.told.check(found.ok, f"verify: {found.faults}")
        self.checkers.finish(self.store, drained=True)


def run(folder: Path, seed: int) -> Told:
    """One episode on a small file system of its own."""
    episode = Episode(folder, seed)
    try:
        return episode.run()
    finally:
        episode.file.close()
        episode.disk.clear()
