"""Functions and modules fit the eye."""

from __future__ import annotations

import ast
from pathlib import Path

FUNCTION_LINES = 60
MODULE_LINES = 400

EXCEPTIONS: dict[str, str] = {}
"""Modules, or ``module:function``, that may be longer, with the reason."""


def _too_long(everything: dict[Path, ast.Module], root: Path) -> dict[str, int]:
    found: dict[str, int] = {}
    for path, tree in everything.items():
        lines = len((root / path).read_text().splitlines())
        if lines > MODULE_LINES:
            found[str(path)] = lines
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > FUNCTION_LINES:
                    found[f"{path}:{node.name}"] = length
    return found


def test_nothing_is_longer_than_the_eye_can_hold(everything: dict[Path, ast.Module], root: Path) -> None:
    found = _too_long(everything, root)
    assert {name: n for name, n in found.items() if name not in EXCEPTIONS} == {}


def test_every_exception_is_still_needed(everything: dict[Path, ast.Module], root: Path) -> None:
    assert EXCEPTIONS.keys() <= _too_long(everything, root).keys()
