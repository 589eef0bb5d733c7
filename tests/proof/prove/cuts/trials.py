"""A short life of a store whose storage fails once; it goes on, and is judged like any other."""

from __future__ import annotations

import gc
import json
import traceback
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from msgspec import Struct, field
from prove.cuts.failing import Failer, Fault, in_numbers
from prove.cuts.inside import writer
from prove.cuts.judging import drain
from prove.cuts.medium import the_medium
from prove.cuts.mix import INBOXES, SPECS, Mix
from prove.cuts.protocol import BACKUP, NEW, OLD, STORE, knowing

from postroom.simulation.between import between
from postroom.simulation.checkers import EFFECT, Breach, Checkers
from postroom.simulation.witness import Gone, Rebooted, witnessed
from postroom.store import backup
from postroom.store.clock import ManualClock
from postroom.store.errors import OutcomeUnknown, StoreUnavailable
from postroom.store.port import Store, TurnMarks
from postroom.store.records import Operation, Register
from postroom.store.sqlite.file import FileStore, open_file
from postroom.store.transact import transact

T = TypeVar("T")
TRIES = 4


class Tried(Struct):
    """What one trial found. ``asked`` is how often the storage was asked in all."""

    asked: int = 0
    failed: str | None = None
    messages: int = 0
    breaches: list[Breach] = field(default_factory=list[Breach])


def try_fault(folder: Path, seed: int, fault: Fault | None, *, deep: bool = False) -> Tried:
    """Live the short life of this seed in a new directory, with this fault in it."""
    folder.mkdir()
    fds = _open_files()
    trial = _Trial(folder, seed, fault)
    with the_medium().watched(trial.failer), trial.failer.beside_sqlite(), in_numbers():
        tried = trial.run()
    tried.breaches += trial.judge(deep)
    tried.messages = trial.checkers.messages
    if _open_files() > fds:
        gc.collect()
    left = _open_files() - fds
    if left > 0:
        tried.breaches.append(Breach("unexpected", f"{left} file descriptors are left open"))
    return tried


def _open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


