"""Everything that a plan holds can be said in a convoy file."""

from __future__ import annotations

from pathlib import Path

import pytest
from convoy_files import Folder

from postroom.actors.convoys.plan import (
    Agent,
    Budget,
    Condition,
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
    Work,
)

SH = ("sh", "-c")


def test_a_convoy_says_how_it_runs(folder: Folder) -> None:
    (folder.path / "sub").mkdir()
    convoy = folder.read(
        """
        [convoy]
        name = "all"
        concurrency = 5
        folder = "sub"
        on_overlap = "refuse"
        max_injections = 3
        gates = ["true", { builtin = "secret_scan" }]
        hooks = [{ on = "pre_convoy", command = "true" }]
        [budget]
        turns = 7
        tokens = 100
        seconds = "2h"
        owner = "manager/anna"
        [tasks.a]
        command = "true"
        """
    )
    assert (convoy.name, convoy.concurrency, convoy.injections) == ("all", 5, 3)
    assert Path(convoy.folder) == folder.path / "sub"
    assert Path(convoy.tasks[0].cwd) == folder.path / "sub"
    assert convoy.on_overlap is OnOverlap.REFUSE
    assert convoy.gates == (
        Gate("true", command=(*SH, "true")),
        Gate("secret_scan", GateKind.SECRET_SCAN),
    )
    assert convoy.hooks == (Hook("true-2", HookPoint.PRE_CONVOY, HookKind.COMMAND, (*SH, "true")),)
    assert convoy.budget == Budget(7, 100, 7200.0, "manager/anna")


@pytest.mark.parametrize(
    ("processors", "cap", "places"), [(4, "", 4), (64, "", 8), (64, "max_concurrency = 12", 12)]
)
def test_concurrency_auto_is_the_processors_up_to_a_cap(
    folder: Folder, processors: int, cap: str, places: int
) -> None:
    text = f'[convoy]\nconcurrency = "auto"\n{cap}\n[tasks.a]\ncommand = "true"'
    assert folder.read(text, processors=processors).concurrency == places


def test_a_task_says_how_it_is_retried(folder: Folder) -> None:
    (task,) = folder.read(
        """
        [tasks.a]
        command = "true"
        retries = 4
        backoff = "500ms"
        factor = 3
        longest_backoff = "1m"
        jitter = 0.5
        retry_on = ["exit 1*", "*refused*"]
        on_exhausted = "skip"
        """
    ).tasks
    assert task.retry == Retry(4, 0.5, 3.0, 60.0, 0.5, ("exit 1*", "*refused*"), OnExhausted.SKIP)


def test_what_all_tasks_share_is_said_once_and_a_task_may_say_otherwise(folder: Folder) -> None:
    first, second, third = folder.read(
        """
        [defaults]
        retries = 3
        timeout = "30m"
        priority = 2
        agent = "dev"
        review = "fast"
        env = { A = "1", B = "2" }
        gates = ["test -f out"]
        [agents.dev]
        command = "cat"
        [[review.reviewers]]
        name = "anna"
        command = "cat"
        [tasks.first]
        command = "true"
        [tasks.second]
        command = "true"
        retries = 0
        timeout = 5
        priority = -1
        review = "none"
        env = { B = "3" }
        gates = []
        [tasks.third]
        prompt = "Think"
        """
    ).tasks
    assert (first.retry.retries, first.timeout, first.priority, first.review) == (3, 1800.0, 2, Route.FAST)
    assert (first.env, [gate.name for gate in first.gates]) == ({"A": "1", "B": "2"}, ["test"])
    assert (second.retry.retries, second.timeout, second.priority) == (0, 5.0, -1)
    assert (second.review, second.env, second.gates) == (Route.NONE, {"A": "1", "B": "3"}, ())
    assert [first.agent, second.agent, third.agent] == ["local", "local", "dev"]


def test_on_failure_stop_is_what_tasks_do_that_say_nothing_else(folder: Folder) -> None:
    stops, skips = folder.read(
        """
        [convoy]
        on_failure = "stop"
        [tasks.a]
        command = "true"
        [tasks.b]
        command = "true"
        on_exhausted = "skip"
        """
    ).tasks
    assert stops.retry.on_exhausted is OnExhausted.STOP
    assert skips.retry.on_exhausted is OnExhausted.SKIP


def test_outputs_of_a_task_are_inputs_of_others_and_their_blanks_wait_for_the_run(folder: Folder) -> None:
    make, use = folder.read(
        """
        [input]
        who = "Anna"
        [agents.dev]
        command = "cat"
        [tasks."make.it"]
        command = "true"
        files = ["src/", "./a"]
        outputs = { text = "summary", data = "json", report = { file = "out/report.txt" } }
        [tasks.use]
        prompt = "{{input.who}} reads {{input.r|upper}}"
        agent = "dev"
        env = { DATA = "{{input.d}}" }
        inputs = { r = "make.it.report", d = { from = "make.it", name = "data" } }
        """
    ).tasks
    assert make.files == ("src", "a")
    assert make.outputs == (
        Output("text", OutputKind.SUMMARY),
        Output("data", OutputKind.JSON),
        Output("report", OutputKind.FILE, "out/report.txt"),
    )
    assert use.inputs == (Input("r", "make.it", "report"), Input("d", "make.it", "data"))
    assert use.needs == ("make.it",)
    assert use.work.prompt == "Anna reads {{input.r|upper}}"
    assert use.env == {"DATA": "{{input.d}}"}


