"""Where a row measures: in files of its own directory, or in schemas of its own on the run's server."""

from __future__ import annotations

from pathlib import Path

from ..store.records import InboxSpec, Register
from ..store.transact import transact_one
from ..store.urls import open_store
from .limit import Queue, RawQueue
from .rows import Params

INBOX = "bench/sink"
ROOMY = 10_000_000


def raw_queue(params: Params) -> Queue:
    """The baseline, beside the subject."""
    if params.postgres:
        from .postgres.raw import better_queue  # needs psycopg, which the other sets do without

        return better_queue(params)
    return RawQueue(Path(params.directory) / "limit.db", params.body_bytes)


def new_url(params: Params, name: str) -> str:
    """Where a store may be made: there is none yet."""
    if params.postgres:
        from .postgres.places import schema_url  # needs psycopg, which the other sets do without

        return schema_url(params, name)
    return f"sqlite:///{Path(params.directory).absolute() / name}.db"


def fresh_store(params: Params, name: str) -> str:
    """A new store with one roomy inbox that nobody handles yet; its URL."""
    url = new_url(params, name)
    store = open_store(url, create=True)
    transact_one(store, Register((InboxSpec(INBOX, bound=ROOMY),)))
    store.close()
    return url
