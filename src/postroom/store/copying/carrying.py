"""How a row reads in another store: its fence of a new epoch, its times by another clock, held by nobody."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..clock import Instant
from ..states import FENCE_BITS, State, fence
from .sides import Row
from .tables import EVENT_COLUMNS, EVENTS, MESSAGE, MESSAGES, SESSION, SESSIONS

CLAIMS = (1 << FENCE_BITS) - 1
_STATE, _RANK, _FENCE, _DUE_AT, _EXPIRES_AT, _EXPIRES_BOOT = map(
    MESSAGE.columns.index, ("state", "rank", "fence", "due_at", "expires_at", "expires_boot")
)
_EXPIRES, _LIVE = map(SESSION.columns.index, ("expires", "live"))
_TEXTS = {
    MESSAGES: tuple(map(MESSAGE.columns.index, ("reason", "error"))),
    EVENTS: tuple(map(EVENT_COLUMNS.index, ("reason", "error"))),
}


class Carrying:
    """What one copy goes by: the new epoch, and what time it is on either side."""

    def __init__(self, epoch: int, source: Instant, target: Instant) -> None:
        self._epoch = epoch
        self._offset = target.wall - target.boot
        self._later = target.boot - source.boot

    def carried(self, what: int, rows: Iterable[Row]) -> Iterator[Row]:
        """Rows as they are to be on the other side, one for each."""
        if what == MESSAGES:
            return map(self._message, rows)
        if what == SESSIONS:
            return map(self._session, rows)
        return map(_without_nul, rows) if what == EVENTS else iter(rows)

    def _message(self, row: Row) -> Row:
        """A wall time decides when it is due and when it expires, as after a reboot."""
        changed = list(_without_nul(row, _TEXTS[MESSAGES]))
        changed[_FENCE] = fence(self._epoch, row[_FENCE] & CLAIMS)
        if row[_STATE] == State.DELAYED:
            changed[_RANK] = row[_DUE_AT] - self._offset
        if row[_EXPIRES_AT] is not None:
            changed[_EXPIRES_BOOT] = row[_EXPIRES_AT] - self._offset
        return changed

    def _session(self, row: Row) -> Row:
        changed = list(row)
        changed[_EXPIRES] += self._later
        changed[_LIVE] = 0
        return changed


def _without_nul(row: Row, texts: tuple[int, ...] = _TEXTS[EVENTS]) -> Row:
    """A server keeps no NUL in a text; only what a program said of its failure may have one."""
    if not any(row[n] and "\0" in row[n] for n in texts):
        return row
    changed = list(row)
    for n in texts:
        changed[n] = changed[n] and changed[n].replace("\0", "\ufffd")
    return changed
