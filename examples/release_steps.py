"""The steps of release.toml that are Python functions.

``postroom run`` imports them because they stand beside the file. A step fails by raising; what it
returns is kept in the run's log.
"""

from __future__ import annotations

import ast
import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

LONGEST_LINE = 120
PARTS = ("pyproject.toml", "README.md", "LICENSE", "src")


class Unclean(Exception):
    """The sources do not pass the linter."""


def gather(project: str, tree: str) -> str:
    """Copy what a wheel is made from, so that the release leaves nothing in the checkout."""
    source, target = Path(project), Path(tree)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for wheel in target.parent.glob("*.whl"):
        wheel.unlink()
    for name in PARTS:
        part = source / name
        if part.is_dir():
            skip = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(part, target / name, ignore=skip)
        else:
            shutil.copy2(part, target / name)
    return f"{sum(1 for path in target.rglob('*') if path.is_file())} files"


def lint(tree: str) -> str:
    """A linter of a few rules. Raises ``Unclean`` with everything it found."""
    files = sorted(Path(tree, "src").rglob("*.py"))
    found = [complaint for file in files for complaint in complaints(file)]
    if found:
        raise Unclean("; ".join(found))
    return f"{len(files)} modules are clean"


def complaints(file: Path) -> Iterator[str]:
    """What is wrong with one module, with its line."""
    text = file.read_text(encoding="utf-8")
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > LONGEST_LINE:
            yield f"{file}:{number} is {len(line)} characters long"
        if line != line.rstrip():
            yield f"{file}:{number} ends in blanks"
    for node in ast.walk(ast.parse(text, str(file))):
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            yield f"{file}:{node.lineno} catches everything"
        if isinstance(node, ast.ImportFrom) and any(name.name == "*" for name in node.names):
            yield f"{file}:{node.lineno} imports everything"


def checksum(folder: str) -> str:
    """Write SHA256SUMS beside the wheels of a folder, as ``sha256sum --check`` reads it."""
    lines = [
        f"{hashlib.sha256(wheel.read_bytes()).hexdigest()}  {wheel.name}"
        for wheel in sorted(Path(folder).glob("*.whl"))
    ]
    Path(folder, "SHA256SUMS").write_text("".join(f"{line}\n" for line in lines))
    return lines[0]


def summarise(folder: str) -> str:
    """Write SUMMARY.md about the wheels of a folder: size, modules, lines."""
    paragraphs = [_paragraph(wheel) for wheel in sorted(Path(folder).glob("*.whl"))]
    if not paragraphs:
        raise FileNotFoundError(f"no wheel in {folder}")
    sums = Path(folder, "SHA256SUMS").read_text()
    text = "# Release\n\n" + "\n".join(paragraphs) + f"\n```\n{sums}```\n"
    Path(folder, "SUMMARY.md").write_text(text)
    return paragraphs[0]


def _paragraph(wheel: Path) -> str:
    with ZipFile(wheel) as archive:
        modules = [name for name in archive.namelist() if name.endswith(".py")]
        lines = sum(archive.read(name).count(b"\n") for name in modules)
    return f"{wheel.name}: {wheel.stat().st_size:,} bytes, {len(modules)} modules, {lines:,} lines"
