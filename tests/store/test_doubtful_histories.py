"""A wrong byte in the log that may be any of several, in what is remembered of messages."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from msgspec import structs
from port_verbs import INBOX, a_message, claim, register, send, settle

from postroom.store import records as r
from postroom.store.clock import ManualClock
from postroom.store.errors import Refused
from postroom.store.identity import id_text
from postroom.store.repair import repair
from postroom.store.sqlite.damage import rot
from postroom.store.sqlite.file import FileStore, open_file

CLOCK = ManualClock()
RETRIES = 12


def opened(path: Path) -> FileStore:
    return open_file(path, create=not path.exists(), clock=CLOCK, rng=Random(0))


def read(store: FileStore, ids: list[bytes]) -> list[r.StoredMessage]:
    return [message for id in ids if (message := store.message(id)) is not None]


def killed(folder: Path) -> tuple[Path, list[r.StoredMessage]]:
    """A store whose process was killed, with messages that have been tried before, and these."""
    store = opened(folder / "alive.db")
    register(store, INBOX)
    for _ in range(RETRIES):
        send(store, a_message())
    for delivery in claim(store, RETRIES):
        settle(store, delivery, r.Verdict.RETRY)
    truth = read(store, [message.id for message in store.peek(INBOX, RETRIES)])
    path = folder / "s.db"
    for suffix in ("", "-wal"):
        path.with_name(path.name + suffix).write_bytes((folder / f"alive.db{suffix}").read_bytes())
    store.close()
    return path, truth


def spoil_an_event(path: Path) -> None:
    """Flip a bit of an event in the log whose place the sums leave open."""
    wal = path.with_name(f"{path.name}-wal")
    sound = wal.read_bytes()
    last = sound.rindex(b"retry")
    for place in range(last, last - 300, -1):
        wal.write_bytes(sound[:place] + bytes((sound[place] ^ 8,)) + sound[place + 1 :])
        log = rot.Damage(path).log
        assert log is not None
        if log.doubts:
            return
    raise AssertionError("the sums tell everything")


def unlike(before: list[r.StoredMessage], after: list[r.StoredMessage]) -> set[str]:
    """The messages whose history is another one, apart from fences: repair makes an epoch of its own."""
    return {
        id_text(one.id)
        for one, other in zip(before, after, strict=True)
        if [structs.replace(event, fence=None) for event in one.history]
        != [structs.replace(event, fence=None) for event in other.history]
    }


def test_messages_whose_history_may_be_wrong_are_named_and_stay_what_they_are(tmp_path: Path) -> None:
    path, truth = killed(tmp_path)
    spoil_an_event(path)
    with pytest.raises(Refused, match="the history of message"):
        repair(f"sqlite:///{path}", accept_loss=False, clock=CLOCK)
    done = repair(f"sqlite:///{path}", accept_loss=True, clock=CLOCK)
    named = {what.split()[4] for what in done.found if what.startswith("the history of message ")}
    assert (done.doubtful, done.lost) == ([], {})
    store = opened(path)
    found = read(store, [message.id for message in truth])
    store.close()
    assert unlike(truth, found) <= named
    assert [(m.id, m.state, m.body) for m in found] == [(m.id, m.state, m.body) for m in truth]
