"""A lease hangs on a session that is there; verify says if one does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from port_verbs import a_message, claim, register, send, session

from postroom.store.clock import ManualClock
from postroom.store.errors import StoreUnavailable
from postroom.store.sqlite.file import FileStore, open_file


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return open_file(tmp_path / "s.db", create=True, clock=ManualClock())


def test_a_lease_that_hangs_on_no_session_is_told(store: FileStore) -> None:
    register(store, "worker/a")
    send(store)
    claim(store, session=session(store))
    assert store.verify().ok
    write = store._write  # pyright: ignore[reportPrivateUsage]  # a byte rots, which nothing public does
    write.execute("UPDATE message SET session = 99")
    assert store.verify().faults == ["1 messages are leased to a session that there is not"]
    store.close()


def test_text_that_is_none_any_more_is_told_as_damage(store: FileStore) -> None:
    register(store, "worker/a")
    message = a_message("worker/a")
    send(store, message)
    write = store._write  # pyright: ignore[reportPrivateUsage]  # a byte rots, which nothing public does
    write.execute("UPDATE message SET type = CAST(x'6aff' AS TEXT)")
    with pytest.raises(StoreUnavailable, match="damaged"):
        store.message(message.id)
    store.close()
