"""Opening what a command works on, and closing it whatever happens."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Generator
from contextlib import contextmanager
from random import Random
from typing import TYPE_CHECKING

from ..mailbox.desk import Desk
from ..mailbox.ids import IdMaker
from ..store.errors import StoreUnavailable
from ..store.urls import open_store

if TYPE_CHECKING:
    from ..store.sqlite.file import FileStore


@contextmanager
def opened_store(args: Namespace, *, create: bool = False) -> Generator[FileStore]:
    """The store that the settings name. Raises ``StoreUnavailable`` if it is missing or unfit."""
    url = args.settings.store
    try:
        store = open_store(url, create=create)
    except OSError as error:
        why = error.strerror or str(error)
        raise StoreUnavailable(f"cannot open {url}", why, "look at its folder's permissions") from error
    try:
        yield store
    finally:
        store.close()


@contextmanager
def opened_desk(args: Namespace, *, create: bool = False) -> Generator[Desk]:
    """The verbs on that store."""
    with opened_store(args, create=create) as store:
        yield Desk(store, IdMaker(store.clock, Random()))
