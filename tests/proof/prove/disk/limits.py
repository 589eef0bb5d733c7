"""Limits of a process that bite in the middle of work: the size of files, the number of open files."""

from __future__ import annotations

import os
import resource
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from postroom.store.errors import StoreUnavailable
from postroom.store.urls import open_store

from .full import Episode
from .told import Told


@contextmanager
def limited(kind: int, soft: int) -> Generator[None]:
    """A soft limit of this process, for a while."""
    before, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (soft, hard))
    try:
        yield
    finally:
        resource.setrlimit(kind, (before, hard))


@contextmanager
def no_descriptors() -> Generator[None]:
    """Every file descriptor is taken."""
    with ExitStack() as stack:
        highest = max(int(name) for name in os.listdir("/proc/self/fd"))  # noqa: PTH208  # names suffice
        stack.enter_context(limited(resource.RLIMIT_NOFILE, highest + 1))
        while True:
            try:
                fd = os.open(os.devnull, os.O_RDONLY)
            except OSError:
                break
            stack.callback(os.close, fd)
        yield


class Limited(Episode):
    """The same store and clients; what bites is no full disk but a limit."""

    def run(self) -> Told:
        self.told.kind = "limits"
        self.work("before", self.rng.randint(5, 30), until_refused=False)
        if self.rng.random() < 0.5:
            self.files_too_large()
        else:
            self.no_files()
        self.told.check(
            bool(self.clients.send([self.clients.message(100)])), "no send is accepted afterwards"
        )
        self.clients.resolve()
        self.work("afterwards", 20, until_refused=False)
        self.to_the_end()
        return self.told.judged(self.checkers)

    def files_too_large(self) -> None:
        """No file may grow past where the log or the store is now: writes fail with EFBIG."""
        sizes = [path.stat().st_size for path in self.path.parent.glob("room.db*")]
        with limited(resource.RLIMIT_FSIZE, self.rng.choice((4096, *sizes)) + self.rng.randrange(20_000)):
            for _ in range(10):
                self.clients.send([self.clients.message(60_000)])

    def no_files(self) -> None:
        """Not one file can be opened: what is open goes on, and everything else says why it does not."""
        other = self.path.with_name("other.db")
        with no_descriptors():
            for _ in range(3):
                self.clients.send([self.clients.message(1000)])
            try:
                self.file.counts()
            except StoreUnavailable:
                self.told.count("reads refused")
            for create in (False, True):
                try:
                    open_store(f"sqlite:///{other}", create=create)
                    self.told.check(False, "a store was opened without a file descriptor")
                except StoreUnavailable:
                    self.told.count("opens refused")
            self.store.reopen()
            self.clients.send([self.clients.message(10)])


def run(folder: Path, seed: int) -> Told:
    """One episode under one of the limits."""
    episode = Limited(folder, seed)
    try:
        return episode.run()
    finally:
        episode.file.close()
        episode.disk.clear()
