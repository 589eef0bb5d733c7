"""What the documents say is what the code does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from postroom.actors.convoys.spec.reading import read_convoy
from postroom.store.states import MOVES, State

PROMISES = (
    "an accepted message reaches exactly one final state, and anyone can see which.",
    "an actor's state, its replies and the acknowledgement are committed together, once; "
    "effects on the outside world happen at least once and carry an idempotency key.",
)


def _one_line(text: str) -> str:
    return re.sub(r"[\s*>_]+", " ", text)


@pytest.mark.parametrize("promise", PROMISES)
def test_the_readme_makes_the_promise_in_these_words(promise: str, root: Path) -> None:
    assert promise.lower() in _one_line((root / "README.md").read_text()).lower()


def test_the_readme_begins_with_the_two_commands(root: Path) -> None:
    commands = re.findall(r"^(make \w+)", (root / "README.md").read_text(), re.MULTILINE)
    assert commands[:2] == ["make demo", "make test"]


def _diagram(root: Path) -> list[tuple[str, str, str]]:
    """The arrows of the diagram as (source, target, verb)."""
    text = (root / "ARCHITECTURE.md").read_text()
    section = text.split("## The life of a message", 1)[1]
    block = re.search(r"```mermaid\nstateDiagram-v2\n(.*?)```", section, re.DOTALL)
    assert block is not None, "no diagram in the section"
    arrows = [line.strip() for line in block[1].splitlines() if "-->" in line]
    found: list[tuple[str, str, str]] = []
    for arrow in arrows:
        path, _, verb = arrow.partition(":")
        source, _, target = path.partition("-->")
        found.append((source.strip(), target.strip(), verb.strip()))
    return found


def test_the_diagram_shows_exactly_the_table_of_moves(root: Path) -> None:
    drawn = [arrow for arrow in _diagram(root) if arrow[1] != "[*]"]
    table = [
        (move.source.word if move.source is not None else "[*]", move.target.word, move.verb)
        for move in MOVES
    ]
    assert sorted(drawn) == sorted(table)


def test_the_diagram_ends_where_no_move_leads_on(root: Path) -> None:
    ends = {source for source, target, _ in _diagram(root) if target == "[*]"}
    assert ends == {state.word for state in State} - {
        move.source.word for move in MOVES if move.source is not None
    }


def test_every_linked_file_exists(root: Path) -> None:
    for document in ("README.md", "ARCHITECTURE.md", "CHANGELOG.md"):
        links = re.findall(r"\]\((?!https?:|#)([^)#]+)", (root / document).read_text())
        missing = [link for link in links if not (root / link).exists()]
        assert not missing, f"{document} links to {missing}"


@pytest.mark.slow
def test_the_example_in_the_readme_runs_as_it_stands(root: Path, tmp_path: Path) -> None:
    block = re.search(r"```python\n(.*?)```", (root / "README.md").read_text(), re.DOTALL)
    assert block is not None
    (tmp_path / "example.py").write_text(block[1])
    done = subprocess.run(
        [sys.executable, "example.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (done.stdout, done.stderr) == ("6\n", "")


def test_the_convoy_in_the_readme_has_nothing_wrong(root: Path, tmp_path: Path) -> None:
    block = re.search(r"```toml\n(.*?)```", (root / "README.md").read_text(), re.DOTALL)
    assert block is not None
    (tmp_path / "convoy.toml").write_text(block[1])
    convoy = read_convoy(tmp_path / "convoy.toml")
    assert [task.id for task in convoy.tasks] == ["build", "announce"]
