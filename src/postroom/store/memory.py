"""The store in memory: the same engine, with no file under it and a simulated commit delay.

Several handles may look at one set of data, as several processes would; ``kill`` makes a handle
dead as SIGKILL would, with whatever it had not committed.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from random import Random

from .clock import Clock
from .errors import StoreUnavailable
from .marks import MemoryMarks
from .sqlite import db, opening
from .sqlite.db import Db
from .sqlite.engine import SqliteEngine

_names = count(1)  # names of in-memory databases must be unique within the process


class _Shared:
    """What the handles of one in-memory store have in common."""

    def __init__(self) -> None:
        self.name = f"file:/postroom-{next(_names)}?vfs=memdb"
        self.anchor = db.connect(self.name, db.READ_WRITE_CREATE_URI)
        self.gone: set[str] = set()
        self.running: dict[int, dict[int, int]] = {}
        self.bells: dict[object, tuple[MemoryStore, Callable[[], None]]] = {}


class MemoryStore(SqliteEngine):
    """A store that is gone with its last handle. ``commit_delay`` is in (virtual) seconds.

    Each commit takes between half and one and a half times ``commit_delay``, from the seed.
    """

    commits_in_thread = False

    def __init__(
        self,
        clock: Clock,
        *,
        seed: int = 0,
        commit_delay: float = 0.0,
        shared: _Shared | None = None,
    ) -> None:
        self._shared = shared or _Shared()
        self._delay = commit_delay
        self._sessions: list[int] = []
        self._dead = False
        rng = Random(seed)
        write = opening.connect(self._shared.name)
        write.pragma("journal_mode", "memory")
        opening.migrate(write, clock)
        super().__init__("memory:", clock, write, self._connect_reader, rng, self._shared.gone.__contains__)
        self._delays = Random(seed + 1)

    def _connect_reader(self) -> Db:
        return opening.connect(self._shared.name, read_only=True)

    def another_handle(self, *, seed: int = 1) -> MemoryStore:
        """A second handle on the same data, as a second process would have."""
        return MemoryStore(self.clock, seed=seed, commit_delay=self._delay, shared=self._shared)

    def kill(self, process: str = "") -> None:
        """Make this handle dead and its ``process`` gone; what was not committed never happened."""
        self.rollback()
        self._dead = True
        for session in self._sessions:  # what runs on in this handle's name marks nothing any more
            self._shared.running[session] = dict(self._shared.running.get(session, {}))
        if process:
            self._shared.gone.add(process)

    def _check_process(self) -> None:
        if self._dead:
            raise StoreUnavailable("this store handle is dead", "its process was killed", "open another")

    def reopen(self) -> None:
        """Nothing to recover: memory has no second truth."""
        self._check_process()

    def commit(self) -> None:
        self._check_process()
        super().commit()
        for handle, ring in tuple(self._shared.bells.values()):
            if handle is not self:
                ring()

    def on_commit(self, ring: Callable[[], None]) -> Callable[[], None]:
        """All handles on this data are of one process."""
        key = object()
        self._shared.bells[key] = (self, ring)

        def end() -> None:
            self._shared.bells.pop(key, None)

        return end

    def commit_delay(self) -> float:
        return self._delay * (0.5 + self._delays.random()) if self._delay else 0.0

    def watch(self) -> None:
        """There are no other processes."""

    def turn_marks(self, session: int) -> MemoryMarks:
        """The marks of a session; they survive ``kill``."""
        self._sessions.append(session)
        return MemoryMarks(self._shared.running.setdefault(session, {}))

    def _begun(self, session: int) -> frozenset[int] | None:
        running = self._shared.running.pop(session, None)
        return None if running is None else frozenset(running.values())
