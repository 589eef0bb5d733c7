"""What a convoy is to do, once its file has been read and checked. Nothing here ever changes in a run."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from attrs import field, frozen

from .allowed import Allowed

DEFAULT_CONCURRENCY = 2
"""Tasks that run at once."""

AUTO, AUTO_CAP = 0, 8
"""``concurrency = "auto"``: as many as there are processors, and this many at most."""

DEFAULT_RETRIES = 1
DEFAULT_TIMEOUT = 1800.0
"""Seconds that one attempt of a task may take."""

GATE_SECONDS = 300.0
LOCAL = "local"
"""The agent of a task that says itself what to run."""


class OnExhausted(StrEnum):
    """What becomes of a task whose attempts are used up.

    ``dlq``: it fails and is kept as a dead letter. ``skip``: it is left out, which does not fail the
    convoy. ``stop``: as ``dlq``, and nothing more starts.
    """

    DLQ = "dlq"
    SKIP = "skip"
    STOP = "stop"


class OnOverlap(StrEnum):
    """What to do about two tasks that own the same file and could run at once."""

    SERIALISE = "serialise"
    REFUSE = "refuse"


class Route(StrEnum):
    """Who reviews a task: by size, path and agent; one reviewer; a panel; nobody."""

    AUTO = "auto"
    FAST = "fast"
    PANEL = "panel"
    NONE = "none"


class OnBudget(StrEnum):
    """What a review does whose tokens are used up."""

    SKIP = "skip"
    DOWNGRADE = "downgrade"
    STOP = "stop"


@frozen
class Retry:
    """How a failed task is tried again. ``retries`` counts attempts after the first.

    The pause is ``backoff`` seconds, times ``factor`` for each further one, ``longest`` at most,
    spread by ``jitter`` (a share). ``only`` are globs over the reason; empty means every failure.
    """

    retries: int = DEFAULT_RETRIES
    backoff: float = 1.0
    factor: float = 2.0
    longest: float = 300.0
    jitter: float = 0.0
    only: tuple[str, ...] = ()
    on_exhausted: OnExhausted = OnExhausted.DLQ


@frozen
class Work:
    """Something to do: a command, a call, or a prompt for an agent. Exactly one of them is there.

    ``command`` is a program and its words; ``call`` is ``module:function``, called with ``arguments``
    as keywords.
    """

    command: tuple[str, ...] = ()
    call: str = ""
    arguments: dict[str, Any] = field(factory=dict[str, Any])
    prompt: str = ""


class GateKind(StrEnum):
    """A shell command, or one of those that are built in."""

    COMMAND = "command"
    SECRET_SCAN = "secret_scan"
    BLAST_RADIUS = "blast_radius"
    NO_OP = "no_op"


@frozen
class Gate:
    """A check that a task, a step or a convoy has to pass. ``timeout`` is in seconds.

    ``most_lines`` and ``most_files`` are what ``blast_radius`` lets pass; two fifths of the lines, or
    half of the files, are worth a warning.
    """

    name: str
    kind: GateKind = GateKind.COMMAND
    command: tuple[str, ...] = ()
    timeout: float = GATE_SECONDS
    most_lines: int = 499
    most_files: int = 9


class HookKind(StrEnum):
    """``command``: run it. ``guard``: its failure stops what it guards. ``validate``: it says by JSON.

    ``agent``: a prompt for an agent. ``review``: one more review.
    """

    COMMAND = "command"
    GUARD = "guard"
    VALIDATE = "validate"
    AGENT = "agent"
    REVIEW = "review"


class HookPoint(StrEnum):
    """When a hook runs."""

    PRE_TASK = "pre_task"
    POST_TASK = "post_task"
    PRE_CONVOY = "pre_convoy"
    POST_CONVOY = "post_convoy"


@frozen
class Hook:
    """Something to run before or after a task or the convoy."""

    name: str
    on: HookPoint
    kind: HookKind
    command: tuple[str, ...] = ()
    prompt: str = ""
    agent: str = ""
    timeout: float = GATE_SECONDS


@frozen
class Condition:
    """When a step runs: by the exit code of an earlier one, or by whether a file is there.

    ``compare`` is eq, ne, lt or gt. ``file`` is relative to the task's folder and stays in it.
    """

    step: str = ""
    compare: str = "eq"
    code: int = 0
    file: str = ""


@frozen
class Step:
    """One part of a task, done after the one before it, if its condition holds."""

    id: str
    work: Work
    when: Condition | None = None
    gates: tuple[Gate, ...] = ()


class OutputKind(StrEnum):
    """What of a task others can use: a file, the last 4 KiB of its words, or a JSON block in them."""

    FILE = "file"
    SUMMARY = "summary"
    JSON = "json"


@frozen
class Output:
    """A named result of a task. ``path`` is relative to the task's folder."""

    name: str
    kind: OutputKind
    path: str = ""


