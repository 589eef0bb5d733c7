"""What every engine does alike: a batch is applied in one order, and one set of rules looks and changes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from random import Random
from typing import TypeVar

from .. import records as r
from ..clock import Clock, Instant
from ..errors import PostroomError, StoreUnavailable
from . import claiming, keyed, reading, registry, sending, sessions, settling, timekeeping, upkeep
from .inboxes import Registry
from .leases import Gone
from .statements import Statements
from .tx import Policy, Tx

T = TypeVar("T")


class Engine(ABC):
    """One handle of a store. Subclasses know the database: how one connects, commits and fails there."""

    is_remote = False

    def __init__(self, url: str, clock: Clock, rng: Random, is_gone: Callable[[str], bool]) -> None:
        self.url = url
        self.clock = clock
        self.policy = Policy()
        self._rng = rng
        self._gone = Gone(is_gone, self._begun)
        self._registry = self._new_registry()
        self._tx: Tx | None = None
        self._rung: set[str] = set()
        self._sweep_after = 0
        self._paused: reading.Paused | None = None
        self._handlers = self._table()

    # What each engine has of its own

    @abstractmethod
    def _wrong(self, error: Exception) -> StoreUnavailable | None:
        """An error of the database in the words of the port; None for any other."""

    @abstractmethod
    def _look(self, read: Callable[[Statements, Instant], T]) -> T:
        """Run a reading function of several statements in one snapshot."""

    @abstractmethod
    def _glance(self, read: Callable[[Statements], T]) -> T:
        """Run a reading function of one statement, on a connection that nobody else uses meanwhile."""

    @abstractmethod
    def _begun(self, session: int) -> frozenset[int] | None:
        """Turns that a session had begun; None when nobody can know."""

    def _new_registry(self) -> Registry:
        return Registry()

    def _take_in(self, tx: Tx, sends: Sequence[r.Send]) -> list[r.Accepted | PostroomError]:
        return sending.accept(tx, sends)

    def _claim(self, tx: Tx, op: r.Claim) -> r.Claimed | PostroomError:
        return claiming.claim(tx, op, self._gone)

    # Changing

    def apply(self, batch: Sequence[r.Operation]) -> list[r.Answer]:
        """Apply a batch: switches and sessions first, then settlements, sends and claims."""
        tx = self._tx
        assert tx is not None, "apply needs a begun transaction"
        try:
            return self._apply(tx, batch)
        except Exception as error:
            wrong = self._wrong(error)
            if wrong is None:
                raise
            raise wrong from error

    def _apply(self, tx: Tx, batch: Sequence[r.Operation]) -> list[r.Answer]:
        answers: list[r.Answer | None] = [None] * len(batch)
        settles: list[tuple[int, r.Settle]] = []
        sends: list[tuple[int, r.Send]] = []
        claims: list[tuple[int, r.Claim]] = []
        for n, op in enumerate(batch):
            kind = type(op)
            if kind is r.Send:
                sends.append((n, op))  # type: ignore[arg-type]  # its type was just compared
            elif kind is r.Settle:
                settles.append((n, op))  # type: ignore[arg-type]  # its type was just compared
            elif kind is r.Claim:
                claims.append((n, op))  # type: ignore[arg-type]  # its type was just compared
            else:
                answers[n] = self._handlers[kind](tx, op)
        if settles:
            _place(answers, settles, settling.settle(tx, [op for _, op in settles]))
        if sends:
            _place(answers, sends, self._take_in(tx, [op for _, op in sends]))
        for n, claim in claims:
            answers[n] = self._claim(tx, claim)
        sending.send_bounces(tx)
        tx.close()
        return [answer for answer in answers if answer is not None]

    def rung(self) -> set[str]:
        rung, self._rung = self._rung, set()
        return rung

    def commit_delay(self) -> float:
        return 0.0

    # Looking

    def message(self, id: bytes) -> r.StoredMessage | None:
        return self._look(lambda db, now: reading.message(db, now, id))

    def peek(
        self, inbox: str, limit: int, *, state: str | None = None, after: int = 0
    ) -> list[r.StoredMessage]:
        return self._look(lambda db, now: reading.peek(db, now, inbox, limit, state, after))

    def dead(self, inbox: str | None, limit: int) -> list[r.StoredMessage]:
        return self._look(lambda db, now: reading.dead(db, now, inbox, limit))

    def counts(self, inbox: str | None = None) -> list[r.InboxCounts]:
        return self._look(lambda db, now: reading.counts(db, now, inbox))

    def ready_inboxes(self) -> set[str]:
        return self._glance(lambda db: reading.ready_inboxes(db))

    def paused(self) -> set[tuple[str, str | None]]:
        self._paused = self._glance(lambda db: reading.paused(db, self._paused))
        return set(self._paused.what)

    def records(self, owner: str, kind: str | None = None, key: str | None = None) -> list[r.Record]:
        return self._glance(lambda db: reading.records(db, owner, kind, key))

    def sessions(self) -> list[r.Session]:
        return self._glance(lambda db: reading.sessions(db))

    def activations(self) -> list[r.Term]:
        return self._glance(lambda db: reading.activations(db))

    # Inside

    def _open_session(self, tx: Tx, op: r.OpenSession) -> r.Session:
        return sessions.open_session(tx, op, self._gone)

    def _activate(self, tx: Tx, op: r.Activate) -> r.Term | PostroomError:
        return sessions.activate(tx, op, self._gone)

    def _tick(self, tx: Tx, op: r.Tick) -> r.Ticked:
        return timekeeping.tick(tx, op.limit, self._gone)

    def _sweep(self, tx: Tx, op: r.Sweep) -> r.Changed:
        changed, self._sweep_after = upkeep.sweep(tx, op, self._sweep_after)
        return changed

    def _table(self) -> dict[type, Callable[..., r.Answer]]:
        """What handles each operation that is not applied in bulk."""
        return {
            r.Extend: settling.extend,
            r.Register: registry.register,
            r.Control: registry.control,
            r.OpenSession: self._open_session,
            r.RenewSession: sessions.renew,
            r.CloseSession: sessions.close,
            r.Activate: self._activate,
            r.Deactivate: sessions.deactivate,
            r.Put: keyed.put,
            r.Requeue: upkeep.requeue,
            r.Drop: upkeep.drop,
            r.Cancel: upkeep.cancel,
            r.Tick: self._tick,
            r.Sweep: self._sweep,
        }


def _place(
    answers: list[r.Answer | None],
    where: Sequence[tuple[int, object]],
    what: Sequence[r.Accepted | r.Settled | PostroomError],
) -> None:
    for (n, _), answer in zip(where, what, strict=True):
        answers[n] = answer
