"""A copy that is not what was copied becomes no store, whatever has changed or lost a row of it."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from copied import Heard, after_a_reboot, cut_off, in_schema, left_in_schema, looked_at, opened

from postroom.store.clock import ManualClock
from postroom.store.copying.copy import copy
from postroom.store.errors import PostroomError, Refused, StoreUnavailable
from postroom.store.shown import is_remote
from postroom.store.urls import store_path

pytestmark = pytest.mark.usefixtures("small_steps")

ALL_THERE = "compared"
"""When this is told first, all is copied, and some of it compared."""


def in_target(url: str, statement: str) -> None:
    """What somebody else does to a copy that is not finished."""
    if is_remote(url):
        in_schema(url, statement)
        return
    with closing(sqlite3.connect(store_path(f"{url}.copying"))) as conn:
        conn.execute(statement)
        conn.commit()


def refused(source: str, target: str, clock: ManualClock, heard: Heard | None = None) -> str:
    """Why the copy is refused. Nothing of it is left, and once nobody meddles it can be done again."""
    with pytest.raises(PostroomError, match="the copy is not what was copied") as why:
        copy(source, target, clock=clock, progress=(heard or Heard()).progress)
    with pytest.raises(StoreUnavailable, match="no store"):
        opened(target, clock)
    if is_remote(target):
        assert left_in_schema(target) == []
    else:
        assert not list(store_path(target).parent.glob("b.db*"))
    assert not any(copy(source, target, clock=clock).found.values())
    assert looked_at(target, clock) == after_a_reboot(source, clock)
    return why.value.why


@pytest.mark.long
@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("messages", "UPDATE message SET ready_at = ready_at + 1 WHERE seq = 5"),
        ("messages", "UPDATE message SET reply_to = 'boss/x' WHERE seq = 5"),
        ("events", "UPDATE event SET reason = 'another' WHERE event = 'retry'"),
        ("counts", "UPDATE total SET retried = retried + 1"),
        ("sessions", "UPDATE session SET name = 'another'"),
        ("records", "UPDATE record SET key = 'another' WHERE key = 'key'"),
        ("activations", "UPDATE activation SET term = term + 1"),
        ("events", "DELETE FROM event WHERE message = (SELECT min(message) FROM event)"),
        ("inboxes", "UPDATE inbox SET bound = bound + 1 WHERE id = 1"),
        ("spent ids", "UPDATE SPENT SET at = at + 1"),
    ],
)
def test_a_row_that_was_changed_since_it_was_written_is_found(
    what: str, change: str, source: str, either: str, clock: ManualClock
) -> None:
    first = cut_off(source, either, clock, ALL_THERE)
    assert first.told[-1][0] == ALL_THERE
    spent = "message_id" if is_remote(either) else "spent_id"
    in_target(either, change.replace("SPENT", spent))
    assert what in refused(source, either, clock)


@pytest.mark.long
def test_what_was_lost_from_the_end_is_written_again(source: str, either: str, clock: ManualClock) -> None:
    cut_off(source, either, clock, ALL_THERE)
    in_target(either, "DELETE FROM activation")
    in_target(either, "DELETE FROM event WHERE message = (SELECT max(message) FROM event)")
    done = copy(source, either, clock=clock)
    assert done.found["activations"] == 0
    assert 0 < done.found["events"] < done.rows["events"]
    assert looked_at(either, clock) == after_a_reboot(source, clock)


@pytest.mark.long
def test_what_was_lost_from_the_middle_is_found_where_it_cannot_be_written(
    source: str, either: str, clock: ManualClock
) -> None:
    cut_off(source, either, clock, ALL_THERE)
    in_target(either, "DELETE FROM message WHERE seq = (SELECT min(seq) FROM message)")
    with pytest.raises(Refused, match="messages cannot be copied"):
        copy(source, either, clock=clock)
    assert not any(copy(source, either, clock=clock).found.values())


@pytest.mark.parametrize("answer", ["NULL", "NEW"])
def test_a_server_that_changes_or_loses_what_it_is_given_is_found_out(
    answer: str, source: str, postgres_url: str, clock: ManualClock
) -> None:
    def meddle() -> None:
        body = f"BEGIN NEW.reason := 'another'; RETURN {answer}; END"
        in_schema(postgres_url, f"CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$")
        row = "BEFORE INSERT ON event FOR EACH ROW EXECUTE FUNCTION meddle()"
        in_schema(postgres_url, f"CREATE TRIGGER meddles {row}")

    assert "events differs" in refused(source, postgres_url, clock, Heard(2, meddle))


def test_what_is_lost_after_it_was_compared_is_found(source: str, either: str, clock: ManualClock) -> None:
    """Leases are taken back when all has been compared; whatever that sets off is seen by the accounts."""
    cut_off(source, either, clock, ALL_THERE)
    loss = "DELETE FROM message WHERE state = 4;"
    if is_remote(either):
        body = f"BEGIN {loss} RETURN NULL; END"
        in_schema(either, f"CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$")
        loss = "FOR EACH STATEMENT EXECUTE FUNCTION lose()"
        in_target(either, f"CREATE TRIGGER loses AFTER UPDATE ON message {loss}")
    else:
        in_target(either, f"CREATE TRIGGER loses AFTER UPDATE ON message BEGIN {loss} END")
    assert "found" in refused(source, either, clock)
