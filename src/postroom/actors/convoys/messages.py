"""What the participants of a convoy say to each other."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen

from ...mailbox.outputs import BOUNCE
from ..wire import message
from .allowed import Allowed
from .plan import Agent, Gate, Hook, HookPoint, Reviewing, Route, Task
from .rules.standing import Artifact, Feedback, Note, Result, Spent

# To the manager, from whoever plays the run


@frozen
class Begin:
    """Set out, or go on after an interruption. ``logs`` is a folder for what the tasks print."""

    logs: str


@frozen
class Interrupt:
    """The process is about to end, so start nothing more."""

    reason: str = "interrupted"


@frozen
class Noted:
    """From the manager: it is done, and durable."""


# Attempts


@frozen
class Perform:
    """To a worker: make this attempt, with this ``agent``. What the plan says of it, the worker knows.

    ``inputs`` are the outputs of other tasks by the names this one has for them. ``life`` is that of the
    run when this was sent: one of an earlier life is not wanted any more, there is another for it.
    """

    task: str
    attempt: int
    agent: str
    life: int = 0
    inputs: dict[str, Artifact] = field(factory=dict[str, Artifact])
    feedback: Feedback | None = None


@frozen
class Performed:
    """From a worker: how the attempt ended; without a result, it was cut short."""

    task: str
    attempt: int
    result: Result | None


@frozen
class Check:
    """To the checker: run the gates of a task and the hooks after it.

    ``inputs`` and ``life`` are as of ``Perform``.
    """

    task: str
    attempt: int
    result: Result
    life: int = 0
    inputs: dict[str, Artifact] = field(factory=dict[str, Artifact])


@frozen
class Checked:
    """From the checker: what each gate and hook said."""

    task: str
    attempt: int
    notes: tuple[Note, ...]


@frozen
class CheckConvoy:
    """To the checker: run the gates and hooks of the whole convoy. ``life`` as of ``Perform``.

    ``look`` is the number of this one: what an earlier one has said is not heard any more.
    """

    run: str
    point: HookPoint
    gates: tuple[Gate, ...]
    hooks: tuple[Hook, ...]
    folder: str
    log: str
    agents: tuple[Agent, ...] = ()
    life: int = 0
    allowed: tuple[Allowed, ...] = ()
    look: int = 0


@frozen
class ConvoyChecked:
    """From the checker: what they said, in this life of the run and at this look."""

    point: HookPoint
    notes: tuple[Note, ...]
    life: int = 0
    look: int = 0


@frozen
class Review:
    """To the reviewing: have one reviewer or a panel look at what was done.

    Each of the ``hooks`` takes one more. ``used`` are the tokens that reviews of this run have used.
    """

    run: str
    task: Task
    attempt: int
    route: Route
    result: Result
    reviewing: Reviewing
    log: str
    folder: str = ""
    used: int = 0
    notes: tuple[Note, ...] = ()
    hooks: tuple[Hook, ...] = ()
    allowed: tuple[Allowed, ...] = ()


@frozen
class Reviewed:
    """From the reviewing: passed, blocked, unrun or skipped, and what each reviewer said.

    ``panel`` is whether they were one: a budget may have left one reviewer of it.
    """

    task: str
    attempt: int
    verdict: str
    notes: tuple[Note, ...]
    tokens: int = 0
    panel: bool = False


# To and from those who pull


@message("Task")
@frozen
class Wanted:
    """To whoever pulls: do this, then ack with a reply such as ``{"status": "done", "output": "..."}``.

    ``prompt`` has its blanks filled in. ``inputs`` are paths of those that are files; one of more than
    100 KiB is in the prompt by its path only.
    """

    run: str
    task: str
    attempt: int
    prompt: str
    folder: str
    files: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    inputs: dict[str, str] = field(factory=dict[str, str])
    feedback: Feedback | None = None


@message("Review")
@frozen
class ReviewWanted:
    """To a reviewer who pulls: look, then ack with ``{"verdict": "pass"}`` or ``{"verdict": "block"}``."""

    run: str
    task: str
    attempt: int
    reviewer: str
    folder: str
    paths: tuple[str, ...] = ()
    output: str = ""
    notes: tuple[Note, ...] = ()


@message("reply")
@frozen
class Said:
    """From whoever pulls. A reply that is no table is its ``output``."""

    status: str = "done"
    output: Any = None
    reason: str = ""
    verdict: str = ""
    tokens: int | None = None
    outputs: dict[str, Any] = field(factory=dict[str, Any])


@message(BOUNCE)
@frozen
class Bounced:
    """From the store: nobody is there for what was sent to ``recipient``."""

    recipient: str = ""
    reason: str = ""


# Timers


@frozen
class Rested:
    """A pause before the next attempt is over."""

    task: str
    attempt: int


@frozen
class Askable:
    """An agent, or a fallback of it, may be asked again after its failures."""

    agent: str


@frozen
class Overdue:
    """Whoever pulls has had the time that an attempt may take."""

    task: str
    attempt: int


@frozen
class TimeIsUp:
    """The run has lasted as long as its budget lets it."""


# Orders of people, each answered with ``Obeyed`` or ``Refused``


@frozen
class Again:
    """Have tasks done again; without names, all that failed."""

    tasks: tuple[str, ...] = ()
    by: str = ""


@frozen
class Cancel:
    """Cancel tasks; without names, all that are not over."""

    tasks: tuple[str, ...] = ()
    reason: str = "caller_cancelled"


@frozen
class Inject:
    """Add a task. The same ``key`` again changes nothing."""

    task: Task
    by: str
    key: str


@frozen
class Allow:
    """Add to the budget, and go on."""

    more: Spent
    by: str


@frozen
class SettleDispute:
    """``pass``, ``fail`` or ``again``, for a disputed task."""

    task: str
    resolution: str
    by: str
    text: str = ""


@frozen
class ResolveDead:
    """Somebody has seen to a dead letter."""

    task: str
    by: str
    text: str


@frozen
class Obeyed:
    """From the manager: it was done, to these tasks. ``reopened``: the convoy was over, and is not now."""

    tasks: tuple[str, ...] = ()
    reopened: bool = False


@frozen
class Refused:
    """From the manager: nothing was changed."""

    code: str
    what: str
    why: str
    do: str
