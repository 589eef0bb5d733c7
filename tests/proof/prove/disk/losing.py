"""Permissions that are taken away, and files that are moved away, under a store and before it is opened."""

from __future__ import annotations

import io
from collections.abc import Generator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

from postroom.console.exits import NO_STORE
from postroom.console.main import main
from postroom.store.errors import StoreUnavailable
from postroom.store.urls import open_store

from .full import Episode
from .told import Told

FILE, WAL, FOLDER = "file", "wal", "folder"


class Losing(Episode):
    """The same store and clients; somebody takes something away and gives it back."""

    def run(self) -> Told:
        self.told.kind = "losing"
        self.work("before", self.rng.randint(5, 30), until_refused=False)
        (self.unreadable, self.unreadable, self.moved_away, self.replaced, self.log_removed)[
            self.rng.randrange(5)
        ]()
        self.clock.advance(0.3)
        self.clients.resolve()
        self.told.check(
            bool(self.clients.send([self.clients.message(100)])), "no send is accepted afterwards"
        )
        self.work("afterwards", 20, until_refused=False)
        self.to_the_end()
        return self.told.judged(self.checkers)

    def unreadable(self) -> None:
        """The file, its log or its folder may not be used any more: whoever is in may stay or is told."""
        what = self.rng.choice((FILE, WAL, FOLDER))
        path = {FILE: self.path, WAL: self.wal(), FOLDER: self.path.parent}[what]
        with forbidden(path):
            for _ in range(4):
                self.clock.advance(0.3)
                self.clients.send([self.clients.message(100)])
            if self.rng.random() < 0.5:
                self.store.reopen()
                if what is not WAL:
                    self.nothing_accepted(f"without its {what}")
        if self.rng.random() < 0.5:
            self.not_opened(path, what)

    def not_opened(self, path: Path, what: str) -> None:
        """Who comes from outside meanwhile is told in one line, and so is the command line."""
        self.clients.resolve()
        self.file.close()
        if path.exists():  # the log goes with its last user
            with forbidden(path):
                try:
                    open_store(self.url(), create=False).close()
                    self.told.check(False, f"a store was opened without its {what}")
                except StoreUnavailable:
                    self.told.count("opens refused")
                self.command()
        self.open()
        self.clients.store = self.store

    def command(self) -> None:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = main(["send", "worker/a", "--type", "Job", "--body", "1", "--store", self.url()])
        text = err.getvalue()
        good = code == NO_STORE and text.startswith("postroom: ") and text.count("\n") == 1
        self.told.check(good, f"the command line answered {code}: {text!r}")

    def moved_away(self) -> None:
        """The file is not at its place for a while."""
        aside = self.path.with_name("aside")
        self.path.rename(aside)
        self.clock.advance(0.3)
        self.nothing_accepted("that is not at its place")
        aside.rename(self.path)

    def replaced(self) -> None:
        """Another store is at its place for a while; nothing is written into either."""
        aside = self.path.with_name("aside")
        self.path.rename(aside)
        self.path.write_bytes(aside.read_bytes())
        self.path.chmod(0o600)
        self.clock.advance(0.3)
        self.nothing_accepted("of which another is at its place")
        aside.replace(self.path)

    def log_removed(self) -> None:
        """Somebody removes the log: its last user writes it back when it ends, so nothing is lost."""
        self.wal().unlink()
        self.clock.advance(0.3)
        self.nothing_accepted("whose log was removed")
        self.reopen()

    def nothing_accepted(self, which: str) -> None:
        for _ in range(2):
            accepted = self.clients.send([self.clients.message(100)])
            self.told.check(not accepted, f"a send was accepted by a store {which}")

    def wal(self) -> Path:
        return self.path.with_name(f"{self.path.name}-wal")

    def url(self) -> str:
        return f"sqlite:///{self.path}"


@contextmanager
def forbidden(path: Path) -> Generator[None]:
    """Nobody may use a file or a folder, for a while."""
    mode = path.stat().st_mode
    path.chmod(0)
    try:
        yield
    finally:
        path.chmod(mode)


def run(folder: Path, seed: int) -> Told:
    """One episode. Permissions bind nobody who is root, so this is for an ordinary user."""
    episode = Losing(folder, seed)
    try:
        return episode.run()
    finally:
        episode.file.close()
        episode.disk.clear()
