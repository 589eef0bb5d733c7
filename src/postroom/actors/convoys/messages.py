"""What the participants of a convoy say to each other."""

from __future__ import annotations

from attrs import frozen

from .board import Result
from .plan import Convoy, Task


@frozen
class Begin:
    """To the manager: set out with this convoy, or go on after an interruption.

    The plan counts only the first time. ``logs`` is a folder for what the tasks print. The manager
    answers when it has set out.
    """

    convoy: Convoy
    logs: str


@frozen
class Interrupt:
    """To the manager: the process is about to end, so start nothing more. It answers when noted."""


@frozen
class Noted:
    """From the manager: it is done, and durable."""


@frozen
class Perform:
    """To a worker: make this attempt, and let its output go to the file ``log``."""

    run: str
    task: Task
    attempt: int
    log: str


@frozen
class Performed:
    """From a worker to the manager: how the attempt ended; without a result, it was cut short."""

    task: str
    attempt: int
    result: Result | None


@frozen
class Rested:
    """From the manager to itself: the pause before a retry is over."""

    task: str
    attempt: int


@frozen
class Moved:
    """From the manager to whoever watches: something has changed, have a look."""
