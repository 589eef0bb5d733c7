"""The keyed records of one actor: what is stored, under what its turns have written and is under way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from ..store.looking import look
from ..store.port import Store

Flying = Mapping[tuple[str, str], tuple[bytes | None, int]]
"""Records by kind and key, each with its value (None for a deleted one) and how many commits write it."""


class StoredRecords:
    """What a turn that reads now has to see. ``flying`` changes as commits begin and end."""

    def __init__(self, store: Store, address: str, flying: Flying) -> None:
        self._store = store
        self._address = address
        self._flying = flying

    def read(self, kind: str, key: str) -> bytes | None:
        """The value of one record; None if there is none. Raises ``StoreUnavailable``."""
        if (kind, key) in self._flying:
            return self._flying[kind, key][0]
        return self._found(kind, (key,)).get(key)

    def read_all(self, kind: str) -> dict[str, bytes]:
        """The values of a kind by key. Raises ``StoreUnavailable``."""
        return _under(self._of(kind), self._found(kind))

    async def fetch(self, kind: str, keys: Sequence[str] = ()) -> dict[str, bytes]:
        """The values of a kind, or of these keys of it, read aside where the store is on a server.

        What was under way and has come to its end meanwhile may have been seen or not: it is read again.
        Raises ``StoreUnavailable``.
        """
        while True:
            before = self._of(kind, keys)
            found = await look(self._store, partial(self._found, kind, keys))
            flying = self._of(kind, keys)
            if before.keys() <= flying.keys():
                return _under(flying, found)

    def _found(self, kind: str, keys: Sequence[str] = ()) -> dict[str, bytes]:
        records = self._store.records
        if not keys:
            return {record.key: record.value for record in records(self._address, kind)}
        return {record.key: record.value for key in keys for record in records(self._address, kind, key)}

    def _of(self, kind: str, keys: Sequence[str] = ()) -> dict[str, bytes | None]:
        flying = {key: value for (written, key), (value, _) in self._flying.items() if written == kind}
        return {key: flying[key] for key in keys if key in flying} if keys else flying


def _under(written: Mapping[str, bytes | None], found: dict[str, bytes]) -> dict[str, bytes]:
    """What was found, as it is once all this is written."""
    for key, value in written.items():
        if value is None:
            found.pop(key, None)
        else:
            found[key] = value
    return found
