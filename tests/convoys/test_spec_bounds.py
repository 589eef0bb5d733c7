"""The bounds of a convoy hold for whatever its tasks do, and its warnings say what may not be meant."""

from __future__ import annotations

from heapq import heappop, heappush

import pytest
from convoy_files import Folder
from hypothesis import given
from hypothesis import strategies as st

from postroom.actors.convoys.plan import Convoy, Gate, Retry, Task
from postroom.actors.convoys.rules.retrying import pause
from postroom.actors.convoys.spec.advice import advice
from postroom.actors.convoys.spec.bounds import bounds_of

SH = ("sh", "-c")


@st.composite
def runs(draw: st.DrawFn) -> tuple[Convoy, dict[str, list[float]]]:
    """A convoy without files of two owners, and how long each attempt of each task happens to take."""
    tasks: list[Task] = []
    took: dict[str, list[float]] = {}
    for n in range(draw(st.integers(1, 6))):
        before = [task.id for task in tasks]
        needs = draw(st.lists(st.sampled_from(before), unique=True, max_size=2)) if before else []
        retry = Retry(draw(st.integers(0, 2)), draw(st.floats(0, 5)), 2.0, 8.0, draw(st.floats(0, 1)))
        gates = tuple(
            Gate("g", command=("true",), timeout=t) for t in draw(st.lists(st.floats(1, 5), max_size=1))
        )
        timeout = draw(st.floats(1, 20))
        task = Task(f"t{n}", "/", depends_on=tuple(needs), retry=retry, gates=gates, timeout=timeout)
        longest = timeout + sum(gate.timeout for gate in gates)
        made = draw(st.integers(1, 1 + retry.retries))
        took[task.id] = [draw(st.floats(0, longest)) for _ in range(made)]
        tasks.append(task)
    return Convoy("c", draw(st.integers(1, 3)), tuple(tasks)), took


def played(convoy: Convoy, took: dict[str, list[float]]) -> float:
    """When the last task is over, if each place is given to the first that is ready."""
    tasks = {task.id: task for task in convoy.tasks}
    ready = {task.id: 0.0 for task in convoy.tasks if not task.needs}
    made = dict.fromkeys(tasks, 0)
    over: dict[str, float] = {}
    running: list[tuple[float, str]] = []
    now = 0.0
    while len(over) < len(tasks):
        for id in [id for id, at in ready.items() if at <= now][: convoy.concurrency - len(running)]:
            del ready[id]
            heappush(running, (now + took[id][made[id]], id))
            made[id] += 1
        events = [at for at, _ in running[:1]]
        if len(running) < convoy.concurrency:
            events += [at for at in ready.values() if at > now]
        now = min(events)
        while running and running[0][0] <= now:
            _, id = heappop(running)
            if made[id] < len(took[id]):
                ready[id] = now + pause(tasks[id].retry, id, made[id])
                continue
            over[id] = now
            for task in tasks.values():
                if id in task.needs and all(other in over for other in task.needs):
                    ready[task.id] = now
    return now


@given(runs())
def test_no_run_takes_longer_than_its_bound_or_makes_more_attempts(
    run: tuple[Convoy, dict[str, list[float]]],
) -> None:
    convoy, took = run
    bounds = bounds_of(convoy)
    assert played(convoy, took) <= bounds.longest + 0.01
    assert sum(map(len, took.values())) <= bounds.attempts
    once = {task.id: [task.timeout] for task in convoy.tasks}
    assert played(convoy, once) >= bounds.longest_once - 0.01
    assert bounds.longest_once <= bounds.longest


def test_bounds_are_counted_by_hand(folder: Folder) -> None:
    convoy = folder.read(
        """
        [convoy]
        concurrency = 2
        gates = [{ command = "true", timeout = 1 }]
        [agents.dev]
        command = "cat"
        [review]
        route = "fast"
        [[review.reviewers]]
        name = "anna"
        command = "cat"
        timeout = 10
        [tasks.a]
        prompt = "Go"
        agent = "dev"
        retries = 2
        backoff = 4
        factor = 3
        jitter = 0.5
        timeout = 100
        gates = [{ command = "true", timeout = 5 }]
        [tasks.b]
        command = "true"
        retries = 0
        timeout = 30
        review = "none"
        """
    )
    bounds = bounds_of(convoy)
    assert (bounds.attempts, bounds.prompts, bounds.reviews) == (4, 3, 3)
    assert bounds.longest_once == 100.0
    assert bounds.longest == 3 * (100 + 5 + 10) + (4 + 12) * 1.5 + 30 + 1


