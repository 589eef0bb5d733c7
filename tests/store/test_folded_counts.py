"""Counts are written where nobody waits for them, and folded when they have become many."""

from __future__ import annotations

from contextlib import closing

import pytest
from port_verbs import INBOX, Engine, claim, do, register, send, settlement

from postroom.store import records as r
from postroom.store.postgres.engine import PostgresStore, open_postgres
from postroom.store.rules import inboxes, tx
from postroom.store.transact import transact_one

FEW, MANY = 4, 30


def _folding_at(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inboxes, "FOLD_AT", rows)
    monkeypatch.setattr(tx, "FOLD_AT", rows)


def _depth(store: Engine) -> tuple[int, int]:
    (counts,) = (one for one in store.counts() if one.inbox == INBOX)
    return counts.accepted, counts.done


def test_a_handle_that_has_written_many_folds_them_and_goes_on(
    store: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    _folding_at(FEW, monkeypatch)
    register(store, INBOX)
    for _ in range(MANY):
        send(store)
    for delivery in claim(store, MANY // 2):
        transact_one(store, settlement(delivery))
    assert _depth(store) == (MANY, MANY // 2)
    assert store.verify().ok
    assert _hot(store) < 2 * FEW


def test_handles_that_live_for_one_message_leave_few(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _folding_at(FEW, monkeypatch)
    for n in range(MANY):
        with closing(open_postgres(postgres_url, create=True)) as store:
            if not n:
                register(store, INBOX)
            send(store)
            assert _hot(store) <= FEW
    with closing(open_postgres(postgres_url, create=True)) as store:
        assert _depth(store) == (MANY, 0)


def test_the_sweep_folds_what_none_of_many_handles_did(
    store: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(store, INBOX)
    for _ in range(MANY):
        send(store)
    _folding_at(MANY, monkeypatch)
    do(store, r.Sweep(10**15, 10**15), r.Changed)
    assert _hot(store) <= 1
    assert _depth(store) == (MANY, 0)
    assert store.verify().ok


def _hot(store: Engine) -> int:
    """How many counts are not folded, where each batch adds its own."""
    if not isinstance(store, PostgresStore):
        return 0
    rows: int = store._glance(  # pyright: ignore[reportPrivateUsage]  # nobody else need know
        lambda db: db.row("tally_rows")[0]
    )
    return rows
