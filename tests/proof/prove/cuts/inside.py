"""The few places where the proof has to reach behind the port."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

from postroom.store.sqlite.db import Db
from postroom.store.sqlite.file import FileStore

Call = Callable[..., Any]


def writer(file: FileStore) -> Db:
    """The connection that writes: how often it checkpoints is its own setting."""
    return file._write  # pyright: ignore[reportPrivateUsage]


def new_reader(file: FileStore) -> Db:
    """A connection like those that read; one that is not given back pins the log."""
    return file._open_reader()  # pyright: ignore[reportPrivateUsage]


def epoch_of(file: FileStore) -> int:
    """The present epoch of a store, the high part of its fences."""
    return int(writer(file).execute("SELECT epoch FROM store").fetchone()[0])


@contextmanager
def calls(names: Iterable[str], around: Callable[[str, Call], Call]) -> Generator[None]:
    """Put something around calls of the operating system: Python's file functions go through these."""
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(mock.patch.object(os, name, around(name, getattr(os, name))))
        yield
