"""A small share of the incidents, and that the judge of them is no yes-man."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest
from pgproof.incidents import INCIDENTS
from pgproof.proving import prepare, prove
from pgproof.table import HEADINGS, Row, document, lines, total
from postgres_server import PostgresServer

from postroom.bench.postgres.programs import NoPostgres

pytestmark = pytest.mark.long


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


@pytest.mark.parametrize("word", ["lost", "duplicated", "stuck"])
def test_a_row_that_counts_anything_is_not_clean(word: str) -> None:
    assert Row("it", 1).clean
    assert not Row("it", 1, **{word: 1}).clean  # type: ignore[arg-type]  # of the columns that are numbers
    assert not Row("it", 1, wrong=["a node has ended"]).clean


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
