"""Opening what a command works on, and closing it whatever happens."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Generator
from contextlib import contextmanager
from random import Random
from typing import TYPE_CHECKING

from ..mailbox.desk import Desk
from ..mailbox.ids import IdMaker
from ..store.errors import BadInput, StoreUnavailable
from ..store.shown import is_remote
from ..store.urls import open_store

if TYPE_CHECKING:
    from ..store.port import Store


@contextmanager
def opened_store(args: Namespace, *, create: bool = False) -> Generator[Store]:
    """The store that the settings name. Raises ``StoreUnavailable`` if it is missing or unfit."""
    url = args.settings.store
    try:
        store = open_store(url, create=create)
    except OSError as error:
        why = error.strerror or str(error)
        raise StoreUnavailable(
            f"cannot open {args.store}", why, "look at its folder's permissions"
        ) from error
    try:
        yield store
    finally:
        store.close()


def only_for_files(args: Namespace, command: str, do: str) -> None:
    """Refuse a command that works on a file where the store is on a server. Raises ``BadInput``.

    ``do`` says what to use instead; ``{store}`` in it is the store.
    """
    if is_remote(args.settings.store):
        from shlex import quote  # only who is refused needs it

        do = do.format(store=quote(args.store))
        raise BadInput(f"{command} is for stores in a file", f"{args.store} is on a server", do)


@contextmanager
def opened_desk(args: Namespace, *, create: bool = False) -> Generator[Desk]:
    """The verbs on that store."""
    with opened_store(args, create=create) as store:
        yield Desk(store, IdMaker(store.clock, Random()))
