"""A machine whose clock is wrong by a day does no harm: the server's alone says when a lease ends."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest
from children import CREW, Child
from crew import LEDGER, POOL
from jobs import send_jobs
from waiting_for import until
from wrong_clock import __file__ as WRONG_CLOCK

from postroom.mailbox.desk import Desk
from postroom.mailbox.ids import IdMaker
from postroom.store.port import Store
from postroom.store.records import InboxSpec, Register
from postroom.store.transact import transact_one
from postroom.store.urls import open_store

pytestmark = pytest.mark.long

DAY = 86_400
JOBS = 60
BOX = "worker/a"
wrong_by_a_day = pytest.mark.parametrize("ahead", [DAY, -DAY], ids=["ahead", "behind"])

There = Callable[..., Any]


@pytest.fixture
def store(postgres_url: str) -> Iterator[Store]:
    """The store as a machine sees it whose clock is right."""
    opened = open_store(postgres_url, create=True)
    transact_one(opened, Register(tuple(map(InboxSpec, (BOX, POOL, LEDGER)))))
    yield opened
    opened.close()


@pytest.fixture
def there(postgres_url: str, ahead: int) -> There:
    """Runs a command on the machine whose clock is wrong; gives its answer."""

    def run(*words: str) -> Any:
        command = [
            sys.executable,
            WRONG_CLOCK,
            str(ahead),
            "-m",
            "postroom",
            "--store",
            postgres_url,
            "--json",
        ]
        done = subprocess.run([*command, *words], capture_output=True, text=True, check=False, timeout=30)
        assert done.returncode in (0, 4), done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture
def desk(store: Store) -> Desk:
    return Desk(store, IdMaker(store.clock, Random(1)))


@wrong_by_a_day
def test_what_it_has_leased_is_nobody_elses_for_just_as_long(store: Store, desk: Desk, there: There) -> None:
    desk.send(BOX, "job", b"{}")
    there("poll", BOX, "--lease", "3")
    assert desk.poll(BOX) == []
    (mail,) = desk.poll(BOX, wait=20)
    assert mail.attempt == 2


@wrong_by_a_day
def test_it_takes_nothing_that_another_has_leased(desk: Desk, there: There) -> None:
    desk.send(BOX, "job", b"{}")
    (mail,) = desk.poll(BOX, lease=30)
    assert there("poll", BOX, "--wait", "0.5")["messages"] == []
    desk.ack(mail.id, mail.fence)


@wrong_by_a_day
def test_mail_that_it_delays_comes_then_and_that_of_others_not_before(
    store: Store, desk: Desk, there: There
) -> None:
    desk.send(BOX, "later", b"{}", delay=3600)
    assert there("poll", BOX)["messages"] == []
    there("send", BOX, "--type", "soon", "--body", "{}", "--delay", "0.5")
    (mail,) = desk.poll(BOX, wait=20)
    assert mail.type == "soon"


def test_a_node_there_works_beside_one_here_and_each_job_counts_once(postgres_url: str, store: Store) -> None:
    with (
        Child("node", postgres_url, "--name", "here") as here,
        Child(
            "node", postgres_url, "--name", "there", program=(WRONG_CLOCK, str(DAY), str(CREW))
        ) as elsewhere,
    ):
        here.expect("ready")
        elsewhere.expect("ready")
        send_jobs(store, range(JOBS))
        until(store, lambda: totals(store) == (JOBS, sum(range(JOBS))))
        assert [session.live for session in store.sessions()] == [True, True]


def totals(store: Store) -> tuple[int, int]:
    """What the ledger has counted."""
    found = store.records(LEDGER, "state", "")
    state: dict[str, int] = json.loads(found[0].value) if found else {}
    return state.get("count", 0), state.get("total", 0)
