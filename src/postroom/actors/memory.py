"""The state of an actor in memory, and the version of it that the store has or is about to have."""

from __future__ import annotations

from typing import Any

from ..store.port import Store
from ..store.records import Record, Write
from .actor import Actor
from .wire import Wire

KIND = "state"


class Memory:
    """The bytes of the last good state, and the version the next write must find."""

    __slots__ = ("_address", "_bytes", "_kind", "_version", "_wire")

    def __init__(self, address: str, kind: type, wire: Wire) -> None:
        self._address = address
        self._kind = kind
        self._wire = wire
        self._bytes = b""
        self._version = 0

    def stored(self, store: Store) -> Record | None:
        """What is committed; None if there is nothing yet."""
        found = store.records(self._address, KIND, "")
        return found[0] if found else None

    def load(self, stored: Record | None) -> None:
        """Take what is committed. Raises ``BadInput`` if it does not fit the class."""
        if stored is not None:
            self._bytes, self._version = stored.value, stored.version
        else:
            self._bytes, self._version = self._wire.encode(self._wire.empty(self._kind)), 0
        self._wire.decode(self._bytes, self._kind)

    def restore(self, actor: Actor) -> None:
        """Give an instance the last good state."""
        vars(actor)["state"] = self._wire.decode(self._bytes, self._kind)

    def advance(self, actor: Actor, *, chained: bool) -> Write | None:
        """The write for what a turn did to the state; None if there is nothing to write.

        A turn that ran on what is not committed yet, or that the next turn may build on, writes even
        the state it left as it was: the version then ties them together.
        """
        state: Any = vars(actor)["state"]
        value = self._wire.encode(state)
        if value == self._bytes and not chained:
            return None
        write = Write(self._address, KIND, "", value, self._version)
        self._bytes = value
        self._version += 1
        return write
