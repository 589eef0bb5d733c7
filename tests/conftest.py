"""What every test gets: async tests on trio, a clean environment, and checks on the test itself."""

from __future__ import annotations

import inspect
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from pgbouncer import PgBouncer
    from postgres_server import Postgres, PostgresServer
    from roles import Roles

GIVEN_POSTGRES = os.environ.get("POSTROOM_TEST_POSTGRES", "")
POSTGRES_REQUIRED = os.environ.get("POSTROOM_REQUIRE_POSTGRES") == "1"
"""Read here, because ``_guard`` hides them from the tests."""

CLOCKS = frozenset({"autojump_clock", "mock_clock"})
DOORS = frozenset({"actors", "bench", "store"})

# A shared machine makes single examples slow now and then; pytest's timeout still bounds the test.
settings.register_profile("postroom", deadline=None)
settings.load_profile("postroom")


def _test_function(item: pytest.Function) -> Callable[..., Any]:
    """The function as written: under ``@given`` it is one layer down."""
    hypothesis = getattr(item.obj, "hypothesis", None)
    function: Callable[..., Any] = getattr(hypothesis, "inner_test", item.obj)
    return function


def pytest_configure() -> None:
    """Heed SIGINT, which whoever starts the tests in the background of a shell script has them ignore."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run ``async def`` tests on trio, and refuse a virtual clock that would be ignored.

    ``trio_mode`` of pytest-trio is not used because it also takes the tests that are marked for
    anyio. A clock counts only if the test itself names it: asked for by a fixture alone, the test
    would silently run on real time.
    """
    for item in items:
        if not isinstance(item, pytest.Function):
            continue
        function = _test_function(item)
        if inspect.iscoroutinefunction(function) and not item.get_closest_marker("anyio"):
            item.add_marker(pytest.mark.trio)
        unnamed = CLOCKS.intersection(item.fixturenames) - set(inspect.signature(function).parameters)
        if unnamed:
            raise pytest.UsageError(
                f"{item.nodeid} gets {', '.join(sorted(unnamed))} through a fixture and would run "
                "on real time: name the clock in the test's own arguments"
            )


@pytest.fixture(autouse=True)
def _guard(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]
    """No test sees the developer's own settings, and none imports a door instead of a package."""
    for name in os.environ:
        if name.startswith("POSTROOM_") and name != "POSTROOM_WHEEL":
            monkeypatch.delenv(name)
        if name.startswith("PG") and not GIVEN_POSTGRES:
            monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    yield
    through_doors = DOORS.intersection(sys.modules)
    assert not through_doors, f"imported through a top-level link: {through_doors}"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server, begun when the first test asks for it; one for all tests of this process."""
    from postgres_server import postgres_for_tests  # loads psycopg, which most tests do not need

    with postgres_for_tests(GIVEN_POSTGRES, required=POSTGRES_REQUIRED) as server:
        yield server


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """The store URL of a schema of the test's own, which is dropped afterwards; close what you opened."""
    schema = f"test_{uuid4().hex}"
    yield postgres.url(schema)
    postgres.drop(schema)


@pytest.fixture(scope="session")
def pgbouncer(postgres: Postgres) -> Iterator[PgBouncer]:
    """A pgbouncer before the server, for tests that only go by way of it."""
    from pgbouncer import PgBouncer
    from postgres_server import PostgresServer

    if not isinstance(postgres, PostgresServer):
        pytest.skip("the server in POSTROOM_TEST_POSTGRES may let in only those with a password")
    with PgBouncer(postgres) as bouncer:
        yield bouncer


@pytest.fixture
def pgbouncer_url(pgbouncer: PgBouncer, postgres_url: str) -> str:
    """The store URL of ``postgres_url``'s schema, by way of pgbouncer."""
    return pgbouncer.url(postgres_url.rpartition("=")[2])


@pytest.fixture(scope="session")
def roles(postgres: Postgres) -> Iterator[Roles]:
    """A database of its own with the three roles of a store."""
    from roles import three_roles

    with three_roles(postgres) as found:
        yield found


@pytest.fixture
def runner_url(roles: Roles) -> Iterator[str]:
    """The URL of a store of the test's own, for the role that programs run as."""
    schema = f"test_{uuid4().hex}"
    with roles.store(schema):
        yield roles.url("runner", schema)


@pytest.fixture
def own_postgres(postgres: Postgres, postgres_url: str) -> Iterator[PostgresServer]:
    """The server, to be stopped and started at will. It runs again before ``postgres_url`` cleans up."""
    from postgres_server import PostgresServer

    if not isinstance(postgres, PostgresServer):
        pytest.skip("the server in POSTROOM_TEST_POSTGRES is somebody's and not to be stopped")
    yield postgres
    postgres.start()
