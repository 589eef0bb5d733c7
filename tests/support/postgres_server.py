"""A PostgreSQL server for tests: somebody's, named by a URL, or one of our own on a private socket."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager

import pytest

from postroom.bench.postgres.programs import NoPostgres
from postroom.bench.postgres.server import Postgres as Postgres
from postroom.bench.postgres.server import PostgresServer as PostgresServer


@contextmanager
def postgres_for_tests(given: str, *, required: bool) -> Generator[Postgres]:
    """The server at a URL or, if that is empty, one of our own. Where there can be none, the test is
    skipped, or fails if it is ``required``.
    """
    if given:
        yield Postgres(given)
        return
    with ExitStack() as stack:
        try:
            server = stack.enter_context(PostgresServer())
        except NoPostgres as error:
            outcome = pytest.fail.Exception if required else pytest.skip.Exception
            raise outcome(str(error), pytrace=False) from None
        yield server
