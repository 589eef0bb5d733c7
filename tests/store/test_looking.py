"""Looking at a store from a trio program: aside where it is on a server, here and now where it is not."""

from __future__ import annotations

import threading
from typing import cast

import pytest
import trio

from postroom.store.looking import MOST_AT_ONCE, look
from postroom.store.port import Store


class Somewhere:
    """All that ``look`` asks of a store."""

    def __init__(self, *, is_remote: bool) -> None:
        self.is_remote = is_remote


SERVER, FILE = cast(Store, Somewhere(is_remote=True)), cast(Store, Somewhere(is_remote=False))


async def test_a_server_is_asked_in_another_thread_and_a_file_in_this_one() -> None:
    assert await look(FILE, threading.get_ident) == threading.get_ident()
    assert await look(SERVER, threading.get_ident) != threading.get_ident()


async def test_an_error_is_raised_as_it_is() -> None:
    def fail() -> None:
        raise KeyError("gone")

    for store in (FILE, SERVER):
        with pytest.raises(KeyError, match="gone"):
            await look(store, fail)


async def test_only_so_many_look_at_once_and_others_get_their_turn() -> None:
    inside, most = 0, 0
    lock, go_on, full = threading.Lock(), threading.Event(), trio.Event()

    def wait() -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
            if inside == MOST_AT_ONCE:
                trio.from_thread.run_sync(full.set)
        go_on.wait(20)
        with lock:
            inside -= 1

    async with trio.open_nursery() as nursery:
        for _ in range(3 * MOST_AT_ONCE):
            nursery.start_soon(look, SERVER, wait)
        with trio.fail_after(20):
            await full.wait()
        go_on.set()
    assert most == MOST_AT_ONCE


async def test_whoever_is_cancelled_need_not_wait_for_a_server_that_is_silent() -> None:
    answered = threading.Event()
    with trio.move_on_after(0.05) as scope:
        await look(SERVER, lambda: answered.wait(20))
    assert scope.cancelled_caught
    answered.set()
