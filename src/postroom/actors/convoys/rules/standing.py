"""Where a run and each of its tasks stand: what is kept, and nothing that follows from it."""

from __future__ import annotations

from enum import StrEnum

from attrs import define, field, frozen

from .states import ConvoyStatus, TaskStatus


class Failure(StrEnum):
    """Why an attempt failed, or why a task could not be done."""

    ERROR = "error"
    TIMEOUT = "timeout"
    GATE = "gate"
    HOOK = "hook"
    REVIEW = "review"
    INPUT = "input"
    AGENT = "agent"
    CANCELLED = "cancelled"


@frozen
class Note:
    """What one check or one reviewer has said. ``verdict`` is passed, blocked, unrun or skipped.

    ``text`` says why in one line, ``output`` is the end of what a command said that did not pass.
    ``asked`` is the agent or reviewer that was asked and could tell of ``tokens``; None means that
    nobody counted.
    """

    name: str
    verdict: str
    text: str = ""
    seconds: float = 0.0
    output: str = ""
    asked: str = ""
    tokens: int | None = None


@frozen
class Artifact:
    """An output that was kept: ``size`` in bytes. It is in the file ``path``, or else it is ``text``."""

    name: str
    kind: str
    size: int
    sha256: str
    path: str
    text: str = ""


@frozen
class Feedback:
    """What the next attempt is told about the one before. ``output`` is the end of its words."""

    attempt: int
    failure: Failure
    reason: str
    code: int | None = None
    output: str = ""
    notes: tuple[Note, ...] = ()


@frozen
class Result:
    """How one attempt of a task ended, by the word of whoever made it.

    ``status`` is done, failed or timed-out. ``output`` is the end of what it said; ``lines`` and
    ``files`` are how much it changed, below 0 if nobody knows, ``paths`` what. ``tokens`` None means
    that nobody counted.
    """

    status: TaskStatus
    seconds: float
    reason: str = ""
    failure: Failure | None = None
    code: int | None = None
    output: str = ""
    tokens: int | None = None
    outputs: tuple[Artifact, ...] = ()
    notes: tuple[Note, ...] = ()
    lines: int = 0
    files: int = 0
    paths: tuple[str, ...] = ()


@define
class Try:
    """One attempt of a task. Times are wall seconds; ``ended`` 0 means that it goes on.

    ``claimed`` is whether whoever made it said that the task is done, whatever came of that.
    """

    n: int
    agent: str
    started: float
    ended: float = 0.0
    outcome: str = ""
    failure: Failure | None = None
    reason: str = ""
    code: int | None = None
    tokens: int = 0
    claimed: bool = False


@define
class DeadLetter:
    """A task that could not be done, for a person.

    ``at`` is when, in wall seconds; ``by`` is who settled it, empty until then, and ``resolution`` how.
    """

    at: float
    failure: Failure
    error: str
    by: str = ""
    resolution: str = ""


@define
class TaskState:
    """Where one task stands.

    ``attempts`` counts those begun and not given back; ``seconds`` is what they took together.
    ``resting`` says that a retry waits for its time. ``claimed`` is whether whoever did it says that it
    is done, ``checked`` whether gates and reviews agree (None: nothing has looked). ``result`` is the
    claim while it is looked into. ``panels`` counts panels that blocked. ``base`` is how many
    attempts there were when a person last had it done again, and ``lines`` and ``paths`` what those
    since have changed together. ``dead`` is its dead letter.
    """

    status: TaskStatus = TaskStatus.PENDING
    attempts: int = 0
    seconds: float = 0.0
    tokens: int = 0
    resting: bool = False
    agent: str = ""
    failure: Failure | None = None
    reason: str = ""
    claimed: bool = False
    checked: bool | None = None
    panels: int = 0
    base: int = 0
    lines: int = 0
    paths: list[str] = field(factory=list[str])
    dead: DeadLetter | None = None
    result: Result | None = None
    feedback: Feedback | None = None
    tries: list[Try] = field(factory=list[Try])
    outputs: list[Artifact] = field(factory=list[Artifact])
    notes: list[Note] = field(factory=list[Note])


@define
class Breaker:
    """Whether an agent is asked. ``since`` is when it was opened, ``probe`` the task that tries it."""

    state: str = "closed"
    failures: int = 0
    since: float = 0.0
    probe: str = ""


@define
class Spent:
    """What a run has used up. ``tokens`` are those of tasks, hooks and reviewers."""

    turns: int = 0
    tokens: int = 0
    seconds: float = 0.0


@define
class Standing:
    """The manager's state. Tasks, events and the plan are records of their own.

    ``pages`` and ``events`` count what was put on record. ``allowed`` is what a person has added to the
    budget. ``began`` is whether what runs before all tasks has passed, ``closing`` whether what runs
    after them is under way. ``stopped`` says why nothing more starts, ``paused`` why the convoy waits.
    ``since`` is until when its time was counted, 0 while it does not count; ``since_first`` when it set
    out. ``convoy_tokens`` are what hooks of the whole convoy have used, ``uncounted`` agents and reviewers
    that do not say how many tokens they use, ``injected`` the tasks that were put in, by the key of who
    did so. ``life`` counts who have played the run, one after another, and ``looks`` how often hooks and
    gates of the whole convoy were asked.
    """

    status: ConvoyStatus = ConvoyStatus.RUNNING
    life: int = 0
    looks: int = 0
    pages: int = 0
    events: int = 0
    logs: str = ""
    began: bool = False
    closing: bool = False
    stopped: str = ""
    paused: str = ""
    since: float = 0.0
    since_first: float = 0.0
    spent: Spent = field(factory=Spent)
    allowed: Spent = field(factory=Spent)
    review_tokens: int = 0
    convoy_tokens: int = 0
    uncounted: list[str] = field(factory=list[str])
    injected: dict[str, str] = field(factory=dict[str, str])
    breakers: dict[str, Breaker] = field(factory=dict[str, Breaker])
