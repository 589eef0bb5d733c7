"""Times that are kept in records, so that their age can be told by another process, or after a reboot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from ..store.clock import Clock


class Moment(Struct, frozen=True, array_like=True, gc=False):
    """One moment on both clocks, in microseconds, and which boot the second one counts from."""

    wall: int
    boot: int
    boot_id: str


def moment(clock: Clock) -> Moment:
    """The moment that is now."""
    now = clock.now()
    return Moment(now.wall, now.boot, clock.boot_id)


def age_us(clock: Clock, then: Moment) -> int:
    """How long ago a moment was, in microseconds; never negative.

    Within one boot no clock step changes it; across boots there is only wall time.
    """
    now = clock.now()
    passed = now.boot - then.boot if clock.boot_id == then.boot_id else now.wall - then.wall
    return max(0, passed)
