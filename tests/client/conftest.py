"""The same store behind each way to it, for tests on trio and on asyncio."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from client_places import Gateway, Place, gateway_thread, store_place


@pytest.fixture(params=["trio", "asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    backend: str = request.param
    return backend


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    pytest.importorskip("httpx2")
    with gateway_thread() as found:
        yield found


@pytest.fixture
def file(tmp_path: Path) -> Place:
    return store_place(tmp_path)


@pytest.fixture(params=["store", "http"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A store URL and HTTP: what holds on one holds on the other."""
    if request.param == "store":
        return store_place(tmp_path)
    found: Gateway = request.getfixturevalue("gateway")
    return found
