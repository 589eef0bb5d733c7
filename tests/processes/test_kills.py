"""SIGKILL: nothing is lost, nothing happens twice, and whoever comes next goes on soon."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from accounts import accounts, waiting
from children import Child
from crew import LEDGER, POOL
from jobs import send_all, send_jobs, stored
from waiting_for import until

from postroom.store.port import Store

Start = Callable[..., Child]


def noted(store: Store) -> int:
    return store.counts(LEDGER)[0].done


def has_noted(store: Store, count: int) -> bool:
    return noted(store) >= count


def test_what_a_killed_process_held_is_done_once_by_the_others(store: Store, start: Start) -> None:
    send_jobs(store, range(1, 1001))
    first, second = start("node", "--name", "a"), start("node", "--name", "b")
    for child in (first, second):
        child.expect("first")
    first.kill()
    until(store, lambda: not waiting(store))
    found = accounts(store, 1000)
    assert found.good, found
    assert found.noted == 1000


def test_killed_again_and_again_the_effects_of_each_turn_are_kept_once(store: Store, start: Start) -> None:
    send_jobs(store, range(1, 1001))
    for share in (100, 400, 700):
        with start("node") as child:
            until(store, partial(has_noted, store, share))
            child.kill()
    start("node")
    until(store, lambda: not waiting(store))
    found = accounts(store, 1000)
    assert found.good, found


def test_a_restart_delivers_though_ten_thousand_wait_and_a_lease_is_a_minute(
    store: Store, start: Start
) -> None:
    send_jobs(store, range(1, 10_501))
    with start("node") as child:
        child.expect("first")
        child.kill()
    assert store.counts(POOL)[0].ready + store.counts(POOL)[0].leased > 10_000
    again = start("node")
    again.expect("first", within=20)


def test_a_handler_that_kills_its_process_is_dead_after_five_attempts_and_alone_to_blame(
    store: Store, start: Start
) -> None:
    poison, innocent = 1, range(2, 42)
    send_all(store, [(poison, LEDGER, "Poison", b"{}")])
    send_all(store, [(n, LEDGER, "Done", b'{"n":%d}' % n) for n in innocent])
    deaths = 0
    while stored(store, poison).state != "dead":
        with start("node") as child:
            until(store, partial(gone_or_settled, child, store, poison), 30)
            deaths += child.process.poll() is not None
    assert deaths == 5
    assert (stored(store, poison).attempts, stored(store, poison).reason) == (5, "attempts")
    with start("node"):
        until(store, lambda: not waiting(store))
    assert {(stored(store, n).state, stored(store, n).attempts) for n in innocent} == {("done", 1)}


def gone_or_settled(child: Child, store: Store, n: int) -> bool:
    return child.process.poll() is not None or stored(store, n).state == "dead"
