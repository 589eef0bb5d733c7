"""The layout holds: doors that nothing needs, names that exist, lists that agree."""

from __future__ import annotations

import ast
import importlib
import re
import sys
import sysconfig
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

DOORS = ("actors", "mailbox", "store", "bench")


@pytest.fixture(scope="module")
def project(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text())


def test_the_standard_library_s_mailbox_is_not_hidden_by_ours() -> None:
    # By name, because type checkers that start in the repository would see the link here.
    found = importlib.import_module("mailbox")
    assert Path(str(found.__file__)).parent == Path(sysconfig.get_path("stdlib"))


@pytest.mark.parametrize("door", DOORS)
def test_a_door_is_a_relative_link_into_the_package_or_absent(door: str, root: Path) -> None:
    link = root / door
    if link.is_symlink():
        assert link.readlink() == Path("src/postroom", door)
        assert link.is_dir()
    else:
        assert not link.exists()


def _absolute_imports(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """The top-level names that a module imports, each with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.split(".")[0], node.lineno
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module is not None:
            yield node.module.split(".")[0], node.lineno


def test_nothing_is_imported_through_a_door(everything: dict[Path, ast.Module]) -> None:
    wrong = [
        f"{path}:{line}"
        for path, tree in everything.items()
        for name, line in _absolute_imports(tree)
        if name in DOORS
    ]
    assert not wrong, wrong


def test_tests_are_no_package(root: Path) -> None:
    assert list((root / "tests").rglob("__init__.py")) == []


def test_every_folder_with_code_is_a_package(source: dict[Path, ast.Module]) -> None:
    missing = {path.parent for path in source if path.parent / "__init__.py" not in source}
    assert not missing, f"the wheel would leave these out: {missing}"


def test_every_exported_name_exists(source: dict[Path, ast.Module]) -> None:
    for path in source:
        if path.name != "__init__.py":
            continue
        name = ".".join(path.parent.relative_to("src").parts)
        package = importlib.import_module(name)
        exported: list[str] = list(getattr(package, "__all__", ()))
        assert len(exported) == len(set(exported)), f"{name} exports a name twice"
        missing = [each for each in exported if not hasattr(package, each)]
        assert not missing, f"{name} exports {missing}, which do not exist"


def test_the_package_exports_its_main_words() -> None:
    package = importlib.import_module("postroom")
    assert {"Actor", "handles", "open_postroom"} <= set(package.__all__)


def test_extras_and_dependency_groups_list_the_same(project: dict[str, Any]) -> None:
    extras, groups = project["project"]["optional-dependencies"], project["dependency-groups"]
    assert extras["test"] == groups["test"]
    assert extras["dev"][0] == "postroom[test]"
    assert groups["dev"][0] == {"include-group": "test"}
    assert extras["dev"][1:] == groups["dev"][1:]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~ ;]", name)[0]).lower()


def test_the_lock_pins_everything_that_is_asked_for(project: dict[str, Any], root: Path) -> None:
    lines = (root / "constraints.txt").read_text().splitlines()
    pinned = {_normal(line) for line in lines if line and not line.startswith("#")}
    asked = {_normal(each) for each in project["project"]["dependencies"]}
    for extra in project["project"]["optional-dependencies"].values():
        asked |= {_normal(each) for each in extra}
    assert asked - {"postroom"} <= pinned


def test_what_is_imported_is_declared(source: dict[Path, ast.Module], project: dict[str, Any]) -> None:
    extras = project["project"]["optional-dependencies"]
    asked = [*project["project"]["dependencies"], *extras["client"], *extras["postgres"]]
    declared = {_normal(each).replace("-", "_") for each in asked}
    foreign = {name for tree in source.values() for name, _ in _absolute_imports(tree)}
    assert foreign - sys.stdlib_module_names - declared == set()
