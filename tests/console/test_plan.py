"""``postroom plan``: what a convoy file would do, or everything that is wrong with it."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from prove.inputs.command_lines import Seen, run

GOOD = """\
[convoy]
name = "small"
[input]
word = "hello"
[agents.dev]
command = "cat"
[tasks.build]
command = "echo {{input.word}} > out"
outputs = { text = { file = "out" } }
files = ["out"]
[tasks.write]
prompt = "Say {{input.t}}"
agent = "dev"
inputs = { t = "build.text" }
gates = ["test -f out"]
files = ["out"]
retries = 2
timeout = "90s"
"""
BAD = """\
[convoy]
nam = "small"
[tasks.build]
command = "true"
depends_on = ["lnt"]
[tasks.lint]
comand = "true"
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("good.toml").write_text(GOOD)
    Path("bad.toml").write_text(BAD)
    return tmp_path


def document(*words: str) -> dict[str, Any]:
    seen = run(("--json", *words))
    found: dict[str, Any] = json.loads(seen.out)
    return found


def plan(*words: str) -> Seen:
    return run(("plan", *words))


def test_a_plan_shows_phases_tasks_owners_bounds_and_warnings() -> None:
    seen = plan("good.toml")
    assert (seen.code, seen.err) == (0, "")
    rows = [line.split() for line in seen.out.splitlines()]
    assert ["convoy", "small"] in rows
    assert ["1", "build", "local", "-", "out", "-", "none", "2", "30", "min"] in rows
    assert ["2", "write", "dev", "build", "out", "test", "none", "3", "90.0", "s"] in rows or [
        "2", "write", "dev", "build", "out", "test", "none", "3", "90", "s",
    ] in rows  # fmt: skip
    assert ["out", "build,", "write"] in rows
    assert "attempts     at most 5, 3 of them by agents" in seen.out
    assert "warning: each task waits for the one before it: concurrency 2 never pays" in seen.out


def test_a_plan_as_json_says_the_same(here: Path) -> None:
    view = document("plan", "good.toml")
    assert view.keys() >= {
        "convoy",
        "folder",
        "concurrency",
        "phases",
        "files",
        "bounds",
        "budget",
        "warnings",
    }
    assert (view["convoy"], view["folder"], view["concurrency"]) == ("small", str(here), 2)
    (build,), (write,) = view["phases"]
    assert build["id"] == "build"
    assert write == {
        "id": "write", "agent": "dev", "needs": ["build"], "files": ["out"], "gates": ["test"],
        "review": "none", "attempts": 3, "timeout": 90.0, "priority": 0,
    }  # fmt: skip
    assert view["files"] == {"out": ["build", "write"]}
    assert view["bounds"]["attempts"] == 5


def test_a_plan_shows_what_looks_like_a_secret_and_is_none_but_no_literal() -> None:
    secrets = """\
[secrets]
allow = [
  { literal = "not-so-secret", reason = "an example", paths = ["docs/*", "*.md"] },
  { pattern = "^made-up-[0-9]+$", reason = "made up" },
]
"""
    Path("good.toml").write_text(GOOD + secrets)
    seen = plan("good.toml")
    rows = [line.split(maxsplit=5) for line in seen.out.splitlines()]
    assert "not-so-secret" not in seen.out
    assert ["a", "text", "of", "13", "characters", "docs/*, *.md  an example"] in rows
    assert ["^made-up-[0-9]+$", "everywhere", "made", "up"] in rows
    assert document("plan", "good.toml")["allowed"] == [
        {"what": "a text of 13 characters", "paths": ["docs/*", "*.md"], "reason": "an example"},
        {"what": "^made-up-[0-9]+$", "paths": [], "reason": "made up"},
    ]


def test_a_plan_runs_nothing_and_makes_no_store(here: Path) -> None:
    assert plan("good.toml").code == 0
    assert sorted(path.name for path in here.iterdir()) == ["bad.toml", "good.toml"]


def test_a_resolved_plan_is_a_file_that_says_the_same() -> None:
    text = plan("good.toml", "--resolved", "--set", "word=it's").out
    assert tomllib.loads(text)["tasks"]["build"]["command"] == ["sh", "-c", "echo it's > out"]
    Path("again.toml").write_text(text)
    assert plan("again.toml", "--resolved").out == text
    assert document("plan", "good.toml", "--resolved", "--set", "word=it's") == {
        "convoy": "small",
        "resolved": text,
    }


