"""The narrow door between what a client offers and how it gets it: flags as JSON keys, views back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

View = dict[str, Any]


class Transport(Protocol):
    """One way to the verbs. Errors are ``PostroomError`` of the same kinds on each."""

    async def run(self) -> None:
        """What has to go on in the background while the client is open; until cancelled."""
        ...

    async def call(self, verb: str, flags: Mapping[str, object]) -> View:
        """One verb but ``poll``; what it changed is durable on return.

        Not cancelled once it has begun where that is possible; otherwise its outcome is unknown then.
        """
        ...

    async def poll(self, inbox: str, wait: float, most: int, lease: float) -> View:
        """``{"messages": [...]}``. Cancelled, it gives back what it may have leased, if it can."""
        ...

    async def close(self) -> None:
        """Let go of everything; repeating it does nothing."""
        ...


def send_flags(to: str, type: str, body: object, flags: Mapping[str, object]) -> View:
    """One send as JSON keys; flags that are None are left out, and ``sender`` is written ``from``."""
    given = {"from" if key == "sender" else key: value for key, value in flags.items() if value is not None}
    return {"to": to, "type": type, "body": body, **given}