@frozen
class Input:
    """What a task needs of another: ``{{input.NAME}}`` stands for the output ``output`` of ``task``."""

    name: str
    task: str
    output: str


@frozen
class Task:
    """One task of a convoy.

    ``cwd`` is an absolute path. ``files`` are what it may change, relative to the convoy's folder:
    nobody else's while it runs. A higher ``priority`` starts first. ``timeout`` is in seconds and
    for one attempt. ``review`` empty means what the convoy says. ``source`` says who put it in, if
    the file did not.
    """

    id: str
    cwd: str
    work: Work = Work()
    agent: str = LOCAL
    steps: tuple[Step, ...] = ()
    depends_on: tuple[str, ...] = ()
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()
    files: tuple[str, ...] = ()
    gates: tuple[Gate, ...] = ()
    hooks: tuple[Hook, ...] = ()
    priority: int = 0
    retry: Retry = Retry()
    timeout: float = DEFAULT_TIMEOUT
    env: dict[str, str] = field(factory=dict[str, str])
    review: Route | None = None
    source: str = ""

    @property
    def has_prompt(self) -> bool:
        """Whether it asks its agent anything."""
        return bool(self.work.prompt) or any(step.work.prompt for step in self.steps)

    @property
    def needs(self) -> tuple[str, ...]:
        """The tasks that come before this one: those it depends on, and those whose outputs it takes."""
        return tuple(dict.fromkeys((*self.depends_on, *(given.task for given in self.inputs))))


@frozen
class Agent:
    """Who does tasks that are prompts: a command that reads the prompt, a call, or whoever pulls.

    ``inbox`` is the address of a participant of its own, which polls, acks and replies. After
    ``threshold`` failures in a row nobody asks it for ``cooldown`` seconds; ``fallback`` is the agent
    that does its tasks meanwhile.
    """

    name: str
    command: tuple[str, ...] = ()
    call: str = ""
    inbox: str = ""
    fallback: str = ""
    threshold: int = 3
    cooldown: float = 300.0


@frozen
class Reviewer:
    """Who reviews: a command or a call that is given the change, or whoever pulls from ``inbox``."""

    name: str
    command: tuple[str, ...] = ()
    call: str = ""
    inbox: str = ""
    timeout: float = GATE_SECONDS


@frozen
class Reviewing:
    """How the tasks of a convoy are reviewed.

    ``auto`` lets pass what changes at most ``pass_lines`` in ``pass_files``, and takes a panel for
    paths under ``panel_paths`` and agents of ``panel_agents``. A panel blocks with ``blocks`` of its
    votes. After ``panels`` panels that blocked, a task is disputed. ``tokens`` 0 means no budget.
    """

    route: Route = Route.NONE
    reviewers: tuple[Reviewer, ...] = ()
    concurrency: int = 3
    tokens: int = 0
    on_budget: OnBudget = OnBudget.SKIP
    pass_lines: int = 10
    pass_files: int = 2
    panel_paths: tuple[str, ...] = ("auth/", "security/", "migrations/", "rls/")
    panel_agents: tuple[str, ...] = ("security", "db")
    panel_size: int = 3
    blocks: int = 2
    panels: int = 2
    stop_on_dispute: bool = True


@frozen
class Budget:
    """What a run may spend before it pauses and asks ``owner``; 0 is no bound, ``seconds`` are wall time."""

    turns: int = 0
    tokens: int = 0
    seconds: float = 0.0
    owner: str = "operator/cli"


@frozen
class Convoy:
    """A graph of tasks without a cycle. ``tasks`` is in the order of the file, ``folder`` is absolute.

    ``allowed`` is what looks like a secret and is none.
    """

    name: str
    concurrency: int
    tasks: tuple[Task, ...]
    folder: str = ""
    agents: tuple[Agent, ...] = ()
    gates: tuple[Gate, ...] = ()
    hooks: tuple[Hook, ...] = ()
    reviewing: Reviewing = Reviewing()
    budget: Budget = Budget()
    on_overlap: OnOverlap = OnOverlap.SERIALISE
    injections: int = 10
    allowed: tuple[Allowed, ...] = ()

    def agent(self, name: str) -> Agent:
        """The agent of this name; one that is not declared has no fallback and the usual breaker."""
        return next((agent for agent in self.agents if agent.name == name), Agent(name))
