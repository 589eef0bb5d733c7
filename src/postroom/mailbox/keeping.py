"""Keyed records as typed values: read with their version, written only if that version still holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec

from ..store.errors import StoreUnavailable
from ..store.records import Write

if TYPE_CHECKING:
    from ..store.port import Store

T = TypeVar("T")


class Kept(Generic[T]):
    """One family of records: ``owner`` and ``kind``, with values of type ``T`` as JSON."""

    def __init__(self, owner: str, kind: str, type: type[T]) -> None:
        self.owner = owner
        self.kind = kind
        self._decoder = msgspec.json.Decoder(type)

    def find(self, store: Store, key: str) -> tuple[T | None, int]:
        """The value and its version; None and 0 if there is none. Raises ``StoreUnavailable``."""
        records = store.records(self.owner, self.kind, key)
        return (self.read(key, records[0].value), records[0].version) if records else (None, 0)

    def all(self, store: Store) -> dict[str, tuple[T, int]]:
        """All values with their versions, by key. Raises ``StoreUnavailable`` for a damaged one."""
        found = store.records(self.owner, self.kind)
        return {record.key: (self.read(record.key, record.value), record.version) for record in found}

    def read(self, key: str, value: bytes) -> T:
        """What a stored value says. Raises ``StoreUnavailable`` if it is damaged."""
        try:
            return self._decoder.decode(value)
        except msgspec.MsgspecError as error:
            raise StoreUnavailable(
                f"the record {self.kind} of {key} is damaged", str(error), "run: postroom verify --deep"
            ) from error

    def write(self, key: str, value: T, version: int) -> Write:
        """The write that replaces what was read at ``version``; 0 for a record that is new."""
        return Write(self.owner, self.kind, key, msgspec.json.encode(value), version)

    def remove(self, key: str, version: int) -> Write:
        """The write that deletes what was read at ``version``."""
        return Write(self.owner, self.kind, key, None, version)
