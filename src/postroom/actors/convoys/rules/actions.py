"""What a board wants done, for whoever plays it to do."""

from __future__ import annotations

from attrs import frozen

from ..plan import HookPoint, Route


@frozen
class Start:
    """Have an agent begin this attempt."""

    task: str
    attempt: int
    agent: str


@frozen
class Check:
    """Have the gates and hooks of a task look at what was claimed."""

    task: str
    attempt: int


@frozen
class Review:
    """Have reviewers look at it: one, or a panel."""

    task: str
    attempt: int
    route: Route


@frozen
class CheckConvoy:
    """Have the hooks and gates of the whole convoy run."""

    point: HookPoint


@frozen
class Rest:
    """Say ``rested`` for this task once ``seconds`` have passed."""

    task: str
    attempt: int
    seconds: float


@frozen
class Await:
    """Say ``askable`` for this agent once ``seconds`` have passed."""

    agent: str
    seconds: float


@frozen
class Halt:
    """Cut short what runs of this task."""

    task: str
    attempt: int


@frozen
class Alarm:
    """Say ``time_is_up`` once ``seconds`` have passed."""

    seconds: float


@frozen
class Tell:
    """Tell the owner of the budget why the convoy pauses."""

    text: str


Action = Start | Check | Review | CheckConvoy | Rest | Await | Halt | Alarm | Tell