def test_a_budget_of_turns_bounds_the_attempts(folder: Folder) -> None:
    text = "[budget]\nturns = 3\n[tasks.a]\ncommand = 'true'\nretries = 9"
    assert bounds_of(folder.read(text)).attempts == 3


CHAIN = "[tasks.a]\ncommand='make'\n[tasks.b]\ncommand='make'\ndepends_on=['a']\n".replace("make", "echo x")
MADE = "[tasks.a]\ncommand='echo'\noutputs={o='summary'}\n"
DEV = "[agents.dev]\ncommand = 'cat'\n"
THREE = "".join(f"[[review.reviewers]]\nname='r{n}'\ncommand='cat'\n" for n in range(3))


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (CHAIN, "each task waits for the one before it: concurrency 2 never pays"),
        (
            "[tasks.a]\ncommand='echo'\nfiles=['src']\n[tasks.b]\ncommand='echo'\nfiles=['src/x']",
            "a and b both own src/x: they run one after the other",
        ),
        (
            "[tasks.a]\ncommand='echo'\ngates=[{builtin='no_op'}]",
            "a: gate no_op compares the files of a task, and it owns none",
        ),
        ("[tasks.a]\ncommand='echo'\ngates=['true']", "a: gate true lets everything pass"),
        (
            DEV + "[tasks.a]\nprompt='Go'\nagent='dev'",
            "a: nothing checks what dev claims: it has no gate and no review",
        ),
        (
            DEV + "[tasks.a]\nprompt='Go'\nagent='dev'\ngates=['test -f x']",
            "agents are asked, and [budget] has no bound",
        ),
        (
            THREE + "[review]\ndisputed_after=3\n[tasks.a]\ncommand='echo'\nreview='panel'",
            "a: it has 2 attempts, so it fails before 3 panels dispute it",
        ),
        *(
            (
                MADE + f"[tasks.b]\ninputs={{x='a.o'}}\n{part}",
                "b: the shell reads input.x as part of its line: put it in env, and name that",
            )
            for part in (
                "command='echo {{input.x}}'",
                "command='echo'\ngates=['test {{input.x|lower}} = y']",
                "command='echo'\nhooks=[{command='echo {{input.x}}'}]",
                "steps=[{command='echo {{ input.x }}'}]",
                "steps=[{command='echo', gates=['test {{input.x}}']}]",
            )
        ),
    ],
)
def test_what_may_not_be_meant_is_a_warning(folder: Folder, text: str, warning: str) -> None:
    assert warning in advice(folder.read(text))


@pytest.mark.parametrize(
    "text",
    [
        "[convoy]\nconcurrency=1\n" + CHAIN,
        "[tasks.a]\ncommand='echo'\nfiles=['src']\n[tasks.b]\ncommand='echo'\nfiles=['srcs']",
        DEV + "[budget]\nturns=5\n[tasks.a]\nprompt='Go'\nagent='dev'\ngates=['test -f x']",
        "[convoy]\nconcurrency=1\n" + MADE + "[tasks.b]\ninputs={x='a.o'}\nenv={X='{{input.x}}'}\n"
        "command='echo \"$X\"'\n"
        "gates=[['echo', 'it is', '{{input.x}}'], ['sh', '-c', 'echo $1', 'sh', '{{input.x}}']]",
        "[input]\ny='1'\n[tasks.a]\ncommand='echo {{input.y}} {{convoy.folder}}'",
        THREE + "[review]\ndisputed_after=3\n[tasks.a]\ncommand='echo'\nreview='panel'\nretries=2",
        THREE + "[review]\ndisputed_after=3\n[tasks.a]\ncommand='echo'\nreview='fast'",
    ],
)
def test_what_is_meant_gives_no_warning(folder: Folder, text: str) -> None:
    assert advice(folder.read(text)) == []


def test_files_behind_a_link_of_the_folder_are_a_warning(folder: Folder) -> None:
    (folder.path / "inside").mkdir()
    (folder.path / "in").symlink_to("inside")
    text = "[tasks.a]\ncommand='echo'\nfiles=['in/x', 'in', 'inside/y', 'gone/z']"
    assert advice(folder.read(text)) == [
        f"a: {one} leads to {other} by a symbolic link: name that, if it is meant"
        for one, other in (("in/x", "inside/x"), ("in", "inside"))
    ]


def test_very_many_warnings_of_a_kind_are_counted(folder: Folder) -> None:
    text = "".join(f"[tasks.t{n}]\ncommand='echo'\ngates=['true']\n" for n in range(25))
    found = advice(folder.read(text))
    assert (len(found), found[-1]) == (21, "and 5 more like this")
