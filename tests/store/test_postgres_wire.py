"""What is asked of a server travels with what is asked next, and every answer finds who asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from postgres_server import Postgres, PostgresServer
from psycopg.pq import TransactionStatus

from postroom.store.postgres.patience import Connection
from postroom.store.postgres.wire import SLICE_ROWS, Wire

ZERO_DIVIDED = "SELECT 1 / $1::bigint"


@pytest.fixture(params=[True, False], ids=["prepared", "unprepared"])
def wire(postgres: Postgres, request: pytest.FixtureRequest) -> Iterator[Wire]:
    with closing(Wire(Connection.connect(postgres.base, autocommit=True), prepared=request.param)) as found:
        yield found


def status(wire: Wire) -> TransactionStatus:
    return wire.conn.info.transaction_status


def test_a_value_comes_back_as_it_went(wire: Wire) -> None:
    given = (2**63 - 1, "h\xe9 \U0001f600", b"\0\xff", True, [1, None, -3], ["a", None], [b"", b"\1"], "[1]")
    asked = (
        "SELECT $1::bigint, $2::text, $3::bytea, $4::boolean, $5::bigint[], $6::text[], $7::bytea[],"
        " ($8::json)::text"
    )
    assert wire.ask(asked, given).row() == given
    assert wire.ask(asked, (None,) * 8).row() == (None,) * 8


def test_arrays_may_be_empty_or_hold_nothing_but_nulls(wire: Wire) -> None:
    asked = "SELECT cardinality($1::bigint[]), cardinality($2::text[]), $2 IS NULL"
    assert wire.ask(asked, ([], [None] * 2000)).row() == (0, 2000, False)


def test_a_nul_in_a_text_is_kept_as_a_sign(wire: Wire) -> None:
    assert wire.ask("SELECT $1::text, $2::text[]", ("a\0b", ["\0"])).row() == ("a\ufffdb", ["\ufffd"])


@pytest.mark.parametrize("value", [2**63, "\udc80"])
def test_a_value_that_has_no_form_there_is_a_data_error_and_costs_nothing(wire: Wire, value: object) -> None:
    asked = "SELECT $1::bigint" if isinstance(value, int) else "SELECT $1::text"
    with pytest.raises(psycopg.DataError):
        wire.ask(asked, (value,))
    assert wire.ask("SELECT 5").row() == (5,)


def test_a_parameter_of_which_nobody_says_the_type_is_an_error(wire: Wire) -> None:
    with pytest.raises(ValueError, match=r"of what type \$2 is"):
        wire.ask("SELECT $1::bigint + $2", (1, 2))


def test_answers_that_are_looked_at_in_another_order_are_their_own(wire: Wire) -> None:
    wire.begin("BEGIN")
    first, second, none = wire.ask("SELECT 1"), wire.ask("SELECT 2"), wire.ask("SELECT 3 WHERE false")
    assert none.row() is None
    assert (second.row(), first.row(), first.rows()) == ((2,), (1,), [(1,)])
    wire.rollback()


def test_more_rows_than_are_decoded_at_a_time_all_come(wire: Wire) -> None:
    count = 2 * SLICE_ROWS + 1
    asked = wire.ask("SELECT n FROM generate_series(1, $1::bigint) AS n", (count,))
    assert [n for (n,) in asked.each()] == list(range(1, count + 1))


def test_both_sides_may_have_much_to_say_at_once(wire: Wire) -> None:
    wire.begin("BEGIN")
    lengths = [wire.ask("SELECT $1::text, length($1)", ("x" * 400_000,)) for _ in range(20)]
    assert {row[1] for row in (answer.row() for answer in lengths)} == {400_000}
    wire.rollback()


def test_what_was_changed_is_counted(wire: Wire) -> None:
    wire.begin("BEGIN")
    wire.ask("CREATE TEMP TABLE counted (n bigint) ON COMMIT DROP")
    three = wire.ask("INSERT INTO counted SELECT * FROM unnest($1::bigint[])", ([1, 2, 3],))
    two = wire.ask("DELETE FROM counted WHERE n > $1::bigint", (1,))
    told = wire.ask("WITH gone AS (DELETE FROM counted RETURNING 1) SELECT count(*) FROM gone")
    assert (three.changed(), two.changed(), told.changed()) == (3, 2, 1)
    wire.rollback()


def test_a_commit_has_come_once_the_server_says_so(wire: Wire) -> None:
    wire.begin("BEGIN")
    done = wire.ask("COMMIT")
    assert not done.has_come(b"COMMIT")
    wire.end()
    assert done.has_come(b"COMMIT")
    assert status(wire) is TransactionStatus.IDLE


def test_after_an_error_nothing_more_happens_until_it_is_rolled_back(wire: Wire) -> None:
    wire.begin("BEGIN")
    wrong, after, done = wire.ask(ZERO_DIVIDED, (0,)), wire.ask("SELECT 1"), wire.ask("COMMIT")
    with pytest.raises(psycopg.errors.DivisionByZero):
        wire.end()
    assert wire.is_in_error()
    assert not done.has_come(b"COMMIT")
    for answer in (wrong, after):
        with pytest.raises(psycopg.InterfaceError, match="before it has failed"):
            answer.row()
    wire.rollback()
    assert status(wire) is TransactionStatus.IDLE
    assert wire.ask(ZERO_DIVIDED, (1,)).row() == (1,)


def test_a_statement_that_was_never_understood_is_asked_anew(wire: Wire) -> None:
    """What came after an error was not kept by the server, whatever its sender thinks."""
    wire.begin("BEGIN")
    wire.ask("SELEC")
    wire.ask("SELECT 7")
    with pytest.raises(psycopg.errors.SyntaxError):
        wire.end()
    wire.rollback()
    assert wire.ask("SELECT 7").row() == (7,)


def test_what_nobody_has_waited_for_is_rolled_back_too(wire: Wire) -> None:
    for asked in ("SELECT 1", "SELEC"):
        wire.begin("BEGIN")
        wire.ask(asked)
        wire.rollback()
        assert status(wire) is TransactionStatus.IDLE
        assert not wire.closed


def test_a_connection_that_the_server_ended_says_why_and_is_closed(
    wire: Wire, postgres: PostgresServer
) -> None:
    wire.begin("BEGIN")
    wire.ask("SELECT 1").row()
    with postgres.connect() as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", (wire.conn.info.backend_pid,))
    with pytest.raises(psycopg.OperationalError, match=r"terminat|closed"):
        wire.ask("SELECT 1").row()
    assert wire.closed
    wire.rollback()
