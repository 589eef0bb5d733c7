"""How a row reads in another store, and what nobody may do to a file while it is copied."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from copied import opened
from full_store import clock_of_now
from port_verbs import SECOND, claim, do, register, send

from postroom.store import records as r
from postroom.store.clock import Instant, ManualClock
from postroom.store.copying.carrying import Carrying
from postroom.store.copying.copy import copy
from postroom.store.copying.tables import SESSIONS
from postroom.store.postgres.engine import open_postgres
from postroom.store.postgres.urls import read_url
from postroom.store.rules.timekeeping import STEP
from postroom.store.sqlite.file import open_file
from postroom.store.states import FENCE_BITS

pytestmark = pytest.mark.long


def test_a_session_has_ended_as_long_ago_by_the_other_clock() -> None:
    carrying = Carrying(1, Instant(1000, 50), Instant(1000, 1000))
    (row,) = carrying.carried(SESSIONS, [(1, "s", "process", "p", 40, 1)])
    assert list(row) == [1, "s", "process", "p", 990, 0]


def test_how_a_clock_was_set_is_not_carried_along(
    source: str, either: str, clock: ManualClock, tmp_path: Path
) -> None:
    with closing(opened(source, clock)) as store:
        clock.step_wall(-5)
        do(store, r.Tick(), r.Ticked)
        assert [record.key for record in store.records(STEP[0])] == [STEP[2]]
        others = len(store.records("me"))
    done = copy(source, either, clock=clock)
    assert done.rows["records"] == others
    back = copy(either, f"sqlite:///{tmp_path}/back.db", clock=clock)
    assert back.rows["records"] == others


def test_fences_have_the_new_epoch_and_numbers_go_on(tmp_path: Path, postgres_url: str) -> None:
    clock, path = clock_of_now(), tmp_path / "a.db"
    with closing(open_file(path, create=True, clock=clock)) as store:
        register(store, "worker/a", "worker/b")
        send(store)
        session = 0
        for _ in range(3):
            session = do(store, r.OpenSession("s", "process", "x:0:0:0", SECOND), r.Session).id
            do(store, r.CloseSession(session), r.Changed)
        inboxes = len(store.counts())
    done = copy(f"sqlite:///{path}", postgres_url, clock=clock)
    place = read_url(postgres_url)
    for sequence, last in (("session_id_seq", session), ("inbox_id_seq", inboxes)):
        with psycopg.connect(place.conninfo) as conn:
            conn.execute("SELECT set_config('search_path', %s, false)", (place.schema,))
            found = conn.execute("SELECT pg_sequence_last_value(%s::regclass)", (sequence,)).fetchone()
        assert found == (last,)
    with closing(open_postgres(postgres_url, create=False)) as store:
        assert claim(store)[0].fence >> FENCE_BITS == done.epoch


def test_nobody_can_open_a_file_while_it_is_copied(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    open_file(path, create=True).close()
    source = f"sqlite:///{path}"
    codes: set[int] = set()

    def look(*_: object) -> None:
        if codes:
            return
        words = [sys.executable, "-m", "postroom", "inbox", "list", "--store", source]
        codes.add(subprocess.run(words, check=False, capture_output=True, timeout=50).returncode)

    with closing(open_file(path, create=False)) as store:
        register(store, "worker/a")
    copy(source, f"sqlite:///{tmp_path}/b.db", progress=look)
    assert codes == {5}
