"""Looking at a server as one does with psql while it works: at dead rows, and at who waits for a lock."""

from __future__ import annotations

from threading import Event, Thread
from types import TracebackType
from typing import Self

import psycopg
from postgres_server import PostgresServer

EVERY_SECONDS = 0.2

DEAD = "SELECT relname, n_dead_tup FROM pg_stat_user_tables WHERE schemaname = %s AND n_dead_tup > 0"
WAITING = """
SELECT coalesce(max(extract(epoch FROM clock_timestamp() - query_start)), 0)::float8 FROM pg_stat_activity
WHERE wait_event_type = 'Lock'
"""
"""Since when is not told by all versions; who has begun a statement has not waited for longer than that."""


class Looker(Thread):
    """Looks at something again and again, until the block is left that it is a context of."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._over = Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self.join()


class Watch(Looker):
    """Looks all the time, whenever the server is there. ``dead`` is the most of each table, ``waited`` the
    longest that anybody has waited for a lock.
    """

    def __init__(self, server: PostgresServer, schema: str) -> None:
        super().__init__("watch")
        self._server, self._schema = server, schema
        self.dead: dict[str, int] = {}
        self.waited = 0.0
        self.looks = 0

    def run(self) -> None:
        while not self._over.wait(EVERY_SECONDS):
            try:
                with self._server.connect() as connection:
                    while not self._over.wait(EVERY_SECONDS):
                        self._look(connection)
            except psycopg.OperationalError:
                continue  # it is just being stopped, or comes up

    def _look(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        for table, rows in connection.execute(DEAD, (self._schema,)).fetchall():
            self.dead[str(table)] = max(self.dead.get(str(table), 0), int(str(rows)))
        (waited,) = connection.execute(WAITING).fetchone() or (0.0,)
        self.waited = max(self.waited, float(str(waited)))
        self.looks += 1
