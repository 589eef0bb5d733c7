"""A store in a folder of its own, and the crew of processes on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from children import Child
from crew import LEDGER, POOL, PULL

from postroom.store.records import InboxSpec, Register
from postroom.store.sqlite.file import FileStore
from postroom.store.transact import transact_one
from postroom.store.urls import open_file_store


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'room.db'}"


@pytest.fixture
def store(url: str) -> Iterator[FileStore]:
    """The store as this process sees it; everybody's inboxes are there."""
    opened = open_file_store(url, create=True)
    transact_one(opened, Register(tuple(map(InboxSpec, (POOL, PULL, LEDGER, "worker/a")))))
    yield opened
    opened.close()


@pytest.fixture
def start(url: str, store: FileStore) -> Iterator[Callable[..., Child]]:
    """Start one of the crew in a role, with its flags; whoever is left is killed afterwards."""
    with ExitStack() as stack:

        def child(role: str, *flags: str) -> Child:
            return stack.enter_context(Child(role, url, *flags))

        yield child
