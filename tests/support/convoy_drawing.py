"""Convoys of every shape, as hypothesis draws them: each one that a file could declare on any machine."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from postroom.actors.convoys.allowed import Allowed
from postroom.actors.convoys.plan import (
    LOCAL,
    Agent,
    Budget,
    Condition,
    Convoy,
    Gate,
    GateKind,
    Hook,
    HookKind,
    HookPoint,
    Input,
    OnBudget,
    OnExhausted,
    OnOverlap,
    Output,
    OutputKind,
    Retry,
    Reviewer,
    Reviewing,
    Route,
    Step,
    Task,
    Work,
)
from postroom.actors.convoys.spec.agents import pulling
from postroom.actors.convoys.spec.tasks import runs_programs

FOLDER = "/tmp"
"""It is there, and nothing is written to it."""
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0{"), max_size=12)
FILLED = TEXTS.filter(str.strip)
SECONDS = st.floats(0.001, 604_800)
PAUSES = st.floats(0, 604_800)
COUNTS = st.integers(1, 2**53)
COMMANDS = st.one_of(
    st.lists(TEXTS, max_size=2).map(lambda words: ("true", *words)),
    TEXTS.map(lambda text: ("sh", "-c", f"true {text}")),
)
VALUES = st.recursive(
    st.one_of(
        TEXTS,
        st.integers(-(2**63), 2**63 - 1),
        st.booleans(),
        st.floats(allow_nan=False, allow_infinity=False),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=4,
)
RETRIES = st.builds(
    Retry, st.integers(0, 100), PAUSES, st.floats(1, 10), PAUSES, st.floats(0, 1),
    st.lists(TEXTS, max_size=2).map(tuple), st.sampled_from(OnExhausted),
)  # fmt: skip
PATHS = st.lists(st.sampled_from(["src", "src/a b", "docs/ü", "x'\"\\y"]), unique=True, max_size=3)
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
REASONS = WORDS.filter(str.strip)
GLOBS = st.lists(st.sampled_from(["docs/*", "*.md", "{{input.x}}"]), max_size=2).map(tuple)
PATTERNS = st.sampled_from(["[a-z]{3}\\d+", "(?i)x", "{{input.x}}"])
ALLOWED = st.one_of(
    st.builds(Allowed, REASONS, literal=REASONS, paths=GLOBS),
    st.builds(Allowed, REASONS, pattern=PATTERNS, paths=GLOBS),
)


class Parts:
    """Draws parts whose names are used once each. ``prompts`` may be among the work."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw
        self._names = 0

    def name(self) -> str:
        self._names += 1
        return f"{self._draw(TEXTS)}{self._names}"

    def gates(self) -> tuple[Gate, ...]:
        return tuple(self._gate() for _ in range(self._draw(st.integers(0, 2))))

    def _gate(self) -> Gate:
        kind, timeout = self._draw(st.sampled_from(GateKind)), self._draw(SECONDS)
        if kind is GateKind.COMMAND:
            return Gate(self.name(), kind, self._draw(COMMANDS), timeout)
        limits = (self._draw(COUNTS), self._draw(COUNTS)) if kind is GateKind.BLAST_RADIUS else ()
        return Gate(self.name(), kind, (), timeout, *limits)

    def hooks(
        self, points: Sequence[HookPoint], agents: Sequence[str], *, reviewed: bool
    ) -> tuple[Hook, ...]:
        kinds = [HookKind.COMMAND, HookKind.GUARD, HookKind.VALIDATE]
        kinds += [HookKind.AGENT] if agents else []
        kinds += [HookKind.REVIEW] if reviewed else []
        return tuple(
            self._hook(self._draw(st.sampled_from(kinds)), points, agents)
            for _ in range(self._draw(st.integers(0, 2)))
        )

    def _hook(self, kind: HookKind, points: Sequence[HookPoint], agents: Sequence[str]) -> Hook:
        on, timeout = self._draw(st.sampled_from(points)), self._draw(SECONDS)
        if kind is HookKind.REVIEW:
            return Hook(self.name(), HookPoint.POST_TASK, kind, timeout=timeout)
        if kind is HookKind.AGENT:
            prompt, agent = self._draw(FILLED), self._draw(st.sampled_from(agents))
            return Hook(self.name(), on, kind, (), prompt, agent, timeout)
        return Hook(self.name(), on, kind, self._draw(COMMANDS), timeout=timeout)

    def work(self, blank: str, *, prompts: bool) -> Work:
        kinds = ["command", "call", *(["prompt"] if prompts else [])]
        kind = self._draw(st.sampled_from(kinds))
        if kind == "call":
            return Work(
                call="builtins:dict", arguments=self._draw(st.dictionaries(TEXTS, VALUES, max_size=2))
            )
        if kind == "prompt":
            return Work(prompt=self._draw(FILLED) + blank)
        return Work((*self._draw(COMMANDS), blank))

    def steps(self, blank: str, *, prompts: bool) -> tuple[Step, ...]:
        steps: list[Step] = []
        for _ in range(self._draw(st.integers(1, 3))):
            earlier = [step.id for step in steps]
            conditions = [st.none(), st.builds(Condition, file=st.just("out/x"))]
            if earlier:
                compare = st.sampled_from(["eq", "ne", "lt", "gt"])
                conditions.append(
                    st.builds(Condition, st.sampled_from(earlier), compare, st.integers(-255, 255))
                )
            when = self._draw(st.one_of(conditions))
            steps.append(Step(self.name(), self.work(blank, prompts=prompts), when, self.gates()))
        return tuple(steps)


