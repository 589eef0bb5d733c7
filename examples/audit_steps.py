"""The steps of audit.toml and project.toml: what somebody looks at before they depend on a package.

A step answers with JSON where another task takes its output, and with a line otherwise. Whoever reviews
a report opens it again: a figure in it that nobody can find is a reason to send it back.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import sys
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

LICENCES = frozenset({"LICENSE", "LICENCE", "COPYING"})
TESTS = frozenset({"test", "tests", "conftest.py"})
ASIDE = frozenset({"doc", "docs", "setup.py", "noxfile.py"})
"""Files, or all in folders, that nobody imports who uses the package."""

MADE = frozenset({"build", "dist", "node_modules", "venv"})
"""Folders at the top of a project that hold what was made from it."""

LONGEST_LINE = 160
ENTRY = re.compile(r"- `(\w+)` in (.+):(\d+): (\d+) lines")


class Unfit(Exception):
    """What was made is not what was asked for."""


def make_room(folder: str) -> str:
    """A folder for an audit, without what an earlier one has left there."""
    for name in ("sdist", "tree"):
        shutil.rmtree(Path(folder) / name, ignore_errors=True)
        (Path(folder) / name).mkdir(parents=True)
    return folder


def unpack(folder: str) -> str:
    """Unpack the one sdist there is, and answer with its name and size. Nothing lands outside."""
    archives = sorted((Path(folder) / "sdist").glob("*.tar.gz"))
    if len(archives) != 1:
        raise Unfit(f"{len(archives)} archives were downloaded, one was asked for")
    with tarfile.open(archives[0]) as packed:
        packed.extractall(Path(folder) / "tree", filter="data")
    return f"{archives[0].name} ({archives[0].stat().st_size // 1024} KiB)"


def licence(tree: str) -> str:
    """The first line of the licence, and the file it is in."""
    for path in _files(tree):
        if path.stem.upper() in LICENCES:
            words = (line.strip() for line in path.read_text(errors="replace").splitlines())
            title = next(filter(None, words), "")
            return json.dumps({"file": path.name, "title": title[:80]})
    return json.dumps({"file": "", "title": "none"})


def imports(tree: str) -> str:
    """The top-level modules that the code imports and that are neither its own nor Python's."""
    code = list(_code(tree))
    own = {path.stem for path in code} | {path.parent.name for path in code}
    found = {name for path in code for name in _imported(path)}
    return json.dumps(sorted(found - own - sys.stdlib_module_names))


def tests(tree: str) -> str:
    """How many test functions there are, and in how many files."""
    counts = [
        sum(name.startswith("test") for name, _, _ in _functions(path))
        for path in _files(tree, ".py")
        if _is_test(path, tree)
    ]
    return json.dumps({"files": sum(map(bool, counts)), "functions": sum(counts)})


def size(tree: str) -> str:
    """Modules and lines of the code."""
    lines = [len(path.read_bytes().splitlines()) for path in _code(tree)]
    return json.dumps({"modules": len(lines), "lines": sum(lines)})


def functions(tree: str, over: int) -> str:
    """All functions of the code with more than so many lines, the longest first."""
    found = [
        (-lines, str(path), line, name)
        for path in _code(tree)
        for name, line, lines in _functions(path)
        if lines > over
    ]
    keys = ("lines", "file", "line", "name")
    return json.dumps([dict(zip(keys, (-less, *rest), strict=True)) for less, *rest in sorted(found)])


def report(folder: str, to: str, subject: str, facts: Mapping[str, str], feedback: Any = None) -> str:
    """Write the report to a file in the folder, and answer with its name and length.

    ``feedback`` is what was wrong with the attempt before. Told that a report was too long, this one
    names as many functions as there is room for, and counts the rest.
    """
    known = {name: json.loads(text) for name, text in facts.items()}
    lines = [f"# {subject.strip()}", "", *_summary(known), ""]
    entries = [_entry(each, folder) for each in known["functions"]]
    room = _room(feedback, len(lines), len(entries))
    lines += entries[:room]
    if entries[room:]:
        lines.append(f"- and {len(entries) - room} more")
    path = Path(folder) / to
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return json.dumps({"report": to, "lines": len(lines)})