class _Trial:
    def __init__(self, folder: Path, seed: int, fault: Fault | None) -> None:
        self.failer = Failer(folder, fault)
        self.checkers = Checkers()
        self._folder = folder
        self._seed = seed
        self._rng = Random(seed)
        self._clock = ManualClock()
        self._version = OLD
        self._file: FileStore | None = None
        self._store: Store
        self._breaches: list[Breach] = []
        self._marks: TurnMarks | None = None
        self._mix = Mix(self._rng, self._look)

    def run(self) -> Tried:
        """The script: made, used, read, marked, migrated, saved, used."""
        self._open()
        self._do([Register(SPECS)])
        self._live(4)
        self._version = NEW
        self._close()
        self._open()
        self._live(2)
        if self._seed % 2 == 0:
            self._save()
        self._live(1)
        if self._marks is not None:
            self._mark()
        self._close()
        return Tried(self.failer.asked, self.failer.failed, 0, self._breaches)

    def judge(self, deep: bool) -> list[Breach]:
        """What the next process finds, and that it can do all the work that is left."""
        found: list[Breach] = []
        with knowing(self._version):
            if self._rng.random() < 0.5:
                self._clock.boot_id = "after the fault"
                self.checkers.see(Rebooted(self._clock.now().boot, "script"))
            else:
                self.checkers.see(Gone(self._clock.now().boot, "script"))
            file = open_file(self._folder / STORE, create=False, clock=self._clock, rng=Random(1))
            self.checkers.finish(file, drained=False)
            store = witnessed(file, self.checkers.see, "after")
            drain(store, self._clock)
            self.checkers.finish(store, drained=True)
            if deep:
                found = [Breach("balance", fault) for fault in file.verify(deep=True).faults]
            file.close()
        return found + self.checkers.breaches

    def _live(self, steps: int) -> None:
        for _ in range(steps):
            self._do(self._mix.batch())
            self._rng.choice((self._pass_time, self._read, self._mark, self._checkpoint))()

    # Each thing that is done, tried until it is done

    def _open(self) -> None:
        def open_() -> None:
            path = self._folder / STORE
            file = open_file(path, create=True, clock=self._clock, rng=Random(self._seed))
            writer(file).pragma("wal_autocheckpoint", self._rng.choice((2, 10)))
            self._file = file
            self._store = witnessed(between(file, self._around), self.checkers.see, "script")

        self._insist("open", open_)

    def _do(self, batch: list[Operation]) -> None:
        answers = self._insist("transact", lambda: transact(self._store, batch))
        for operation, answer in zip(batch, answers or (), strict=False):
            self._mix.learn(operation, answer)

    def _read(self) -> None:
        def read() -> None:
            self._store.counts()
            self._store.peek(self._rng.choice(INBOXES), 3)

        self._insist("read", read)

    def _mark(self) -> None:
        session = self._mix.session
        if self._marks is not None:
            self._insist("unmark", self._marks.close)
            self._marks = None
        elif session:
            self._marks = self._insist("mark", lambda: self._store.turn_marks(session))
            if self._marks is not None:
                self._marks.begin(self._mix.running)

    def _checkpoint(self) -> None:
        """As SQLite does by itself when a connection closes: the handle is opened anew."""
        self._insist("reopen", self._store.reopen)

    def _save(self) -> None:
        names = iter(range(TRIES))  # a backup that failed is thrown away
        saved = self._folder / BACKUP

        def save() -> None:
            nonlocal saved
            saved = self._folder / f"{next(names)}-{BACKUP}"
            self._store.backup(str(saved))

        self._insist("backup", save)
        copy = self._folder / "copy.db"
        self._insist("restore", lambda: _restore(saved, copy, self._clock))

    def _close(self) -> None:
        self._insist("close", self._store.close)

    def _pass_time(self) -> None:
        self._clock.advance(self._rng.choice((0.1, 5, 60)))

    def _look(self, owner: str, key: str) -> int:
        found = self._insist("look", lambda: self._store.records(owner, EFFECT, key))
        return int(json.loads(found[0].value)) if found else 0

    def _insist(self, what: str, action: Callable[[], T]) -> T | None:
        """Do it; if the storage fails, see that it says so rightly, and do it again."""
        with knowing(self._version):
            for _ in range(TRIES):
                try:
                    return action()
                except (StoreUnavailable, SystemError) as error:  # SystemError: see in_numbers
                    self._recover(what, error)
                except Exception as error:  # noqa: BLE001  # whatever escapes is a breach
                    self._blame(f"{what}: after {self.failer.failed}: {error!r} escapes{_where(error)}")
                    self._recover(what, error)
        self._blame(f"{what}: after {self.failer.failed}: it does not get well again")
        return None

    def _recover(self, what: str, error: Exception) -> None:
        """First as the rules are, with the storage still failing; then it is well again."""
        if isinstance(error, OutcomeUnknown):
            self._reopen(what)
        self.failer.heal()
        if isinstance(error, OutcomeUnknown) or self._rng.random() < 0.5:
            self._reopen(what)

    def _reopen(self, what: str) -> None:
        if what in ("open", "close") or self._file is None:
            return
        try:
            self._store.reopen()
        except StoreUnavailable:
            return  # it still fails, and will be tried again
        except Exception as error:  # noqa: BLE001  # whatever escapes is a breach
            self._blame(f"{what}, reopened: after {self.failer.failed}: {error!r} escapes{_where(error)}")

    def _around(self, name: str, call: Callable[[], Any], args: Any, kwargs: Any) -> Any:
        """Only a commit may leave its outcome unknown, and nothing else than the port's errors comes out."""
        try:
            return call()
        except StoreUnavailable as error:
            if isinstance(error, OutcomeUnknown) != (name == "commit"):
                self._blame(f"{name}: after {self.failer.failed}: {error!r}{_where(error)}")
            raise

    def _blame(self, what: str) -> None:
        self._breaches.append(Breach("unexpected", what))


def _where(error: Exception) -> str:
    """The innermost line of the store itself that an error came through."""
    lines = [frame for frame in traceback.extract_tb(error.__traceback__) if "/store/" in frame.filename]
    return f" at {Path(lines[-1].filename).name}:{lines[-1].lineno}" if lines else ""


def _restore(source: Path, copy: Path, clock: ManualClock) -> int:
    return backup.restore(source, f"sqlite:///{copy}", force=True, clock=clock)