@st.composite
def convoys(draw: st.DrawFn) -> Convoy:
    """A convoy whose programs, functions and folders are there."""
    parts = Parts(draw)
    agents = _agents(draw)
    reviewing = _reviewing(draw)
    pulls = pulling(agents)
    doers = [agent.name for agent in agents if agent.name not in pulls]
    reviewed = bool(reviewing.reviewers)
    return Convoy(
        name=draw(
            st.text(
                st.characters(exclude_categories=["Cs"], exclude_characters="\0{"), min_size=1, max_size=9
            )
        ),
        concurrency=draw(st.integers(1, 64)),
        tasks=_tasks(draw, parts, agents, doers, reviewing),
        folder=FOLDER,
        agents=agents,
        gates=parts.gates(),
        hooks=parts.hooks(tuple(HookPoint), doers, reviewed=reviewed),
        reviewing=reviewing,
        budget=Budget(draw(COUNTS), draw(COUNTS), draw(PAUSES), "manager/anna"),
        on_overlap=draw(st.just(OnOverlap.SERIALISE)),
        injections=draw(st.integers(0, 1000)),
        allowed=tuple(draw(st.lists(ALLOWED, max_size=2))),
    )


def _agents(draw: st.DrawFn) -> tuple[Agent, ...]:
    names = draw(st.lists(TEXTS.filter(bool), unique=True, max_size=3))
    agents: list[Agent] = []
    for n, name in enumerate(names):
        fallback = draw(st.sampled_from(["", *names[n + 1 :]]))
        threshold, cooldown = draw(st.integers(1, 1000)), draw(SECONDS)
        ways = ((draw(COMMANDS), "", ""), ((), "textwrap:dedent", ""), ((), "", "worker/bob"))
        command, call, inbox = draw(st.sampled_from(ways))
        call = call and "builtins:dict"
        agents.append(Agent(name, command, call, inbox, fallback, threshold, cooldown))
    return tuple(agents)


def _reviewing(draw: st.DrawFn) -> Reviewing:
    reviewers = tuple(
        Reviewer(f"{draw(TEXTS)}{n}", draw(COMMANDS), timeout=draw(SECONDS))
        for n in range(draw(st.integers(0, 3)))
    )
    size = draw(st.integers(1, max(1, len(reviewers))))
    return Reviewing(
        draw(st.sampled_from(_routes(reviewers))), reviewers, draw(st.integers(1, 64)), draw(COUNTS),
        draw(st.sampled_from(OnBudget)), draw(COUNTS), draw(COUNTS), tuple(draw(PATHS)),
        tuple(draw(st.lists(TEXTS, max_size=2))), size, draw(st.integers(1, size)),
        draw(st.integers(1, 1000)), draw(st.booleans()),
    )  # fmt: skip


def _routes(reviewers: Sequence[Reviewer]) -> list[Route]:
    return list(Route) if reviewers else [Route.NONE]


def _tasks(
    draw: st.DrawFn, parts: Parts, agents: Sequence[Agent], doers: Sequence[str], reviewing: Reviewing
) -> tuple[Task, ...]:
    tasks: list[Task] = []
    for n in range(draw(st.integers(1, 4))):
        tasks.append(_task(draw, parts, f"t.{n}", tasks, [agent.name for agent in agents], doers, reviewing))
    return tuple(draw(st.permutations(tasks)))


def _task(
    draw: st.DrawFn, parts: Parts, id: str, before: Sequence[Task], agents: Sequence[str],
    doers: Sequence[str], reviewing: Reviewing,
) -> Task:  # fmt: skip
    made = [(task.id, output.name) for task in before for output in task.outputs]
    inputs = tuple(
        Input(f"i{n}", *source)
        for n, source in enumerate(draw(st.lists(st.sampled_from(made), max_size=2)) if made else [])
    )
    blank = "{{input.i0|kebab}}" if inputs else ""
    stepped = draw(st.booleans())
    prompter = draw(st.sampled_from(doers if stepped else agents)) if (doers if stepped else agents) else ""
    work = Work() if stepped else parts.work(blank, prompts=bool(prompter))
    steps = parts.steps(blank, prompts=bool(prompter)) if stepped else ()
    prompts = work.prompt or any(step.work.prompt for step in steps)
    task = Task(
        id, FOLDER, work, prompter if prompts else draw(st.sampled_from([LOCAL, *doers])), steps,
        tuple(draw(st.lists(st.sampled_from([task.id for task in before]), unique=True)) if before else ()),
        inputs, _outputs(draw), tuple(draw(PATHS)), parts.gates(),
        parts.hooks((HookPoint.PRE_TASK, HookPoint.POST_TASK), doers, reviewed=bool(reviewing.reviewers)),
        draw(st.integers(-1_000_000, 1_000_000)), draw(RETRIES), draw(SECONDS),
        review=draw(st.sampled_from([None, *_routes(reviewing.reviewers)])),
    )  # fmt: skip
    return _placed(draw, task)


def _placed(draw: st.DrawFn, task: Task) -> Task:
    """The same in a folder and an environment of its own, if these mean anything to it."""
    from attrs import evolve

    if not runs_programs(task):
        return task
    variables = TEXTS.filter(lambda name: bool(name) and "=" not in name and name != "PATH")
    return evolve(
        task,
        cwd=draw(st.sampled_from([FOLDER, "/", "/usr/lib"])),
        env=draw(st.dictionaries(variables, TEXTS, max_size=2)),
    )


def _outputs(draw: st.DrawFn) -> tuple[Output, ...]:
    names = draw(st.lists(st.sampled_from("abc"), unique=True, max_size=3))
    kinds = sorted(
        (draw(st.sampled_from(OutputKind)) for _ in names), key=lambda kind: kind is OutputKind.FILE
    )
    return tuple(
        Output(name, kind, "out/x" if kind is OutputKind.FILE else "")
        for name, kind in zip(names, kinds, strict=True)
    )
