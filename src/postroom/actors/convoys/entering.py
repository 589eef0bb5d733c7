"""Entering a run: its plan on record before anybody plays it. From then on it can be resumed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice

from attrs import evolve, frozen

from ...mailbox.codec import encode
from ...store.records import Put, Write
from ..office import Office
from ..wire import Wire
from .names import CONVOY, PLAN, RUN, RUNS, TEXT, manager_of, number_key
from .plan import Convoy
from .record.interrupted import mark

AT_ONCE = 1000
"""Records in one transaction."""

PIECE = 100_000
"""Characters of a text in one record."""


@frozen
class RunRecord:
    """One run of a file. ``settings`` are the inputs that were set on its command line."""

    id: str
    file: str
    settings: dict[str, str]


async def enter(office: Office, run: RunRecord, convoy: Convoy, text: str = "") -> None:
    """Enter a new run, its name in the index last: a run that is there is there whole.

    ``text`` is its file as it was resolved, after defaults and settings. Raises ``StoreUnavailable``,
    and ``Conflict`` for an id that is taken.
    """
    owner = manager_of(run.id)
    writes = chain(_plan(office.wire, owner, convoy), _text(owner, text))
    while batch := tuple(islice(writes, AT_ONCE)):
        await office.commit.submit(Put(batch))
    value = encode({"file": run.file, "settings": run.settings})
    await office.commit.submit(Put((Write(RUNS, RUN, run.id, value, expect=0), mark(run.id))))


def _plan(wire: Wire, owner: str, convoy: Convoy) -> Iterator[Write]:
    yield Write(owner, CONVOY, "", wire.encode(evolve(convoy, tasks=())))
    for n, task in enumerate(convoy.tasks):
        yield Write(owner, PLAN, number_key(n), wire.encode(task))


def _text(owner: str, text: str) -> Iterator[Write]:
    for n, begins in enumerate(range(0, len(text), PIECE)):
        yield Write(owner, TEXT, number_key(n), encode(text[begins : begins + PIECE]))
