"""What asks a server in the thread that runs trio, where all else has to wait for the answer."""

from __future__ import annotations

import traceback
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest

from postroom.store.postgres.patience import Connection
from postroom.store.postgres.readers import on_a_loop


@contextmanager
def nothing_asked_on_a_loop() -> Generator[None]:
    """Raises ``AssertionError`` at its end if anything has waited for a server on an event loop."""
    asked: list[str] = []
    wait = Connection.wait

    def noting(conn: Connection, *args: Any, **options: Any) -> Any:
        if on_a_loop():
            asked.append(_place())
        return wait(conn, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Connection, "wait", noting)
        yield
    assert not asked, f"{len(asked)} times, as by:\n{asked[0]}"


def _place() -> str:
    """The calls that led to it, without what the driver, the store and trio have of them."""
    others = ("site-packages", "/postroom/store/", __file__)
    frames = [f for f in traceback.extract_stack() if not any(name in f.filename for name in others)]
    return "".join(traceback.format_list(frames[-8:]))
