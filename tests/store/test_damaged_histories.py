"""Bytes that rot where there is no sum: what is told of a message's life, and the indexes."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from random import Random

import apsw
import pytest
from port_verbs import INBOX, a_message, claim, register, send, settle

from postroom.store import records as r
from postroom.store.clock import ManualClock
from postroom.store.errors import StoreUnavailable
from postroom.store.repair import repair
from postroom.store.sqlite.file import FileStore, open_file

CLOCK = ManualClock()


def opened(path: Path) -> FileStore:
    return open_file(path, create=not path.exists(), clock=CLOCK, rng=Random(0))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A closed store with three messages, of which the first was retried for a reason."""
    path = tmp_path / "s.db"
    store = opened(path)
    register(store, INBOX)
    for _ in range(3):
        send(store, a_message())
    first, *others = claim(store)
    settle(store, first, r.Verdict.RETRY, reason="too early")
    for other in others:
        settle(store, other, r.Verdict.RELEASE)
    store.close()
    return path


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE event SET reason = CAST(x'6aff62' AS TEXT) WHERE message = 1",
        "UPDATE event SET event = CAST(x'c3' AS TEXT) WHERE message = 1",
        "UPDATE event SET state = 49 WHERE message = 1",
        "UPDATE message SET reason = CAST(x'ca' AS TEXT) WHERE seq = 1",
    ],
)
def test_a_history_that_cannot_be_read_is_named_and_repaired(path: Path, change: str) -> None:
    with closing(apsw.Connection(str(path))) as conn:
        id = conn.execute("SELECT id FROM message WHERE seq = 1").get
        conn.execute(change)
    assert isinstance(id, bytes)
    store = opened(path)
    assert store.verify(deep=True).faults == ["the history of the message numbered 1 cannot be read"]
    with pytest.raises(StoreUnavailable, match="postroom repair"):
        store.message(id)
    store.close()
    assert not repair(f"sqlite:///{path}", accept_loss=False, clock=CLOCK).lost
    store = opened(path)
    assert store.verify(deep=True).ok
    message = store.message(id)
    assert message is not None
    assert message.state == "delayed"
    store.close()


def test_a_claim_through_an_index_that_is_wrong_is_refused_with_a_way_out(path: Path) -> None:
    with closing(apsw.Connection(str(path))) as conn:
        hide = "UPDATE sqlite_schema SET sql = replace(sql, 'state < 4', 'state < 0') WHERE name = ?"
        show = "UPDATE sqlite_schema SET sql = replace(sql, 'state < 0', 'state < 4') WHERE name = ?"
        conn.pragma("writable_schema", True)
        conn.execute(hide, ("message_live",))
        conn.pragma("writable_schema", "RESET")
        conn.execute("UPDATE message SET state = 3 WHERE seq = 3")
        conn.pragma("writable_schema", True)
        conn.execute(show, ("message_live",))
    store = opened(path)
    with pytest.raises(StoreUnavailable, match=r"indexes do not agree.*postroom repair"):
        claim(store)
    assert not store.verify(deep=True).ok
    store.close()
