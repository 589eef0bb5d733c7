"""Puts facts on record as a manager does, without one."""

from __future__ import annotations

from attrs import define, field

from postroom.actors.convoys.names import EVENTS, manager_of, number_key
from postroom.actors.convoys.record.facts import Fact
from postroom.actors.convoys.record.putting import pages_of
from postroom.actors.convoys.wires import convoy_wire
from postroom.store.clock import SystemClock
from postroom.store.memory import MemoryStore
from postroom.store.port import Store
from postroom.store.records import Put, Write
from postroom.store.transact import transact_one


@define
class Scribe:
    """Writes the record of one run. Times are 1,000 seconds of the first day, and one more a page."""

    store: Store = field(factory=lambda: MemoryStore(SystemClock()))
    run: str = "r1"
    events: int = 0
    pages: int = 0

    def write(self, *events: object) -> None:
        """Put one turn's events on record."""
        for page in pages_of(events, self.events + 1, 1000.0 + self.pages):
            self.put(*page)

    def put(self, *page: Fact) -> None:
        """Put one page on record, whatever is in it."""
        self.pages += 1
        self.events += len(page)
        value = convoy_wire().encode(page)
        write = Write(manager_of(self.run), EVENTS, number_key(self.pages), value)
        transact_one(self.store, Put((write,)))
