"""Habits that no linter of ours checks, or not over the whole tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

CLOCK_CALLS = frozenset({"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "datetime.today"})
CLOCK_READERS: dict[str, str] = {
    "src/postroom/store/clock.py": "the one place that asks the operating system for the time",
    "src/postroom/bench/limit.py": "the raw baseline, which has no clock of ours in it",
}
SLEEPERS = {
    f"tests/support/{name}.py": "its actors and its waiting are for tests on virtual time"
    for name in ("handled", "logbook", "troupe")
} | {
    "tests/actors/test_supervision_model.py": "each history has a virtual clock of its own",
    "tests/proof/prove/disk/acting.py": "a real system on a real disk, which has no virtual time",
    "tests/proof/prove/races_real.py": "real processes race to the end of a real lease",
    "tests/proof_pg/pgproof/census.py": "a real server is away for real seconds",
    "tests/proof_pg/pgproof/incidents.py": "a real server is away for real seconds",
    "tests/proof_pg/pgproof/scene.py": "a real server is waited for",
    "tests/actors/test_server_outages.py": "a real server is away for real seconds",
    "tests/actors/test_pgbouncer.py": "a real pooler is away for real seconds",
    "tests/support/offices.py": "what real servers do is waited for",
    "tests/support/outages.py": "it watches how late the real loop is",
    "tests/support/chaos_proxy.py": "a real link stands still",
}
"""Test modules that may really sleep, with the reason."""

EXECUTES = frozenset({"execute", "executemany", "executescript"})


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _last_two(call: ast.Call) -> str:
    return ".".join(_dotted(call.func).split(".")[-2:])


def test_time_and_chance_enter_as_arguments(source: dict[Path, ast.Module]) -> None:
    wrong = {
        f"{path}:{call.lineno} {_dotted(call.func)}"
        for path, tree in source.items()
        if str(path) not in CLOCK_READERS
        for call in _calls(tree)
        if _last_two(call) in CLOCK_CALLS
        or (_dotted(call.func).startswith("random.") and _dotted(call.func) != "random.Random")
    }
    assert not wrong, wrong


def test_every_reader_of_the_clock_still_reads_it(source: dict[Path, ast.Module]) -> None:
    for path in CLOCK_READERS:
        assert any(_last_two(call) in CLOCK_CALLS for call in _calls(source[Path(path)]))


def _virtual_time_lines(tree: ast.Module) -> set[int]:
    """Lines of tests that name the virtual clock: there, sleeping takes no time.

    Where every asynchronous test of a module names it, that goes for all that the module defines.
    """
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    virtual = [
        f
        for f in functions
        if "autojump_clock" in {a.arg for a in ast.walk(f.args) if isinstance(a, ast.arg)}
    ]
    awaiting = [f for f in functions if isinstance(f, ast.AsyncFunctionDef) and f.name.startswith("test_")]
    if awaiting and all(f in virtual for f in awaiting):
        virtual = functions
    return {line for f in virtual for line in range(f.lineno, (f.end_lineno or f.lineno) + 1)}


def _real_sleeps(tree: ast.Module) -> Iterator[ast.Call]:
    virtual = _virtual_time_lines(tree)
    for call in _calls(tree):
        if _dotted(call.func).split(".")[-1] not in {"sleep", "sleep_until"}:
            continue
        checkpoint = bool(call.args) and isinstance(call.args[0], ast.Constant)
        if checkpoint and ast.unparse(call.args[0]) in {"0", "0.0"}:
            continue
        if call.lineno not in virtual or _dotted(call.func).startswith("time."):
            yield call


def test_no_test_sleeps(tests: dict[Path, ast.Module]) -> None:
    wrong = [
        f"{path}:{call.lineno}"
        for path, tree in tests.items()
        if str(path) not in SLEEPERS
        for call in _real_sleeps(tree)
    ]
    assert not wrong, wrong


def test_every_permission_to_sleep_is_still_needed(tests: dict[Path, ast.Module]) -> None:
    for path in SLEEPERS:
        assert any(_real_sleeps(tests[Path(path)]))


def _is_formatted(node: ast.expr) -> bool:
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Attribute) and node.func.attr == "format"
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.Mod) or _is_formatted(node.left) or _is_formatted(node.right)
    return isinstance(node, ast.JoinedStr)


def test_no_statement_is_put_together_from_strings(source: dict[Path, ast.Module]) -> None:
    wrong = [
        f"{path}:{call.lineno}"
        for path, tree in source.items()
        for call in _calls(tree)
        if _dotted(call.func).split(".")[-1] in EXECUTES and any(map(_is_formatted, call.args))
    ]
    assert not wrong, wrong


def _is_broad(caught: ast.expr | None) -> bool:
    if isinstance(caught, ast.Tuple):
        return any(map(_is_broad, caught.elts))
    return caught is None or _dotted(caught) in {"Exception", "BaseException"}


def _does_nothing(body: list[ast.stmt]) -> bool:
    return all(
        isinstance(statement, ast.Pass | ast.Continue)
        or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        for statement in body
    )


def test_no_error_is_swallowed(source: dict[Path, ast.Module]) -> None:
    wrong = [
        f"{path}:{node.lineno}"
        for path, tree in source.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler) and _is_broad(node.type) and _does_nothing(node.body)
    ]
    wrong += [
        f"{path}:{call.lineno}"
        for path, tree in source.items()
        for call in _calls(tree)
        if _dotted(call.func).endswith("suppress") and any(map(_is_broad, call.args))
    ]
    assert not wrong, wrong
