"""``postroom run`` as a user meets it: its JSON, its exit codes, signals and kill -9."""

from __future__ import annotations

import signal
import socket

import pytest
from convoy_shells import ConvoyShell, outcome, seen

pytestmark = pytest.mark.long

KEYS = {"convoy", "run", "status", "tasks"}
TASK_KEYS = {"id", "status", "attempts", "seconds"}


SLOW = """
    [convoy]
    name = "slow"
    [tasks.first]
    command = "echo first >> order"
    [tasks.second]
    command = "if test -e go_on; then echo second >> order; else touch begun; sleep 60; fi"
    depends_on = ["first"]
    [tasks.third]
    command = "echo third >> order"
    depends_on = ["second"]
"""


def test_a_convoy_that_is_done_says_so_in_json_and_by_exit_code_0(shell: ConvoyShell) -> None:
    shell.write("[convoy]\nname = 'small'\n[tasks.only]\ncommand = ['true']")
    code, document = shell.run_json()
    assert code == 0
    assert document.keys() >= KEYS
    assert (document["convoy"], document["status"]) == ("small", "done")
    assert document["tasks"][0].keys() >= TASK_KEYS
    assert outcome(document) == {"only": ("done", 1)}


def test_a_convoy_with_a_failed_task_ends_with_exit_code_1(shell: ConvoyShell) -> None:
    shell.write("[tasks.a]\ncommand='false'\nretries=0\n[tasks.b]\ncommand='true'\ndepends_on=['a']")
    code, document = shell.run_json()
    assert (code, document["status"]) == (1, "failed")
    assert outcome(document) == {"a": ("failed", 1), "b": ("skipped", 0)}


def test_a_bad_file_is_told_with_exit_code_2_and_nothing_is_changed(shell: ConvoyShell) -> None:
    shell.write("[tasks.a]\ncomand = 'true'\n")
    code, document = shell.run_json()
    assert code == 2
    assert document["error"]["code"] == "bad_input"
    assert "tasks.a.comand: unknown key (did you mean command?)" in document["error"]["why"]
    code, out, err = shell.run()
    assert (code, out) == (2, "")
    assert "tasks.a.comand: unknown key" in err
    assert not (shell.folder / "store").exists()


def test_without_a_terminal_each_change_is_a_line(shell: ConvoyShell) -> None:
    shell.write("[tasks.a]\ncommand='true'\n[tasks.b]\ncommand='false'\nretries=0\ndepends_on=['a']")
    code, out, _ = shell.run()
    assert code == 1
    assert [line.split()[:2] for line in out.splitlines()[1:5]] == [
        ["running", "a"],
        ["done", "a"],
        ["running", "b"],
        ["failed", "b:"],
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_work_that_resume_takes_up(shell: ConvoyShell, number: int, code: int) -> None:
    shell.write(SLOW)
    process = shell.start("run", "work.toml")
    seen(process, "running    second")
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (code, "")
    assert "interrupted" in out
    (shell.folder / "go_on").touch()
    code, document = shell.run_json("--resume")
    assert (code, document["status"]) == (0, "done")
    assert outcome(document) == {"first": ("done", 1), "second": ("done", 1), "third": ("done", 1)}
    assert shell.order() == ["first", "second", "third"]
    assert shell.verify()["ok"]


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["run ", "running    first", "done       first", "running    second"])
def test_a_run_that_was_killed_is_taken_up_by_resume(shell: ConvoyShell, moment: str) -> None:
    shell.write(SLOW)
    process = shell.start("run", "work.toml")
    seen(process, moment)
    process.kill()
    process.wait()
    (shell.folder / "go_on").touch()
    code, document = shell.run_json("--resume")
    assert (code, document["status"]) == (0, "done")
    assert outcome(document) == {"first": ("done", 1), "second": ("done", 1), "third": ("done", 1)}
    assert shell.order()[-2:] == ["second", "third"]
    assert shell.verify()["ok"]


@pytest.mark.slow
def test_what_a_killed_run_was_doing_is_done_once_more_and_not_twice(shell: ConvoyShell) -> None:
    shell.write(SLOW)
    process = shell.start("run", "work.toml")
    while not (shell.folder / "begun").exists():
        assert process.poll() is None
    process.kill()
    process.wait()
    (shell.folder / "go_on").touch()
    assert shell.run_json("--resume")[0] == 0
    assert shell.order() == ["first", "second", "third"]


@pytest.mark.slow
def test_a_run_that_is_being_played_is_not_resumed_beside(shell: ConvoyShell) -> None:
    shell.write(SLOW)
    process = shell.start("run", "work.toml")
    seen(process, "running    second")
    code, _, err = shell.run("--resume")
    assert code == 3
    assert "being played" in err
    assert process.poll() is None


@pytest.mark.slow
def test_resume_begins_a_first_run_and_repeats_the_report_of_a_finished_one(shell: ConvoyShell) -> None:
    shell.write("[tasks.a]\ncommand = 'echo a >> order'")
    first = shell.run_json("--resume")
    again = shell.run_json("--resume")
    assert first == again
    assert shell.order() == ["a"]
    _, anew = shell.run_json()
    assert anew["run"] != first[1]["run"]


@pytest.mark.slow
def test_resume_refuses_a_file_that_has_changed_since(shell: ConvoyShell) -> None:
    shell.write(SLOW)
    process = shell.start("run", "work.toml")
    seen(process, "running    second")
    process.send_signal(signal.SIGINT)
    process.wait()
    shell.write(SLOW.replace("echo third", "echo fourth"))
    code, document = shell.run_json("--resume")
    assert code == 2
    assert "changed since" in document["error"]["why"]


@pytest.mark.slow
def test_inputs_that_were_set_hold_for_the_resumed_run_too(shell: ConvoyShell) -> None:
    shell.write(
        """
        [input]
        word = "none"
        [tasks.a]
        command = "test -e go_on || sleep 60; echo {{input.word}} >> order"
        """
    )
    process = shell.start("run", "work.toml", "--set", "word=moon")
    seen(process, "running    a")
    process.send_signal(signal.SIGINT)
    process.wait()
    (shell.folder / "go_on").touch()
    assert shell.run_json("--resume", "--set", "word=sun")[0] == 2
    assert shell.run_json("--resume")[0] == 0
    assert shell.order() == ["moon"]


@pytest.mark.parametrize("given", ["word", "=x"])
def test_a_setting_without_key_or_value_is_bad_input(shell: ConvoyShell, given: str) -> None:
    shell.write("[tasks.a]\ncommand = 'true'")
    assert shell.run_json("--set", given)[0] == 2


@pytest.mark.slow
def test_a_busy_metrics_port_is_told_before_anything_is_changed(shell: ConvoyShell) -> None:
    shell.write("[tasks.a]\ncommand = 'true'")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, document = shell.run_json("--metrics", f"127.0.0.1:{taken.getsockname()[1]}")
    assert code == 1
    assert document["error"]["code"] == "cannot_listen"
    assert not (shell.folder / "store").exists()


@pytest.mark.slow
def test_metrics_are_served_while_a_run_goes_on(shell: ConvoyShell) -> None:
    shell.write("[tasks.a]\ncommand = 'true'")
    code, out, _ = shell.run("--metrics", "127.0.0.1:0")
    assert code == 0
    assert out.startswith("metrics at http://127.0.0.1:")
