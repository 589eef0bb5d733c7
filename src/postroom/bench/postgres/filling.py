"""Filling a store past the rules: millions of rows in minutes, each as the rules would have written it.

One message that waits and one that is done are the patterns. Every copy has a sequence number, an id and a
sum of its own, its entry among the ids that are remembered, and its place in the counts, so that the store
verifies, and what is measured on it afterwards is the product's own.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence

from psycopg import sql

from ...mailbox.ids import IdMaker
from ...store.clock import SystemClock
from ...store.postgres.urls import read_url
from ...store.rules.rowsums import Content, message_sum
from .places import Connection, connected, enter_schema

AT_ONCE = 50_000
"""Rows of one transaction."""

PIECE = 500
"""Rows that go out together."""

PATTERN = """
SELECT seq, inbox, priority, type, sender, body, created_at, max_attempts, correlation_id, causation_id,
       reply_to, dedup_key, headers, expires_at
FROM message WHERE (state = 4) = %s ORDER BY seq LIMIT 1
"""
ROW = "COPY (SELECT * FROM message WHERE seq = {}) TO STDOUT"
NUMBERS = "SELECT setval('message_seq', nextval('message_seq') + %s)"
COUNT = """
INSERT INTO tally (inbox, accepted, done, dead, expired, bounced, cancelled, overflowed, lost, retried)
VALUES (%s, %s, %s, 0, 0, 0, 0, 0, 0, 0)
"""
MAY_CHECKPOINT = "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"


class Pattern:
    """A message as it is stored, and the lines in which copies of it go to the server."""

    def __init__(self, conn: Connection, *, done: bool) -> None:
        """Of the oldest that is done, or of the oldest that is not; there must be one."""
        found = conn.execute(PATTERN, (done,), binary=True).fetchone()
        assert found is not None
        seq, *content = found
        self.done = done
        self.inbox: int = content[0]
        self._content: Content = tuple(content)
        with conn.cursor() as cursor, cursor.copy(sql.SQL(ROW).format(seq)) as rows:
            line = b"".join(rows).decode().removesuffix("\n")
        _, _, *between, _ = line.split("\t")  # all columns but the seq, the id and the sum
        self._between = "\t".join(between)

    def lines(self, first: int, ids: Sequence[bytes]) -> Iterator[str]:
        """The copies with these ids, numbered from ``first`` on, several at a time."""
        content, between = self._content, self._between
        for start in range(0, len(ids), PIECE):
            yield "".join(
                f"{seq}\t\\\\x{id.hex()}\t{between}\t{message_sum((seq, id, *content))}\n"
                for seq, id in enumerate(ids[start : start + PIECE], first + start)
            )


class Filler:
    """Puts copies of what is in a store there. Whoever else uses it meanwhile waits for nothing."""

    def __init__(self, base: str, url: str) -> None:
        """``base`` is the server, ``url`` a store on it in which a message waits and one is done."""
        self._conn = connected(base)
        enter_schema(self._conn, read_url(url).schema)
        self._ids = IdMaker(SystemClock(), random.Random(3))
        self._waiting, self._done = (Pattern(self._conn, done=done) for done in (False, True))

    def fill(self, waiting: int, done: int, end: float) -> tuple[int, int]:
        """Put so many there, what is done first, or as many as go before ``end`` of ``perf_counter``; how
        many it were. They are durable, and the server has done what it puts off: vacuum, statistics, writing.
        """
        put = {True: 0, False: 0}
        for pattern, wanted in ((self._done, done), (self._waiting, waiting)):
            while put[pattern.done] < wanted and time.perf_counter() < end:
                count = min(AT_ONCE, wanted - put[pattern.done])
                self._put(pattern, count)
                put[pattern.done] += count
        self._settle_down()
        return put[False], put[True]

    def close(self) -> None:
        self._conn.close()

    def _put(self, pattern: Pattern, count: int) -> None:
        ids = [self._ids.new() for _ in range(count)]
        with self._conn.transaction(), self._conn.cursor() as cursor:
            (last,) = cursor.execute(NUMBERS, (count,)).fetchone() or (0,)
            first = last - count + 1
            with cursor.copy("COPY message FROM STDIN") as copy:
                for lines in pattern.lines(first, ids):
                    copy.write(lines)
            with cursor.copy("COPY message_id (id, seq) FROM STDIN") as copy:
                for start in range(0, count, PIECE):
                    some = enumerate(ids[start : start + PIECE], first + start)
                    copy.write("".join(f"\\\\x{id.hex()}\t{seq}\n" for seq, id in some))
            cursor.execute(COUNT, (pattern.inbox, count, count if pattern.done else 0))

    def _settle_down(self) -> None:
        self._conn.execute("VACUUM (ANALYZE) message, message_id, tally")
        (may,) = self._conn.execute(MAY_CHECKPOINT).fetchone() or (False,)
        if may:
            self._conn.execute("CHECKPOINT")