def test_a_resolved_plan_can_be_shown_on_a_terminal_and_read_again() -> None:
    word = "\x1b[2J\u202e\u200b\x9b\n\t\U000e0041"
    Path("good.toml").write_text(GOOD.replace('"hello"', json.dumps(word, ensure_ascii=False)))
    text = plan("good.toml", "--resolved").out
    assert not {"\x1b", "\u202e", "\u200b", "\x9b", "\U000e0041"} & set(text)
    assert tomllib.loads(text)["tasks"]["build"]["command"][2] == f"echo {word} > out"


def test_every_fault_is_told_on_a_line_of_its_own_with_file_and_line() -> None:
    seen = plan("bad.toml")
    assert (seen.code, seen.out) == (2, "")
    assert seen.err.splitlines() == [
        "postroom: bad.toml: 4 faults (mend them and try again)",
        "bad.toml:2: convoy.nam: unknown key (did you mean name?)",
        "bad.toml:5: tasks.build.depends_on[0]: no task is named lnt (did you mean lint?)",
        "bad.toml:6: tasks.lint: has no command, call, prompt or steps (say what it does)",
        "bad.toml:7: tasks.lint.comand: unknown key (did you mean command?)",
    ]


def test_the_faults_are_in_the_json_error_one_by_one() -> None:
    error = document("plan", "bad.toml")["error"]
    assert (error["code"], error["what"]) == ("bad_input", "bad.toml: 4 faults")
    assert error["faults"][1] == {
        "where": "tasks.build.depends_on[0]",
        "line": 5,
        "what": "no task is named lnt",
        "do": "did you mean lint?",
    }
    assert [fault["line"] for fault in error["faults"]] == [2, 5, 6, 7]


def test_a_single_fault_is_one_line() -> None:
    Path("bad.toml").write_text("[tasks.a]\ncommand = 'true'\nretries = -1\n")
    assert plan("bad.toml").err == (
        "postroom: bad.toml:3: tasks.a.retries: must be a whole number from 0 to 100, not -1\n"
    )


def test_a_run_of_a_bad_file_tells_the_same_faults() -> None:
    assert run(("run", "bad.toml")).err == plan("bad.toml").err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("none.toml",), "postroom: cannot read none.toml: no such file or directory (name a convoy file)"),
        (("good.toml", "--set", "word"), "postroom: --set word: it takes the form K=V"),
        (
            ("good.toml", "--set", "wrd=1"),
            "postroom: good.toml:3: input.wrd: set, but the file declares no such input (did you mean word?)",
        ),
    ],
)
def test_what_cannot_be_planned_is_bad_input(words: tuple[str, ...], said: str) -> None:
    seen = plan(*words)
    assert seen.code == 2
    assert seen.err.startswith(said)
    assert seen.err.count("\n") == 1


FOLDER = "[convoy]\nfolder = 'out'\n[tasks.a]\ncommand = 'true'\n"


@pytest.mark.parametrize(("made", "what"), [(False, "no such folder"), (True, "not a folder")])
@pytest.mark.parametrize("command", ["plan", "run"])
def test_the_folder_of_a_convoy_must_be_there_before_the_run(
    here: Path, command: str, made: bool, what: str
) -> None:
    Path("folder.toml").write_text(FOLDER)
    if made:
        Path("out").touch()
    seen = run((command, "folder.toml"))
    assert (seen.code, seen.out) == (2, "")
    do = "create it before the run, or name another"
    assert seen.err == f"postroom: folder.toml:2: convoy.folder: {what}: {here}/out ({do})\n"
    assert not Path(".postroom").exists()


@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_convoy_that_could_not_be_read_again_is_no_run(command: str) -> None:
    tasks = "".join(f"[tasks.t{n}]\ncommand = ['echo', '{{{{input.x}}}}']\n" for n in range(200))
    Path("long.toml").write_text(f"[input]\nx = '{'x' * 200_000}'\n{tasks}")
    seen = run((command, "long.toml"))
    assert (seen.code, seen.out) == (2, "")
    assert seen.err.startswith("postroom: long is too long once its defaults and inputs are filled in: ")
    if command == "run":
        assert document("runs") == {"runs": []}


def test_modules_beside_the_file_are_found() -> None:
    Path("steps_of_a_plan.py").write_text("def work(n): ...\n")
    Path("call.toml").write_text("[tasks.a]\ncall = 'steps_of_a_plan:work'\narguments = { m = 1 }\n")
    seen = plan("call.toml")
    assert (
        "call.toml:3: tasks.a.arguments: steps_of_a_plan:work(n): missing a required argument: 'n'"
        in seen.err
    )