def test_a_task_is_done_in_steps_with_conditions_and_gates(folder: Folder) -> None:
    (task,) = folder.read(
        """
        [tasks.a]
        [[tasks.a.steps]]
        command = ["false"]
        [[tasks.a.steps]]
        id = "mend"
        call = "json:dumps"
        arguments = { obj = 1 }
        if = { step = "1", exit = { ne = 0 } }
        gates = ["true", "true"]
        [[tasks.a.steps]]
        command = "true"
        if = { file_exists = "out/log" }
        [[tasks.a.steps]]
        command = "true"
        if = { step = "mend" }
        """
    ).tasks
    gates = (Gate("true", command=(*SH, "true")), Gate("true-2", command=(*SH, "true")))
    assert task.steps == (
        Step("1", Work(("false",))),
        Step("mend", Work(call="json:dumps", arguments={"obj": 1}), Condition("1", "ne", 0), gates),
        Step("3", Work((*SH, "true")), Condition(file="out/log")),
        Step("4", Work((*SH, "true")), Condition("mend", "eq", 0)),
    )


def test_gates_and_hooks_are_named_after_what_they_run_unless_they_have_a_name(folder: Folder) -> None:
    (task,) = folder.read(
        """
        [agents.dev]
        command = "cat"
        [[review.reviewers]]
        name = "anna"
        command = "cat"
        [tasks.a]
        command = "true"
        gates = [
          "/bin/true --quick",
          ["true"],
          { name = "true-2", command = "true", timeout = "5s" },
          { builtin = "blast_radius", max_lines = 7, max_files = 1 },
          { builtin = "no_op" },
          "(exit 0)",
        ]
        hooks = [
          { command = "true" },
          { on = "pre_task", type = "guard", command = "true", timeout = 2 },
          { type = "validate", name = "judge", command = ["cat"] },
          { type = "agent", prompt = "Look", agent = "dev" },
          { type = "review" },
        ]
        """
    ).tasks
    assert [gate.name for gate in task.gates] == ["true", "true-3", "true-2", "blast_radius", "no_op", "gate"]
    assert task.gates[2].timeout == 5.0
    assert (task.gates[3].most_lines, task.gates[3].most_files) == (7, 1)
    assert [(hook.name, hook.on, hook.kind) for hook in task.hooks] == [
        ("true-4", HookPoint.POST_TASK, HookKind.COMMAND),
        ("true-5", HookPoint.PRE_TASK, HookKind.GUARD),
        ("judge", HookPoint.POST_TASK, HookKind.VALIDATE),
        ("agent", HookPoint.POST_TASK, HookKind.AGENT),
        ("review", HookPoint.POST_TASK, HookKind.REVIEW),
    ]


def test_agents_and_reviewers_are_commands_calls_or_those_who_pull(folder: Folder) -> None:
    convoy = folder.read(
        """
        [agents.dev]
        command = ["cat"]
        fallback = "bob"
        threshold = 5
        cooldown = "10m"
        [agents.bob]
        inbox = "worker/bob"
        [review]
        route = "panel"
        concurrency = 2
        tokens = 9
        on_budget = "stop"
        pass_lines = 0
        pass_files = 1
        panel_paths = ["core/"]
        panel_agents = []
        panel_size = 2
        blocks = 1
        disputed_after = 4
        on_dispute = "continue"
        reviewers = [
          { name = "anna", inbox = "reviewer/anna" },
          { name = "lint", command = "cat", timeout = "1m" },
        ]
        [tasks.a]
        prompt = "Do it"
        agent = "dev"
        """
    )
    assert convoy.agents == (
        Agent("dev", ("cat",), fallback="bob", threshold=5, cooldown=600.0),
        Agent("bob", inbox="worker/bob"),
    )
    assert convoy.reviewing == Reviewing(
        Route.PANEL,
        (Reviewer("anna", inbox="reviewer/anna"), Reviewer("lint", (*SH, "cat"), timeout=60.0)),
        2, 9, OnBudget.STOP, 0, 1, ("core/",), (), 2, 1, 4, False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90.0), ("30m", 1800.0), ("2h", 7200.0), ("1.5 h", 5400.0), ("1d", 86400.0)]
)
def test_a_duration_may_be_a_text(folder: Folder, text: str, seconds: float) -> None:
    assert folder.read(f"[tasks.a]\ncommand='true'\ntimeout='{text}'").tasks[0].timeout == seconds


def test_the_folder_of_a_convoy_can_be_set(folder: Folder) -> None:
    (folder.path / "there").mkdir()
    text = """
        [convoy]
        folder = "{{input.place}}"
        [input]
        place = "here"
        out = "{{convoy.folder}}/out"
        [tasks.a]
        command = ["echo", "{{input.out}}"]
    """
    (task,) = folder.read(text, {"place": "there"}).tasks
    assert task.work.command[1] == f"{folder.path}/there/out"
    assert folder.faults(text) == [
        f"convoy.folder: no such folder: {folder.path}/here (create it before the run, or name another)"
    ]


def test_a_mere_call_takes_no_folder_and_no_environment_of_those_that_all_share(folder: Folder) -> None:
    called, gated = folder.read(
        """
        [defaults]
        env = { A = "1" }
        [tasks.called]
        call = "json:dumps"
        arguments = { obj = 1 }
        [tasks.gated]
        call = "json:dumps"
        arguments = { obj = 1 }
        gates = ["true"]
        """
    ).tasks
    assert (called.env, gated.env) == ({}, {"A": "1"})
