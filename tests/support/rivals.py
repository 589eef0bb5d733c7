"""Several handles on one store on a server, which do something at the same moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from random import Random
from threading import Barrier
from types import TracebackType
from typing import TypeVar
from urllib.parse import quote

from postroom.store import records as r
from postroom.store.errors import PostroomError
from postroom.store.postgres.engine import PostgresStore, open_postgres
from postroom.store.transact import transact

T = TypeVar("T")
MANY = 8
PATIENCE_SECONDS = 30.0


def with_isolation(url: str, level: str) -> str:
    """The URL, on a server whose transactions have another isolation unless they say so."""
    setting = level.replace(" ", r"\ ")
    return f"{url}&options={quote(f'-c default_transaction_isolation={setting}')}"


def portable(url: str) -> str:
    """The URL of a store that is made without what only PostgreSQL has."""
    return f"{url}&portable=yes"


class Rivals:
    """``many`` handles, each used by a thread of its own. At the end, the store must add up."""

    def __init__(self, url: str, many: int = MANY) -> None:
        def connect(n: int) -> PostgresStore:
            return open_postgres(url, create=True, rng=Random(n))

        with ThreadPoolExecutor(many) as threads:
            self.stores = list(threads.map(connect, range(many)))
        self.first = self.stores[0]

    def together(self, act: Callable[[PostgresStore, int], T]) -> list[T]:
        """Have all of them do it, beginning at the same moment; what each has got. Raises what one raised."""
        gate = Barrier(len(self.stores), timeout=PATIENCE_SECONDS)

        def one(n: int) -> T:
            gate.wait()
            return act(self.stores[n], n)

        with ThreadPoolExecutor(len(self.stores)) as threads:
            return list(threads.map(one, range(len(self.stores))))

    def each_asks(self, operations: Sequence[r.Operation]) -> list[r.Answer]:
        """Have each of them do one of these, at the same moment; the answers."""
        return self.together(lambda store, n: asked(store, operations[n]))

    def all_ask(self, operation: r.Operation) -> list[r.Answer]:
        """Have all of them do the same."""
        return self.each_asks([operation] * len(self.stores))

    def __enter__(self) -> Rivals:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                verified = self.first.verify(deep=True)
                assert verified.ok, verified.faults
        finally:
            for store in self.stores:
                store.close()


def asked(store: PostgresStore, operation: r.Operation) -> r.Answer:
    """The answer to one operation, which may be that it is refused."""
    (answer,) = transact(store, [operation])
    return answer


def words(answers: list[r.Answer]) -> list[str]:
    """What each answer says in a word: the state, ``already``, or the code of an error; in order."""
    return sorted(_word(answer) for answer in answers)


def _word(answer: r.Answer) -> str:
    if isinstance(answer, PostroomError):
        return answer.code
    if isinstance(answer, r.Settled) and answer.already:
        return "already"
    return str(getattr(answer, "state", type(answer).__name__.lower()))
