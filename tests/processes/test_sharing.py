"""Several processes and one file: busy writers, writers who know nothing of postroom, and forks."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from random import Random

import pytest
from children import Child
from crew import LEDGER, PULL
from jobs import send_jobs
from waiting_for import until

from postroom.mailbox.desk import Desk
from postroom.mailbox.ids import IdMaker
from postroom.store.sqlite.file import FileStore

Start = Callable[..., Child]
ACKS = 500


@pytest.mark.parametrize("role", ["node", "sender"])
def test_acks_get_through_while_another_process_commits_at_full_rate(
    store: FileStore, start: Start, role: str
) -> None:
    send_jobs(store, range(1, 20_001))
    send_jobs(store, range(1_000_001, 1_000_001 + ACKS), to=PULL)
    other = start(role, "--start", "100001")
    other.expect("first" if role == "node" else "sent")
    before = turned_over(store)
    until(store, lambda: turned_over(store) > before)  # it commits
    before = turned_over(store)
    assert acks(store) == ACKS
    until(store, lambda: turned_over(store) > before + ACKS)  # and has gone on
    assert other.process.poll() is None


def acks(store: FileStore) -> int:
    """Claim all that is there and ack it piece by piece; how many that were."""
    desk = Desk(store, IdMaker(store.clock, Random(1)))
    settled = [desk.ack(delivery.id, delivery.fence) for delivery in desk.poll(PULL, max=ACKS)]
    return len(settled)


def turned_over(store: FileStore) -> int:
    return sum(counts.accepted + counts.done for counts in store.counts())


@pytest.mark.timeout(30)
def test_a_lock_held_by_a_stranger_for_two_seconds_delays_and_breaks_nothing(
    store: FileStore, url: str, start: Start
) -> None:
    send_jobs(store, range(1, 101))
    node = start("node")
    until(store, lambda: store.counts(LEDGER)[0].done == 100)
    send_jobs(store, range(101, 2001))
    stranger = start("holder")
    stranger.expect("holding")
    words = ["send", "worker/a", "--type", "Job", "--body", '{"n":2001}', "--json"]
    with subprocess.Popen(
        [sys.executable, "-m", "postroom", "--store", url, *words], stdout=subprocess.PIPE
    ) as sending:
        with pytest.raises(subprocess.TimeoutExpired):
            sending.wait(2)
        stranger.order()
        said, _ = sending.communicate(timeout=20)
    assert sending.returncode == 0
    assert json.loads(said)["state"] == "accepted"
    until(store, lambda: store.counts(LEDGER)[0].done == 2001)
    assert node.process.poll() is None


def test_a_store_is_refused_in_the_child_of_a_fork_and_still_good_in_the_parent(start: Start) -> None:
    child = start("forker")
    code = child.ended()
    told = {event["attempt"]: event["event"] for event in child.events() if "attempt" in event}
    assert code == 0
    assert told == {"read": "refused", "write": "refused", "claim": "refused"}
