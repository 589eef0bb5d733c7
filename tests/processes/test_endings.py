"""SIGTERM and SIGINT: finish within the grace period or release, and leave the rest as it was."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest
from children import Child
from crew import LEDGER
from jobs import send_all, send_jobs, stored
from waiting_for import until

from postroom.store.port import Store

Start = Callable[..., Child]
ENDING = [signal.SIGTERM, signal.SIGINT]


@pytest.mark.parametrize("number", ENDING)
def test_a_turn_that_ends_within_the_grace_period_is_kept(
    store: Store, start: Start, number: signal.Signals
) -> None:
    send_all(store, [(1, "worker/a", "Linger", b'{"seconds":0.3}')])
    child = start("node")
    child.expect("lingering")
    child.signal(number)
    assert child.ended() == 0
    assert (stored(store, 1).state, stored(store, 1).attempts) == ("done", 1)


@pytest.mark.parametrize("number", ENDING)
def test_a_turn_that_does_not_is_released_with_what_only_waited(
    store: Store, start: Start, number: signal.Signals
) -> None:
    send_all(store, [(1, "worker/a", "Linger", b'{"seconds":60}')])
    send_jobs(store, range(2, 12), to="worker/a")
    child = start("node", "--grace", "0.3", "--concurrency", "1")
    child.expect("lingering")
    child.signal(number)
    assert child.ended() == 0
    assert {(stored(store, n).state, stored(store, n).attempts) for n in range(1, 12)} == {("ready", 0)}
    assert not any(session.live for session in store.sessions())


def test_in_the_grace_period_nothing_new_begins(store: Store, start: Start) -> None:
    send_all(store, [(1, "worker/a", "Linger", b'{"seconds":1}')])
    child = start("node")
    child.expect("lingering")
    child.signal(signal.SIGTERM)
    child.expect("leaving")
    send_jobs(store, range(2, 12), to="worker/a")
    assert child.ended() == 0
    assert stored(store, 1).state == "done"
    assert {stored(store, n).state for n in range(2, 12)} == {"ready"}


def test_in_the_grace_period_no_actor_comes_alive_that_waited_for_its_name(
    store: Store, start: Start
) -> None:
    owner = start("node")
    owner.expect("ready")
    heir = start("node", "--name", "b", "--grace", "2")
    heir.expect("ready")
    send_all(store, [(1, "worker/b", "Linger", b'{"seconds":60}')])
    heir.expect("lingering")
    heir.signal(signal.SIGTERM)
    heir.expect("leaving")
    owner.signal(signal.SIGTERM)
    assert owner.ended() == 0
    send_all(store, [(n, LEDGER, "Done", b'{"n":%d}' % n) for n in range(2, 5002)])
    assert heir.ended() == 0
    (ledger,) = store.counts(LEDGER)
    assert (ledger.ready, ledger.done) == (5000, 0)


def test_what_was_left_is_done_after_the_next_start(store: Store, start: Start) -> None:
    send_jobs(store, range(1, 2001))
    child = start("node")
    child.expect("first")
    child.signal(signal.SIGTERM)
    assert child.ended() == 0
    assert {message.attempts for message in store.peek("any:worker", 2000)} <= {0}
    start("node")
    until(store, lambda: store.counts("ledger/main")[0].done == 2000)
