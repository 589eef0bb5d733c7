"""Keyed records: the one place where roles, convoys and actors keep their data."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ..errors import Conflict, LostLease, PostroomError
from ..records import Changed, Put, Write
from .rowsums import record_row
from .sessions import still_holds
from .statements import Raced

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .tx import Tx

Key = tuple[str, str, str]

MANY = 8


class Writes:
    """The writes of one batch. Several of one key are staged in order and only the last is written."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self._read: dict[Key, int] = {}
        self._versions: dict[Key, int] = {}
        self._last: dict[Key, Write] = {}

    def fetch(self, writes: Iterable[Write]) -> None:
        """Read the versions of many records in one statement, where there are many."""
        keys = {(write.owner, write.kind, write.key) for write in writes}
        if len(keys) < MANY:
            return
        self._read = dict.fromkeys(keys, 0)
        for owner, kind, key, version in self._tx.rows("record_versions", json.dumps(sorted(keys))):
            self._read[owner, kind, key] = version
        self._versions = dict(self._read)

    def stage(self, writes: Sequence[Write]) -> bool:
        """Take these writes if all their expected versions hold; otherwise none of them."""
        for write in writes:
            if write.expect is not None and self._version(write) != write.expect:
                return False
        for write in writes:
            key = (write.owner, write.kind, write.key)
            before = self._version(write)
            self._versions[key] = 0 if write.value is None else before + 1
            self._last[key] = write
        return True

    def _version(self, write: Write) -> int:
        key = (write.owner, write.kind, write.key)
        version = self._versions.get(key)
        if version is None:
            row = self._tx.row("record_version", *key)
            version = self._versions[key] = self._read[key] = 0 if row is None else row[0]
        return version

    def apply(self) -> int:
        """Write what was staged; the number of records written."""
        puts = [
            (*record_row(*key, self._versions[key], write.value), self._read[key])
            for key, write in self._last.items()
            if write.value is not None
        ]
        if puts and not self._tx.run_all("record_write", puts):
            raise Raced("a record was made meanwhile")
        gone = [key for key, write in self._last.items() if write.value is None]
        if gone:
            self._tx.run_many("record_delete", gone)
        return len(self._last)


def put(tx: Tx, op: Put) -> Changed | PostroomError:
    """Write records outside a turn, all or none."""
    if op.term is not None and not still_holds(tx, op.term):
        return LostLease(f"{op.term.name} is active elsewhere", "this term is over", "stop this instance")
    writes = Writes(tx)
    if not writes.stage(op.writes):
        return Conflict(
            "a record changed meanwhile",
            "it is not at the version that was read",
            "reload and repeat",
        )
    return Changed(writes.apply())
