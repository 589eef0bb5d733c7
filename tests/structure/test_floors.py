"""Imports only go down, only by relative names, and never in a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

PACKAGE = Path("src/postroom")
FRONT = "postroom"
"""The package's own ``__init__``: what users import, which the top floor may do as they do."""

BELOW: dict[str, set[str]] = {
    "store": set(),
    "mailbox": {"store"},
    "actors": {"store", "mailbox"},
    "testing": {"store", "mailbox", "actors"},
    "telemetry": {"store", "mailbox"},
    "simulation": {"store", "mailbox", "actors", "testing"},
    "gateway": {"store", "mailbox", "actors", "telemetry"},
    "client": {"store", "mailbox", "actors"},
    "bench": {FRONT, "store", "mailbox", "actors", "testing", "simulation", "telemetry", "gateway", "client"},
    "console": {
        FRONT,
        "store",
        "mailbox",
        "actors",
        "testing",
        "simulation",
        "telemetry",
        "gateway",
        "bench",
    },
}
"""What each room may import besides itself."""


def _module_name(path: Path) -> tuple[str, ...]:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


def _relative_imports(
    path: Path, tree: ast.Module, known: set[tuple[str, ...]]
) -> Iterator[tuple[tuple[str, ...], int]]:
    """The modules that ``path`` imports from the package, each with its line."""
    package = path.parent.relative_to(PACKAGE).parts
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        above = package[: len(package) - (node.level - 1)]
        base = above + tuple(node.module.split(".") if node.module else ())
        for alias in node.names:
            submodule = (*base, alias.name)
            yield (submodule if submodule in known else base), node.lineno


def test_imports_only_go_down(source: dict[Path, ast.Module]) -> None:
    known = {_module_name(path) for path in source}
    wrong: list[str] = []
    for path, tree in source.items():
        name = _module_name(path)
        if not name or name == ("__main__",):
            continue
        allowed = BELOW[name[0]] | {name[0]}
        for target, line in _relative_imports(path, tree, known):
            room = target[0] if target else FRONT
            if room not in allowed:
                wrong.append(f"{path}:{line} imports {'.'.join(target) or FRONT}")
    assert not wrong, "\n".join(wrong)


def test_inside_the_package_imports_are_relative(source: dict[Path, ast.Module]) -> None:
    wrong = [
        f"{path}:{node.lineno}"
        for path, tree in source.items()
        for node in ast.walk(tree)
        if (isinstance(node, ast.ImportFrom) and not node.level and _is_ours(node.module or ""))
        or (isinstance(node, ast.Import) and any(_is_ours(alias.name) for alias in node.names))
    ]
    assert not wrong, wrong


def _is_ours(name: str) -> bool:
    return name.split(".")[0] == "postroom"


def test_no_import_goes_in_a_circle(source: dict[Path, ast.Module]) -> None:
    known = {_module_name(path) for path in source}
    graph: TopologicalSorter[tuple[str, ...]] = TopologicalSorter()
    for path, tree in source.items():
        name = _module_name(path)
        graph.add(name, *{to for to, _ in _relative_imports(path, tree, known) if to != name})
    graph.prepare()  # raises CycleError, which names the circle


def test_every_room_has_its_place_in_the_table(source: dict[Path, ast.Module]) -> None:
    rooms = {_module_name(path)[0] for path in source if _module_name(path)} - {"__main__"}
    assert rooms <= BELOW.keys()
