"""Who has to leave when one too many comes: never somebody whose request is under way."""

from __future__ import annotations

import pytest
import trio
from gateways import served
from trio.testing import MockClock

from postroom.gateway.crowd import Crowd, Guest
from postroom.gateway.statuses import TooBusy


def test_a_request_under_way_makes_no_room_for_a_newcomer() -> None:
    crowd = Crowd(connections=1)
    busy, newcomer = Guest(), Guest()
    assert crowd.enter(busy)
    crowd.begin(busy)
    assert not crowd.enter(newcomer)
    assert not busy.evicted
    assert crowd.rest(busy)
    assert crowd.enter(newcomer)
    assert busy.evicted


def test_who_never_asked_for_anything_makes_room_before_who_rests() -> None:
    crowd = Crowd(connections=3)
    regular, first, second = Guest(), Guest(), Guest()
    for guest in (regular, first, second):
        assert crowd.enter(guest)
    crowd.begin(regular)
    assert crowd.rest(regular)
    assert crowd.enter(Guest())
    assert (regular.evicted, first.evicted, second.evicted) == (False, True, False)


def test_who_waits_for_mail_takes_no_room_from_the_others() -> None:
    crowd = Crowd(connections=1, parked=1)
    waiting = Guest()
    assert crowd.enter(waiting)
    crowd.begin(waiting)
    with crowd.parking(trio.CancelScope()):
        assert crowd.enter(Guest())
        with pytest.raises(TooBusy), crowd.parking(trio.CancelScope()):
            pass
    assert crowd.parked == 0


async def test_a_long_poll_may_take_its_time(autojump_clock: MockClock) -> None:
    del autojump_clock
    async with served() as site:
        started = trio.current_time()
        reply = await site.ask("poll", {"inbox": "worker/anna", "wait": 60})
        assert (reply.status, reply.json) == (200, {"messages": []})
        assert trio.current_time() - started == pytest.approx(60, abs=0.5)
