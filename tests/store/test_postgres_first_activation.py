"""Who takes a name first when several try at the same moment."""

from __future__ import annotations

from threading import Barrier, Thread

from postroom.store.errors import Conflict
from postroom.store.postgres.engine import PostgresStore, open_postgres
from postroom.store.process import this_process
from postroom.store.records import Activate, OpenSession, Session, Term
from postroom.store.transact import transact_one

RIVALS, NAMES = 4, 12


def test_exactly_one_of_several_takes_a_name_that_nobody_has_had(postgres_url: str) -> None:
    stores = [open_postgres(postgres_url, create=True) for _ in range(RIVALS)]
    sessions = [_session(store) for store in stores]
    for number in range(NAMES):
        taken: list[Term] = []
        start = Barrier(RIVALS)

        def take(store: PostgresStore, session: int, name: str, start: Barrier, taken: list[Term]) -> None:
            start.wait()
            try:
                term = transact_one(store, Activate(name, session))
            except Conflict:
                return
            assert isinstance(term, Term)
            taken.append(term)

        threads = [
            Thread(target=take, args=(store, session, f"name{number}", start, taken))
            for store, session in zip(stores, sessions, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (term,) = taken
        assert term.term == 1
        assert term in stores[0].activations()
    for store in stores:
        store.close()


def _session(store: PostgresStore) -> int:
    session = transact_one(store, OpenSession("rival", "test", this_process(), 600_000_000))
    assert isinstance(session, Session)
    return session.id
