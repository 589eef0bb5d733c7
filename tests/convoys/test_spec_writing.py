"""A convoy that is written out with all its values is read again as the same convoy."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from convoy_drawing import convoys
from convoy_files import Folder
from hypothesis import given, settings

from postroom.actors.convoys.plan import Convoy
from postroom.actors.convoys.spec.reading import read_convoy
from postroom.actors.convoys.spec.writing import resolved
from postroom.actors.convoys.work.callables import importable_from
from postroom.store.errors import BadInput


@settings(deadline=None)
@given(convoys())
def test_a_convoy_that_was_written_out_is_read_as_the_same(
    tmp_path_factory: pytest.TempPathFactory, convoy: Convoy
) -> None:
    file = tmp_path_factory.getbasetemp() / "resolved.toml"
    file.write_text(resolved(convoy))
    assert read_convoy(file, processors=1) == convoy


def test_nothing_is_left_to_guess(folder: Folder) -> None:
    convoy = folder.read(
        """
        [convoy]
        concurrency = "auto"
        on_failure = "stop"
        [input]
        name = "moon"
        [defaults]
        retries = 3
        [tasks.a]
        command = ["echo", "{{input.name}}"]
        """,
        {"name": "sun"},
        processors=3,
    )
    document = tomllib.loads(resolved(convoy))
    assert document.keys() == {"convoy", "defaults", "review", "budget", "tasks"}
    assert (document["convoy"]["name"], document["convoy"]["concurrency"]) == ("work", 3)
    assert document["tasks"]["a"] == {"command": ["echo", "sun"], "agent": "local"}
    assert document["defaults"] == {
        "timeout": 1800.0, "priority": 0, "cwd": str(folder.path), "retries": 3, "backoff": 1.0,
        "factor": 2.0, "longest_backoff": 300.0, "jitter": 0.0, "retry_on": [], "on_exhausted": "stop",
    }  # fmt: skip


def test_a_convoy_written_out_means_the_same_wherever_it_lies(folder: Folder, tmp_path: Path) -> None:
    convoy = folder.read("[tasks.a]\ncommand = 'true'\nfiles = ['src']")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "other.toml").write_text(resolved(convoy))
    assert read_convoy(elsewhere / "other.toml") == convoy


@pytest.mark.parametrize("name", ["release.toml"])
def test_the_examples_are_read_again_as_they_were(name: str, tmp_path: Path) -> None:
    examples = Path(__file__).parents[2] / "examples"
    with importable_from(examples):
        convoy = read_convoy(examples / name)
        (tmp_path / "again.toml").write_text(resolved(convoy))
        assert read_convoy(tmp_path / "again.toml") == convoy


def test_a_convoy_whose_resolved_text_is_longer_than_what_people_write_is_read_again(folder: Folder) -> None:
    tasks = "".join(f"[tasks.t{n}]\ncommand = 'true'\ngates = ['true']\n" for n in range(500))
    convoy = folder.read(f"[defaults]\nenv = {{ NOTE = '{'x' * 3000}' }}\n{tasks}")
    text = resolved(convoy)
    assert len(text) > 2**20
    assert folder.read(text) == convoy


def test_a_convoy_that_could_not_be_read_again_is_refused_before_it_is_written_out(folder: Folder) -> None:
    tasks = "".join(f"[tasks.t{n}]\ncommand = ['echo', '{{{{input.x}}}}']\n" for n in range(400))
    convoy = folder.read(f"[input]\nx = '{'x' * 100_000}'\n{tasks}")
    with pytest.raises(BadInput, match=r"work is too long once .*at most 16 MiB.*split it"):
        resolved(convoy)
