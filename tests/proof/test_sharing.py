"""What sharing a file has broken, each reduced to what matters, and the quick ones of the episodes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest
from children import Child
from crew import POOL, job_id
from port_verbs import INBOX, a_message, claim, do, refusal, register, send, session, settlement
from prove.outcome import Outcome
from prove.restoring import Backup
from prove.restoring import restore as restore_herd
from prove.sharing import STRANGERS, Ground, play

from postroom.store import records as r
from postroom.store.backup import restore
from postroom.store.errors import LostLease, StoreUnavailable
from postroom.store.sqlite.file import FileStore
from postroom.store.transact import transact
from postroom.store.urls import open_file_store

MANY = 3_000


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'room.db'}"


@pytest.fixture
def backup(url: str, tmp_path: Path) -> Path:
    """A backup of a store with one message that waits; the store is closed."""
    path = tmp_path / "backup.db"
    store = open_file_store(url, create=True)
    register(store, INBOX)
    send(store)
    store.backup(str(path))
    store.close()
    return path


def test_a_lease_from_between_two_restores_of_one_backup_is_lost(url: str, backup: Path) -> None:
    first = restore(backup, url, force=True)
    store = open_file_store(url, create=False)
    (held,) = claim(store)
    store.close()
    second = restore(backup, url, force=True)
    store = open_file_store(url, create=False)
    (living,) = claim(store)
    assert second > first
    assert living.fence != held.fence
    assert isinstance(refusal(store, settlement(held)), LostLease)
    store.close()


def test_after_a_restore_nobody_is_charged_for_turns_of_a_life_that_never_was(url: str, backup: Path) -> None:
    store = open_file_store(url, create=False)
    left = session(store, "gone:0:0:0")
    (running,) = claim(store, session=left)
    store.turn_marks(left).begin(running.seq)
    store.close()
    restore(backup, url, force=True)
    store = open_file_store(url, create=False)
    again = session(store, "gone:0:0:1")
    store.turn_marks(again)
    (waiting,) = claim(store, session=again)
    do(store, r.Tick(), r.Ticked)
    (message,) = store.peek(INBOX, 1)
    assert (message.id, message.state, message.attempts) == (waiting.id, "ready", 0)
    store.close()


def test_a_backup_ends_although_commits_follow_each_other(url: str, tmp_path: Path) -> None:
    """It copies in pieces, and meanwhile others commit: that must not make it begin anew each time."""
    store = open_file_store(url, create=True)
    register(store, INBOX)
    body = b'"' + b"x" * 900_000 + b'"'
    transact(store, [r.Send(a_message(body=body)) for _ in range(40)])
    with ThreadPoolExecutor(1) as pool:
        copying = pool.submit(store.backup, str(tmp_path / "backup.db"))
        commits = 0
        while not copying.done() and commits < MANY:
            send(store)
            commits += 1
    assert commits < MANY
    store.close()


@pytest.fixture
def stranger(url: str) -> Callable[[str], Child]:
    open_file_store(url, create=True).close()

    def start(role: str) -> Child:
        return Child(role, url, program=(str(STRANGERS),))

    return start


def _with_pool(url: str) -> FileStore:
    store = open_file_store(url, create=False)
    register(store, POOL, "worker/a")
    return store


def test_a_child_of_a_fork_loses_nothing_that_it_was_told_is_accepted(
    url: str, stranger: Callable[[str], Child]
) -> None:
    _with_pool(url).close()
    with stranger("reopener") as child:
        assert child.ended() == 0
        told = next(event for event in child.events() if "accepted" in event)
    store = open_file_store(url, create=False)
    assert [n for n in told["accepted"] if store.message(job_id(n)) is None] == []
    assert told["event"] == "refused"
    assert "fork" in told["error"]
    store.close()


def test_a_fork_in_a_transaction_leaves_it_to_the_parent(url: str, stranger: Callable[[str], Child]) -> None:
    _with_pool(url).close()
    with stranger("mid_turn") as child:
        assert child.ended() == 0
        events = {told["event"]: told for told in child.events()}
    assert "worked" not in events
    store = open_file_store(url, create=False)
    assert all(store.message(job_id(n)) for n in events["forked"]["accepted"])
    assert store.verify(deep=True).ok
    store.close()


def test_an_episode_that_loses_a_message_is_told() -> None:
    def careless(ground: Ground) -> None:
        ground.herd.sent = 1

    outcome = Outcome(0)
    play("careless", careless, Random(1), outcome)
    assert (outcome.lost, outcome.clean) == (1, False)


def test_an_episode_whose_restore_fails_tells_that_and_nothing_else() -> None:
    def without_a_backup(ground: Ground) -> None:
        ground.herd.sent = 1
        restore_herd(ground.herd, Backup(ground.folder / "none.db", 0), 0, ground.outcome)

    outcome = Outcome(0)
    play("no backup", without_a_backup, Random(1), outcome)
    (told,) = outcome.breaches
    assert "restore ended with" in told
    assert (outcome.lost, outcome.other) == (0, 1)


def test_an_episode_whose_store_fails_tells_that_and_the_next_one_goes_on() -> None:
    def damaged(ground: Ground) -> None:
        raise StoreUnavailable("the store is damaged", "a page is unreadable", "repair it")

    outcome = Outcome(0)
    play("damaged", damaged, Random(1), outcome)
    (told,) = outcome.breaches
    assert "the store is damaged" in told
