"""The wheel holds exactly what is under src/postroom."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.egg-info")


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel named by POSTROOM_WHEEL, or one built from a copy without the top-level links."""
    if named := os.environ.get("POSTROOM_WHEEL"):
        return Path(named)
    copy = tmp_path_factory.mktemp("archive")
    shutil.copytree(root / "src", copy / "src", ignore=LEFT_OUT)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, copy)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "dist"]
    done = subprocess.run(build, cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return next((copy / "dist").glob("*.whl"))


@pytest.mark.slow
def test_the_wheel_holds_exactly_the_files_of_the_package(wheel: Path, root: Path) -> None:
    package = root / "src/postroom"
    expected = {
        f"postroom/{path.relative_to(package).as_posix()}"
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert packed == expected


@pytest.mark.slow
def test_the_wheel_carries_its_licence_and_its_command(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = archive.namelist()
        entry_points = next(name for name in names if name.endswith("entry_points.txt"))
        assert "postroom = postroom.console.main:main" in archive.read(entry_points).decode()
        assert any(name.endswith("licenses/LICENSE") for name in names)
