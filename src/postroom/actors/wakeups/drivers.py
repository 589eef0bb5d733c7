"""What really wakes an app thread: the protocol, and who wakes which role."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol

from msgspec import Struct


class Order(Struct, frozen=True):
    """One wake. ``receipt`` is its idempotency key: the same for each attempt of it, and for no other."""

    task: str
    role: str
    address: str
    thread_id: str
    prompt: str
    receipt: str


class Delivered(StrEnum):
    """What became of an attempt.

    ``FAILED`` had surely no effect and may be tried again. ``UNKNOWN`` may have had its effect, and is
    never blindly repeated.
    """

    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Driver(Protocol):
    """Wakes threads."""

    async def wake(self, order: Order) -> Delivered:
        """Try once to wake a thread. Cancelled, the attempt may have had its effect."""
        ...


class ByRole:
    """A driver for each role."""

    def __init__(self, drivers: Mapping[str, Driver]) -> None:
        self._drivers = dict(drivers)

    def __contains__(self, role: str) -> bool:
        return role in self._drivers

    @property
    def roles(self) -> list[str]:
        """The roles that have one, in order."""
        return sorted(self._drivers)

    async def wake(self, order: Order) -> Delivered:
        """Have the role's own driver do it; a role without one is not woken."""
        driver = self._drivers.get(order.role)
        return Delivered.FAILED if driver is None else await driver.wake(order)
