"""Runs as processes: two at once on one store, and what a dead letter leaves on the disk."""

from __future__ import annotations

from pathlib import Path

from convoy_shells import ConvoyShell, outcome

KIND = "github-token"
TOKEN = "ghp_" + "a1B2" * 9
SAY_IT = """printf 'no access with ghp_%s' "$(printf 'a1B2%.0s' 1 2 3 4 5 6 7 8 9)\""""
"""A command that says the token, and does not have it in its own text."""


def test_two_runs_at_once_on_one_store_may_have_tasks_of_the_same_names(shell: ConvoyShell) -> None:
    for mine, other in (("one", "two"), ("two", "one")):
        meet = f"echo {mine} > {mine}; until test -e {other}; do sleep 0.02; done"
        text = f'[tasks.a]\ncommand = "{meet}"\noutputs = {{ x = {{ file = "{mine}" }} }}\n'
        text += (
            '[tasks.b]\ncommand = "echo {{input.x}}"\ninputs = { x = "a.x" }\noutputs = { y = "summary" }\n'
        )
        (shell.folder / f"{mine}.toml").write_text(text)
    both = [shell.start("run", f"{mine}.toml", "--json") for mine in ("one", "two")]
    assert [process.wait(50) for process in both] == [0, 0]
    for mine in ("one", "two"):
        code, document = shell.do_json("status", f"{mine}.toml")
        assert (code, outcome(document)) == (0, {"a": ("done", 1), "b": ("done", 1)})
        logs = shell.folder / "store" / "runs" / document["run"]
        assert (logs / "b.1.log").read_text() == f"{mine}\n"
    assert shell.verify()["ok"] is True


def test_a_task_of_the_same_name_in_the_next_run_of_a_file_begins_anew(shell: ConvoyShell) -> None:
    shell.write('[tasks.a]\ncommand = "echo a >> order"\n')
    runs = [shell.run_json()[1] for _ in range(2)]
    assert [outcome(document) for document in runs] == [{"a": ("done", 1)}] * 2
    assert runs[0]["run"] != runs[1]["run"]
    assert shell.order() == ["a", "a"]


def test_a_dead_letter_that_holds_a_secret_is_kept_without_it_and_nothing_in_the_store_has_it(
    shell: ConvoyShell,
) -> None:
    shell.write(f"[tasks.a]\nretries = 1\nbackoff = 0\ncommand = '''{SAY_IT}; exit 3'''\n")
    code, document = shell.run_json()
    assert code == 1
    (letter,) = shell.do_json("dead", "list", "--run", "work.toml")[1]["tasks"]
    assert letter["error"] == f"exit 3: no access with [redacted: {KIND}]"
    assert (letter["failure"], letter["attempts"], letter["agent"]) == ("error", 2, "local")
    assert "events.ndjson" in {file.name for file in files_without(shell, TOKEN)}
    logs = shell.folder / "store" / "runs" / document["run"]
    assert TOKEN in (logs / "a.1.log").read_text(), "the log of a command has what it said"


def files_without(shell: ConvoyShell, secret: str) -> list[Path]:
    """All files of the store and its runs but the logs; none of them has the secret."""
    files = [file for file in (shell.folder / "store").rglob("*") if file.is_file() and file.suffix != ".log"]
    assert [file.name for file in files if secret.encode() in file.read_bytes()] == []
    return files
