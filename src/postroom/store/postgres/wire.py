"""Statements on their way to the server and back: what is asked travels with what is asked next.

libpq's pipeline, used as it is. Nothing need be sent before an answer is wanted or the transaction
ends, so that a transaction costs as many round trips as it has questions that depend on each other's answers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from typing import Any

import psycopg
from psycopg import errors, pq
from psycopg.adapt import Transformer
from psycopg.pq.abc import PGresult
from psycopg.waiting import Ready, Wait

from .patience import Connection
from .values import dumped, types_of

ROLLBACK = "ROLLBACK"
SLICE_ROWS = 500
BINARY = pq.Format.BINARY
IDLE = pq.TransactionStatus.IDLE


class Answer:
    """What a statement comes to; it is waited for when it is looked at. Raises ``psycopg.Error`` then."""

    __slots__ = ("_wire", "result")

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.result: PGresult | None = None

    def row(self) -> Any:
        """The first row, or None."""
        rows = self._wire.loaded(self._there(), 0, 1)
        return rows[0] if rows else None

    def rows(self) -> list[Any]:
        result = self._there()
        return self._wire.loaded(result, 0, result.ntuples)

    def each(self) -> Iterator[Any]:
        """The rows one after another, decoded some at a time."""
        result = self._there()
        for begin in range(0, result.ntuples, SLICE_ROWS):
            yield from self._wire.loaded(result, begin, begin + SLICE_ROWS)

    def changed(self) -> int:
        """How many rows changed; a statement of several parts answers it as a row."""
        result = self._there()
        return int(self.row()[0]) if result.nfields else result.command_tuples or 0

    def has_come(self, tag: bytes) -> bool:
        """Whether the server has said that it did this, by the name it has for it. Does not wait."""
        return self.result is not None and self.result.command_status == tag

    def _there(self) -> PGresult:
        if self.result is None:
            self._wire.fetch()
        if self.result is None:
            raise psycopg.InterfaceError("a statement before it has failed")
        return self.result


class _Parsed:
    """What the server says to a statement that it is to keep."""

    __slots__ = ("statement",)

    def __init__(self, statement: str) -> None:
        self.statement = statement


class _Ended:
    """Where an end was asked for: everything before it has been answered then."""


class Wire:
    """One connection, used by one thread at a time. ``prepared``: the server keeps statements for it.

    Between ``begin`` and ``end`` is one transaction, which a COMMIT or ROLLBACK among what is asked ends;
    outside, what was asked until an answer is wanted. After an error of the server nothing more of it
    happens, and ``rollback`` makes the connection fit for the next one.
    """

    def __init__(self, conn: Connection, *, prepared: bool) -> None:
        self.conn = conn
        self._libpq = conn.pgconn
        self._prepared = prepared
        self._names: dict[str, bytes] = {}
        self._coming: deque[Answer | _Parsed | _Ended] = deque()
        self._loader = Transformer(conn)
        self._begun = False

    @property
    def closed(self) -> bool:
        return self.conn.closed

    @property
    def waits(self) -> bool:
        """Whether something was asked of which the answer has not been waited for."""
        return bool(self._coming)

    def close(self) -> None:
        self.conn.close()

    def is_in_error(self) -> bool:
        """Whether a transaction is open that has failed, and can only be rolled back."""
        return self.conn.info.transaction_status is pq.TransactionStatus.INERROR

    # Asking

    def begin(self, statement: str) -> None:
        """Begin a transaction with this statement."""
        self._begun = True
        self.ask(statement)

    def ask(self, statement: str, args: Sequence[Any] = ()) -> Answer:
        """Ask without waiting. Raises ``psycopg.DataError`` for a value that has no form there."""
        types = types_of(statement)
        values = dumped(types, args)
        libpq = self._libpq
        if libpq.pipeline_status == pq.PipelineStatus.OFF:
            libpq.enter_pipeline_mode()
        formats = (BINARY,) * len(types)
        if self._prepared:
            name = self._names.get(statement) or self._keep(statement, types)
            libpq.send_query_prepared(name, values, formats, BINARY)
        else:
            libpq.send_query_params(statement.encode(), values, types, formats, BINARY)
        answer = Answer(self)
        self._coming.append(answer)
        return answer

    def _keep(self, statement: str, types: Sequence[int]) -> bytes:
        name = b"postroom%d" % len(self._names)
        self._libpq.send_prepare(name, statement.encode(), types)
        self._names[statement] = name
        self._coming.append(_Parsed(statement))
        return name

    def push(self) -> None:
        """Have the server begin with what was asked; it is not waited for. Raises ``psycopg.Error``."""
        self._libpq.flush()

    # Waiting

    def fetch(self) -> None:
        """Wait for what was asked so far. Raises ``psycopg.Error``."""
        if not self._begun:
            self.end()
        elif self._coming:
            self._libpq.send_flush_request()
            self._wait(self._read())

    def end(self) -> None:
        """Wait for everything that was asked. Raises ``psycopg.Error``: the first, for all after it."""
        self._begun = False
        if self._libpq.pipeline_status != pq.PipelineStatus.OFF:
            self._libpq.pipeline_sync()
            self._coming.append(_Ended())
            self._wait(self._read())

    def rollback(self) -> None:
        """Have nothing of the transaction stay. A connection that is not fit for it is closed."""
        try:
            self._drop()
            if self.conn.info.transaction_status != IDLE:
                self.ask(ROLLBACK)
                self.end()
        except psycopg.Error:
            self.close()  # what was open there ends with it

    def _drop(self) -> None:
        try:
            self.end()
        except psycopg.Error:
            if self.closed:
                raise

    def _wait(self, reading: Generator[Wait, Ready, psycopg.Error | None]) -> None:
        """Read what there is to read; a connection that is left in between is of no use to anybody."""
        try:
            failed = self.conn.wait(reading)
        except BaseException:
            self.close()
            raise
        if failed is not None:
            raise failed

    def _read(self) -> Generator[Wait, Ready, psycopg.Error | None]:
        """Take in all answers as they come; after an error, the end of what was asked is asked for."""
        libpq, coming = self._libpq, self._coming
        failed: psycopg.Error | None = None
        try:
            yield from self._sent()
            while coming:
                while libpq.is_busy():
                    if (yield Wait.R):
                        libpq.consume_input()
                result = libpq.get_result()
                if result is None:
                    continue  # one is at its end, the next one follows
                waiting = coming.popleft()
                wrong = self._took(waiting, result)
                if isinstance(waiting, _Ended):
                    libpq.exit_pipeline_mode()
                    self._begun = False
                elif wrong is not None and failed is None:
                    failed = wrong
                    if not any(isinstance(each, _Ended) for each in coming):
                        libpq.pipeline_sync()
                        coming.append(_Ended())
                        yield from self._sent()
        except psycopg.OperationalError:
            if failed is None:
                raise  # else the server has said why it left
        return failed

    def _sent(self) -> Generator[Wait, Ready, None]:
        """Everything goes out; what comes in meanwhile is taken, or neither side would get any further."""
        while self._libpq.flush():
            if (yield Wait.RW) & Ready.R:
                self._libpq.consume_input()

    def _took(self, waiting: Answer | _Parsed | _Ended, result: PGresult) -> psycopg.Error | None:
        status = result.status
        if status in (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK):
            if isinstance(waiting, Answer):
                waiting.result = result
            return None
        if isinstance(waiting, _Parsed):
            self._names.pop(waiting.statement, None)
        return errors.error_from_result(result) if status == pq.ExecStatus.FATAL_ERROR else None

    def loaded(self, result: PGresult, begin: int, end: int) -> list[Any]:
        """Rows of a result as tuples."""
        self._loader.set_pgresult(result)
        return self._loader.load_rows(begin, min(end, result.ntuples), tuple)
