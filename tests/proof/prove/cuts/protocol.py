"""The whole life of a store, as a script that a seed decides: made, migrated, used, saved, restored.

While it runs a recorder sees what reaches the disk, and the script says beside it what has been
promised by then. So every prefix of the recording is a moment at which the power can go.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

from msgspec import Struct, structs
from prove.cuts.inside import epoch_of, new_reader, writer
from prove.cuts.medium import the_medium
from prove.cuts.mix import SPECS, Mix
from prove.cuts.recording import Event, Recorder

from postroom.simulation.between import between
from postroom.simulation.checkers import EFFECT
from postroom.simulation.witness import Fact, Rebooted, witnessed
from postroom.store import backup
from postroom.store.clock import ManualClock
from postroom.store.port import Store
from postroom.store.records import Delivery, Register
from postroom.store.sqlite import opening
from postroom.store.sqlite.file import FileStore, open_file
from postroom.store.transact import transact

STORE, BACKUP = "store.db", "saved.db"
LATER = (
    "CREATE TABLE later (one INTEGER PRIMARY KEY, note TEXT NOT NULL) STRICT;\n"
    "INSERT INTO later SELECT seq, type FROM message;\n"
    "ALTER TABLE record ADD COLUMN later TEXT;\n"
)
"""A migration that no release has, so that an older store can be brought up to date here."""
RELEASED = tuple(opening.migrations())
OLD = len(RELEASED)
NEW = OLD + 1


class Moment(Struct):
    """What has been promised when some event is reached.

    ``history`` is the number of the life of the store (a restore begins another), ``told`` how many of
    its facts are committed; those up to ``doubted`` are being committed. ``saved`` is the same of the
    backup; ``restoring`` says that the next life may have begun. ``epoch`` is that of the
    store once it was opened.
    """

    history: int = 0
    told: int = 0
    doubted: int = 0
    wall: int = 0
    boot: int = 0
    boot_id: str = ""
    epoch: int = 0
    version: int = 1
    promised: bool = False
    saved: tuple[int, int] | None = None
    restoring: bool = False


class Recording(Struct):
    """A script that was played: its events with the moments among them, and the facts of each life.

    ``over`` are the deliveries of earlier lives, by life: none of their fences may ever settle again.
    """

    seed: int
    events: list[Event]
    histories: list[list[Fact]]
    over: list[list[Delivery]]


@contextmanager
def knowing(version: int) -> Generator[None]:
    """Be a release that knows schemas up to this version."""
    known = (*RELEASED, (NEW, "later", LATER))[:version]
    with mock.patch.multiple(opening, SCHEMA_VERSION=version, migrations=lambda: known):
        yield


class Script:
    """One life after another, in ``folder``. ``synchronous`` weakens the store, for the control."""

    def __init__(self, folder: Path, seed: int, *, synchronous: str = "FULL") -> None:
        self._folder = folder
        self._seed = seed
        self._rng = Random(seed)
        self._synchronous = synchronous
        self._clock = ManualClock()
        self._recorder = Recorder(folder)
        self._histories: list[list[Fact]] = [[]]
        self._over: list[list[Delivery]] = [[]]
        self._now = Moment(version=OLD)
        self._file: FileStore
        self._store: Store
        self._mix = Mix(self._rng, self._look)
        self._marks: Any = None
        self._reader: Any = None
        self._others: tuple[tuple[int, Callable[[], None]], ...] = (
            (40, self._pass_time), (12, self._checkpoint), (8, self._mark), (6, self._pin), (5, self._again),
            (2, self._reboot), (3, self._save),
        )  # fmt: skip

    def play(self, steps: int) -> Recording:
        """Run the script; about so many transactions, with everything else between them."""
        with the_medium().watched(self._recorder), self._recorder.beside_sqlite():
            self._live(steps // 3)
            self._now.version = NEW
            self._again()
            self._live(steps // 3)
            self._save()
            self._live(steps // 6)
            self._restore()
            self._live(steps // 6)
            self._close()
            self._word()
        return Recording(self._seed, self._recorder.events, self._histories, self._over)

    def _live(self, steps: int) -> None:
        if not self._now.promised:
            self._open()
            transact(self._store, [Register(SPECS)])
        for _ in range(steps):
            batch = self._mix.batch()
            for operation, answer in zip(batch, transact(self._store, batch), strict=True):
                self._mix.learn(operation, answer)
            if self._rng.random() < 0.4:
                self._rng.choices(self._others, [weight for weight, _ in self._others])[0][1]()

    # What happens to the handle

    def _open(self) -> None:
        self._word()
        with knowing(self._now.version), weakened(self._synchronous):
            path = self._folder / STORE
            self._file = open_file(path, create=True, clock=self._clock, rng=Random(self._seed))
        writer(self._file).pragma("wal_autocheckpoint", self._rng.choice((2, 10, 30, 100)))
        self._store = between(witnessed(self._file, self._tell, "script"), self._around)
        self._now.promised = True
        self._now.epoch = epoch_of(self._file)
        self._word()

    def _around(self, name: str, call: Callable[[], Any], args: Any, kwargs: Any) -> Any:
        if name == "begin":
            call()
            self._began = self._word()
            return None
        answer = call()
        if name == "commit":
            self._now.told = self._now.doubted = self._began.doubted = len(self._histories[-1])
            self._word()
        return answer

    def _tell(self, fact: Fact) -> None:
        self._histories[-1].append(fact)

    def _word(self) -> Moment:
        """Say in the recording what is promised now."""
        self._now.wall, self._now.boot = self._clock.now()
        self._now.boot_id = self._clock.boot_id
        said = structs.replace(self._now)
        self._recorder.reached(said)
        return said

    def _look(self, owner: str, key: str) -> int:
        found = self._store.records(owner, EFFECT, key)
        return int(json.loads(found[0].value)) if found else 0

    # What happens between transactions

    def _pass_time(self) -> None:
        self._clock.advance(self._rng.choice((0.1, 1, 5, 20, 60)))
        self._word()

    def _checkpoint(self) -> None:
        mode = self._rng.choice(("passive", "full", "restart", "truncate"))
        writer(self._file).pragma("wal_checkpoint", mode)

    def _mark(self) -> None:
        if self._marks is None and self._mix.session:
            session = self._mix.session
            self._marks = self._file.turn_marks(session)
            self._marks.begin(self._mix.running)
            self._recorder.content(f"{STORE}-turns-{session}")
        elif self._marks is not None:
            self._marks.close()
            self._marks = None

    def _pin(self) -> None:
        if self._reader is None:
            self._reader = new_reader(self._file)
            self._reader.execute("BEGIN")
            self._reader.execute("SELECT count(*) FROM message").fetchall()
        else:
            self._unpin()

    def _unpin(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _close(self) -> None:
        self._unpin()
        self._file.close()

    def _kill(self) -> None:
        """The process dies: the files stay as they are, with a log that nobody has copied back."""
        files = [self._folder / name for name in (STORE, f"{STORE}-wal")]
        left = {path: path.read_bytes() for path in files if path.exists()}

        def die() -> None:
            self._close()
            for path, content in left.items():
                path.write_bytes(content)

        self._recorder.left(die)
        self._word()

    def _again(self) -> None:
        self._close()
        self._open()

    def _reboot(self) -> None:
        """The machine is shut down in order and started again."""
        self._close()
        self._clock.advance(30)
        self._clock.boot_id = f"boot-{self._rng.randrange(1 << 30)}"
        self._histories[-1].append(Rebooted(self._clock.now().boot, "script"))
        self._now.told = self._now.doubted = len(self._histories[-1])
        self._mix.over()
        self._open()

    def _save(self) -> None:
        self._now.saved = None
        self._word()  # before the old one goes: from then on nobody may count on it
        (self._folder / BACKUP).unlink(missing_ok=True)
        self._file.backup(str(self._folder / BACKUP))
        self._now.saved = (self._now.history, self._now.told)
        self._word()

    def _restore(self) -> None:
        """Put the backup in the store's place."""
        assert self._now.saved is not None
        self._rng.choice((self._close, self._kill))()
        self._clock.advance(120)
        history, told = self._now.saved
        rebooted = Rebooted(self._clock.now().boot, "script")
        self._histories.append([*self._histories[history][:told], rebooted])
        self._over.append(list(self._mix.over()))
        self._now.restoring = True
        self._word()
        with knowing(self._now.version):
            url = f"sqlite:///{self._folder / STORE}"
            epoch = backup.restore(self._folder / BACKUP, url, force=True, clock=self._clock)
        self._now.restoring, self._now.epoch = False, epoch
        self._now.history += 1
        self._now.told = self._now.doubted = told + 1
        self._open()


@contextmanager
def weakened(synchronous: str) -> Generator[None]:
    """Open stores that sync less than they must, so that a proof can show that it would be noticed."""
    real = opening.make_durable

    def make_durable(conn: Any) -> None:
        real(conn)
        conn.pragma("synchronous", synchronous)

    if synchronous == "FULL":
        yield
        return
    with mock.patch.object(opening, "make_durable", make_durable):
        yield
