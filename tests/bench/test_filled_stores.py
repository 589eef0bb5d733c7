"""A store that was filled past the rules is one that they could have written, and goes on under them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from postgres_server import Postgres

from postroom.bench.depth import Engine
from postroom.bench.ground import new_url
from postroom.bench.postgres import filling, places
from postroom.bench.postgres.filling import Filler
from postroom.bench.rows import Params
from postroom.store.port import Store
from postroom.store.records import NewMessage, Send
from postroom.store.states import State
from postroom.store.transact import transact
from postroom.store.urls import open_store

INBOX = "bench/0"
WAITING, DONE = 1_300, 1_700


@pytest.fixture
def params(postgres: Postgres, tmp_path: Path) -> Iterator[Params]:
    found = Params(directory=str(tmp_path), postgres=postgres.base)
    yield found
    places.clear(found)


@pytest.fixture
def engine(params: Params) -> Iterator[Engine]:
    """With one message that waits and one that is done."""
    engine = Engine(new_url(params, "depth"), 1, params)
    engine.send(2)
    engine.claim_and_ack([INBOX], 1)
    with closing(engine):
        yield engine


@pytest.fixture
def store(params: Params, engine: Engine) -> Iterator[Store]:
    with closing(open_store(new_url(params, "depth"), create=False)) as store:
        yield store


def fill(params: Params, waiting: int, done: int, within: float = 60.0) -> tuple[int, int]:
    with closing(Filler(params.postgres, new_url(params, "depth"))) as filler:
        return filler.fill(waiting, done, time.perf_counter() + within)


def test_every_row_and_count_of_a_filled_store_is_right(
    params: Params, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filling, "AT_ONCE", 600)
    assert fill(params, WAITING, DONE) == (WAITING, DONE)
    verified = store.verify(deep=True)
    assert verified.faults == []
    assert (verified.counts["ready"], verified.counts["done"]) == (WAITING + 1, DONE + 1)
    (counts,) = store.counts(INBOX)
    assert (counts.ready, counts.done, counts.accepted) == (WAITING + 1, DONE + 1, WAITING + DONE + 2)


def test_what_was_filled_in_is_claimed_and_acknowledged_like_any_other_mail(
    params: Params, engine: Engine, store: Store
) -> None:
    fill(params, WAITING, DONE)
    taken = 0
    while batch := engine.claim_and_ack([INBOX], 200):
        taken += batch
    assert taken == WAITING + 1
    assert store.verify(deep=True).faults == []
    assert store.counts(INBOX)[0].done == WAITING + DONE + 2


def test_copies_differ_from_what_the_rules_wrote_in_id_and_number_alone(params: Params, store: Store) -> None:
    fill(params, 2, 2)
    for state in (State.READY, State.DONE):
        first, *copies = store.peek(INBOX, 10, state=state.word)
        assert len(copies) == 2
        for copy in copies:
            found = store.message(copy.id)
            assert found is not None
            assert found.seq > first.seq
            assert found.id != first.id
            found.id, found.seq, found.history = first.id, first.seq, first.history
            assert found == first


def test_the_id_of_a_copy_is_known(params: Params, store: Store) -> None:
    fill(params, 1, 1)
    copy = store.peek(INBOX, 10, state="ready")[-1]
    message = store.message(copy.id)
    assert message is not None
    same = NewMessage(message.id, INBOX, message.sender, message.type, message.body)
    (answer,) = transact(store, [Send(same)])
    assert getattr(answer, "state", answer) == "duplicate"


def test_who_has_no_time_left_fills_nothing(params: Params, store: Store) -> None:
    assert fill(params, WAITING, DONE, within=-1.0) == (0, 0)
    assert store.counts(INBOX)[0].accepted == 2
