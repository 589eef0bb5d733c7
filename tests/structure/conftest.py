"""The source tree, read once: paths relative to the repository, each with its syntax tree."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _read(*folders: str) -> dict[Path, ast.Module]:
    return {
        path.relative_to(ROOT): ast.parse(path.read_bytes(), str(path))
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*.py"))
    }


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def source() -> dict[Path, ast.Module]:
    """The modules of the package."""
    trees = _read("src/postroom")
    assert trees, "no source found: these tests would say nothing"
    return trees


@pytest.fixture(scope="session")
def tests() -> dict[Path, ast.Module]:
    return _read("tests")


@pytest.fixture(scope="session")
def everything() -> dict[Path, ast.Module]:
    return _read("src/postroom", "tests", "examples")