def second_look(change: Mapping[str, Any]) -> dict[str, Any]:
    """A reviewer: each function that the report names is there, and as long as it says."""
    entries = ENTRY.findall(_reported(change))
    for name, place, line, lines in entries:
        there = _functions(Path(change["folder"]) / place)
        if (name, int(line), int(lines)) not in there:
            return {"verdict": "block", "text": f"there is no {name} of {lines} lines at {place}:{line}"}
    return {"verdict": "pass", "text": f"{len(entries)} functions are where it says"}


def plain_language(change: Mapping[str, Any]) -> dict[str, Any]:
    """A reviewer: no line is too long to be read."""
    longest = max(map(len, _reported(change).splitlines()), default=0)
    verdict = "pass" if longest <= LONGEST_LINE else "block"
    return {"verdict": verdict, "text": f"the longest line has {longest} characters"}


def nothing_missing(change: Mapping[str, Any]) -> dict[str, Any]:
    """A reviewer: the report says something about everything that was looked at."""
    text = _reported(change)
    missing = [word for word in ("size", "tests", "licence", "needs", "long functions") if word not in text]
    if missing:
        return {"verdict": "block", "text": f"it says nothing about {', '.join(missing)}"}
    return {"verdict": "pass", "text": "everything is in it"}


def _reported(change: Mapping[str, Any]) -> str:
    """The report, which is where the task says that it has put it."""
    name: str = json.loads(change["output"])["report"]
    return (Path(change["folder"]) / name).read_text()


def _summary(known: Mapping[str, Any]) -> Iterator[str]:
    yield f"size: {known['size']['modules']} modules, {known['size']['lines']} lines"
    yield f"tests: {known['tests']['functions']} in {known['tests']['files']} files"
    yield " ".join(("licence:", known["licence"]["title"], known["licence"]["file"])).strip()
    yield f"needs: {', '.join(known['imports']) or 'nothing but Python'}"
    yield f"long functions: {len(known['functions'])}"


def _entry(found: Mapping[str, Any], folder: str) -> str:
    place = Path(str(found["file"])).relative_to(folder).as_posix()
    return f"- `{found['name']}` in {place}:{found['line']}: {found['lines']} lines"


def _room(feedback: Any, taken: int, wanted: int) -> int:
    """How many functions a report can name: all of them, unless it was told how long it may be."""
    told = re.search(r"at most (\d+)", feedback.reason if feedback is not None else "")
    if told is None or taken + wanted <= int(told[1]):
        return wanted
    return max(0, int(told[1]) - taken - 1)  # one line counts the rest


def _files(tree: str, suffix: str = "") -> Iterator[Path]:
    """The files below a folder, in order; not those of tools, nor what was made from others."""
    for at, folders, names in os.walk(tree):
        skipped = MADE if at == tree else frozenset[str]()
        folders[:] = sorted(name for name in folders if name not in skipped and name[0] != ".")
        for path in (Path(at, name) for name in sorted(names) if name.endswith(suffix)):
            if path.is_file() and not path.is_symlink():
                yield path


def _code(tree: str) -> Iterator[Path]:
    for path in _files(tree, ".py"):
        if not _is_test(path, tree) and not ASIDE.intersection(path.relative_to(tree).parts):
            yield path


def _is_test(path: Path, tree: str) -> bool:
    return path.name.startswith("test_") or not TESTS.isdisjoint(path.relative_to(tree).parts)


def _nodes(path: Path) -> Iterator[ast.AST]:
    """What is in a module; nothing if it is not for this Python."""
    try:
        return ast.walk(ast.parse(path.read_bytes()))
    except (SyntaxError, ValueError):
        return iter(())


def _imported(path: Path) -> Iterator[str]:
    for node in _nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def _functions(path: Path) -> list[tuple[str, int, int]]:
    """Name, line and length of each function of a file."""
    return [
        (node.name, node.lineno, (node.end_lineno or node.lineno) - node.lineno + 1)
        for node in _nodes(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
