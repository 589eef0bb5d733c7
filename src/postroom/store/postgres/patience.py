"""A connection that gives up a server which says nothing for too long.

TCP notices a dead machine but not a dead link behind a proxy, which goes on acknowledging, nor a server
that hangs. Without this, whoever asked would wait for ever.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any, TypeVar

import psycopg

T = TypeVar("T")

ANSWER_SECONDS = 30.0
"""How long a server may say nothing to one question. Nothing that postroom asks takes it so long."""

GLANCE_SECONDS = 0.1


class Silent(psycopg.OperationalError):
    """The server has said nothing for too long."""


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """As the driver's, but closed as soon as ``patience`` seconds (None for any) have passed in silence.

    Then ``Silent`` is raised, which is a ``psycopg.OperationalError`` as for any other link that is lost.
    """

    patience: float | None = ANSWER_SECONDS

    def wait(
        self, gen: Generator[Any, Any, T], interval: float = GLANCE_SECONDS, timeout: float | None = None
    ) -> T:
        try:
            patient = gen if self.patience is None else _impatient(gen, self.patience)
            return super().wait(patient, interval, timeout)
        except _Silence as silence:
            self.close()
            raise Silent(f"the server has not answered for {self.patience:g} s") from silence


class _Silence(Exception):
    """Nothing has come for too long."""


def _impatient(gen: Generator[Any, Any, T], seconds: float) -> Generator[Any, Any, T]:
    """The same steps of the driver; between two of them the connection is never silent for so long."""
    try:
        wanted = next(gen)
        heard = time.monotonic()
        while True:
            ready = yield wanted
            now = time.monotonic()
            if ready:
                heard = now
            elif now - heard > seconds:
                raise _Silence
            wanted = gen.send(ready)
    except StopIteration as end:
        result: T = end.value
        return result
