"""A small share of the incidents, and that the judge of them is no yes-man."""

from __future__ import annotations

import encodings
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from threading import Event

import pytest
from msgspec.structs import replace
from pgproof.census import prove_census
from pgproof.incidents import INCIDENTS
from pgproof.outage import BACK, GONE, prove_outage, said_wrongly
from pgproof.proving import prepare, prove
from pgproof.table import HEADINGS, Row, document, lines, total, verdict
from pgproof.watch import Watch
from postgres_server import PostgresServer

from postroom.bench.postgres.programs import NoPostgres

pytestmark = pytest.mark.long


def wait_until(true: Callable[[], bool], within: float = 30.0) -> None:
    ends = time.monotonic() + within
    while not true():
        assert time.monotonic() < ends
        Event().wait(0.02)


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    try:
        with PostgresServer(fsync=True) as server:
            prepare(server)
            yield server
    except NoPostgres as error:
        pytest.skip(str(error))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["stop", "cut"])
def test_an_incident_loses_nothing_and_does_nothing_twice(server: PostgresServer, name: str) -> None:
    (incident,) = (one for one in INCIDENTS if one.name == name)
    row = prove(server, incident, 1, Random(1), lambda _: None)
    assert row.wrong == []
    assert (row.clean, row.amount) == (True, 1)
    assert row.jobs > 100


@pytest.mark.slow
def test_what_is_not_promised_is_done_once_when_time_is_over_and_that_is_said(server: PostgresServer) -> None:
    (incident,) = (one for one in INCIDENTS if one.name == "backends")
    row = prove(server, replace(incident, promised=False), 3, Random(1), lambda _: None, lambda: True)
    assert (row.good, row.amount, row.wanted) == (True, 1, 1)
    assert row.notes == ["1 of 3: time was over"]


@pytest.mark.slow
def test_a_census_stays_right_while_its_server_is_started_anew(server: PostgresServer) -> None:
    row = prove_census(server, 1, lambda _: None, Path(encodings.__file__).parent, every=10)
    assert row.wrong == []
    assert (row.good, row.amount) == (True, 1)
    assert row.jobs > 100
    assert row.told["looks"] > 0


@pytest.mark.slow
def test_all_goes_on_by_itself_after_the_server_was_away_and_says_so_once(server: PostgresServer) -> None:
    row = prove_outage(server, 2.0, Random(1), lambda _: None)
    assert row.wrong == []
    assert (row.good, row.amount) == (True, 1)
    assert row.jobs > 100


def test_a_log_that_repeats_itself_or_says_anything_else_is_not_clean(tmp_path: Path) -> None:
    lines = {"a": [GONE, BACK], "b": [GONE, BACK, GONE, BACK], "c": [GONE, "Traceback", BACK]}
    for name, said in lines.items():
        (tmp_path / name).write_text("".join(f"{line} ...\n" for line in said))
    assert said_wrongly(tmp_path) == [
        f"b has said 2 times: {GONE}",
        f"b has said 2 times: {BACK}",
        "c has said: Traceback ...",
    ]


def test_who_waits_for_a_lock_and_what_is_dead_is_seen(server: PostgresServer) -> None:
    waits = "INSERT INTO seen.it VALUES (1)"
    with server.connect() as holder, server.connect() as waiter, Watch(server, "seen") as watch:
        holder.execute("CREATE SCHEMA seen")
        holder.execute("CREATE TABLE seen.it AS SELECT * FROM generate_series(1, 100)")
        holder.execute("DELETE FROM seen.it")
        holder.execute("SELECT pg_stat_force_next_flush()") if holder.info.server_version >= 150000 else None
        with ThreadPoolExecutor(1) as aside:
            with holder.transaction():
                holder.execute("LOCK TABLE seen.it")
                told = aside.submit(waiter.execute, waits)
                wait_until(lambda: watch.waited > 0)
            told.result()
        wait_until(lambda: watch.dead.get("it") == 100)


@pytest.mark.parametrize("word", ["lost", "duplicated", "stuck"])
def test_a_row_that_counts_anything_is_not_clean(word: str) -> None:
    assert Row("it", 1).clean
    assert not Row("it", 1, **{word: 1}).clean  # type: ignore[arg-type]  # of the columns that are numbers
    assert not Row("it", 1, wrong=["a node has ended"]).clean


def test_the_outcome_is_one_line_with_what_was_promised() -> None:
    rows = [Row("first", 2, 2, promised=True), Row("second", 5, 5), Row("third", 3, 3, promised=True)]
    right = "5 server crashes, cut links and killed backends survived; accepted and lost 0, done twice 0"
    assert verdict(rows) == f"clean: {right}"
    rows[0].wanted = 3
    assert verdict(rows) == f"NOT CLEAN: {right}"
    assert f"**NOT CLEAN: {right}**" in document(rows, {})


def test_sixty_are_promised() -> None:
    assert sum(one.amount for one in INCIDENTS if one.promised) >= 60


def test_the_page_says_what_was_done_less_than_it_should_and_what_was_wrong() -> None:
    rows = [
        Row("first", 2, 1, 10, wrong=["a node has ended"], seconds=3.0),
        Row("second", 1, 1, 5, seconds=1.0),
    ]
    page = document(rows, {"seed": "1"})
    assert "| first | 1 of 2 | 10 | 0 | 0 | 0 | 1 | 3.0 |" in page
    assert "- first: a node has ended" in page
    assert total(rows).cells()[1:3] == ("2 of 3", "15")
    assert len(lines(rows)) == 1 + len(rows) + 1
    assert lines(rows)[0].split() == list(HEADINGS)
