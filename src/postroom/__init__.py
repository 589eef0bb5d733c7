"""postroom: durable actors on trio, with persistent, routed inboxes.

Everything public is imported on first use, so that a pull command does not pay for the runtime.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .actors.actor import Actor as Actor
    from .actors.actor import handles as handles
    from .actors.errors import Reject as Reject
    from .actors.errors import RetryAfter as RetryAfter
    from .actors.supervisor import ChildSpec as ChildSpec
    from .actors.supervisor import Intensity as Intensity
    from .actors.supervisor import Restart as Restart
    from .actors.supervisor import Strategy as Strategy
    from .actors.system import System as System
    from .actors.system import open_postroom as open_postroom
    from .actors.wire import message as message
    from .store.errors import NoAnswer as NoAnswer
    from .store.errors import PostroomError as PostroomError

_HOMES = {
    "Actor": ".actors.actor",
    "ChildSpec": ".actors.supervisor",
    "Intensity": ".actors.supervisor",
    "NoAnswer": ".store.errors",
    "PostroomError": ".store.errors",
    "Reject": ".actors.errors",
    "Restart": ".actors.supervisor",
    "RetryAfter": ".actors.errors",
    "Strategy": ".actors.supervisor",
    "System": ".actors.system",
    "handles": ".actors.actor",
    "message": ".actors.wire",
    "open_postroom": ".actors.system",
}

__all__ = [
    "Actor",
    "ChildSpec",
    "Intensity",
    "NoAnswer",
    "PostroomError",
    "Reject",
    "Restart",
    "RetryAfter",
    "Strategy",
    "System",
    "handles",
    "message",
    "open_postroom",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # slow to load, seldom asked for

        return version("postroom")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(home, __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
