"""A run: each row in a process of its own, within the time there is, then one document."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from ..store.errors import BadInput
from .conditions import IN_MEMORY, SWITCH_INTERVAL, conditions, filesystem
from .rows import Measured, Params, Row

TOTAL_SECONDS = 225.0
"""A whole run ends within this; what has not been measured by then says so."""

START_SECONDS = 15.0
"""What a row may spend beside its load and its filling: starting, opening, closing."""

DURABLE = ("end_to_end_per_s", "limit_per_s", "ratio", "send_p50_ms", "send_p99_ms")


@contextmanager
def served(rows: Sequence[Row], params: Params, server: str | None) -> Generator[Params, None, None]:
    """The parameters with a server in them, if a row needs one: the one given, or one of the run's own.

    Ours keeps its data under ``params.directory`` and syncs; nothing of it is left. Raises ``BadInput``.
    """
    if not any(row.server for row in rows):
        yield params
    elif server is not None:
        yield msgspec.structs.replace(params, postgres=server)
    else:
        from .postgres.server import running  # needs psycopg, which the other sets do without

        with running(params.directory) as url:
            yield msgspec.structs.replace(params, postgres=url)


def leave(params: Params) -> None:
    """Remove what a row has made: its directory, and its schemas on the server."""
    shutil.rmtree(params.directory)
    if params.postgres:
        from .postgres.places import clear  # needs psycopg, which the other sets do without

        clear(params)


def run(rows: Sequence[Row], params: Params, heard: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Measure the rows in order, telling ``heard`` each as it is there; the whole document.

    Files go to a temporary directory under ``params.directory`` and are removed. Raises
    ``BadInput`` if that is in memory, where a commit costs nothing and every figure would lie.
    """
    on_a_disk(params.directory)
    total = TOTAL_SECONDS + sum(row.limit or 0.0 for row in rows)
    end = time.monotonic() + total
    circumstances = conditions(params, SWITCH_INTERVAL)
    if params.postgres:
        from .postgres.places import described  # needs psycopg, which the other sets do without

        circumstances["postgres"] = described(params.postgres)
    views: list[dict[str, Any]] = []
    details: dict[str, dict[str, float]] = {}
    for number, row in enumerate(rows):
        left = end - time.monotonic()
        measured, note = _measure(row, params, left, len(rows) - number)
        details[row.name] = measured.detail if measured else {}
        views.append(_view(row, measured, note))
        heard(views[-1])
    circumstances["load_after"] = [round(each, 2) for each in os.getloadavg()]
    circumstances["took_s"] = round(total - (end - time.monotonic()), 1)
    durable = details.get("durable", {})
    return {
        "durable": {key: durable.get(key) for key in DURABLE},
        "rows": views,
        "conditions": circumstances,
    }


def on_a_disk(directory: str) -> None:
    """Raises ``BadInput`` for a directory in memory."""
    kind = filesystem(Path(directory))
    if kind in IN_MEMORY:
        raise BadInput(
            f"{directory} is on {kind}",
            "figures of durability need a disk",
            "run it in, or give --directory, a directory on a real disk",
        )


def _measure(row: Row, params: Params, left: float, rows_left: int) -> tuple[Measured | None, str]:
    """The row's figure, or why there is none. The last rows take less when time has run short."""
    if left < START_SECONDS:
        return None, "no time was left"
    directory = tempfile.mkdtemp(prefix="bench-", dir=params.directory)
    changed = msgspec.structs.replace(
        params,
        directory=directory,
        seconds=min(params.seconds, left / rows_left * 0.7),
        postgres=params.postgres if row.server else "",
    )
    limit = row.limit or min(left, 3 * changed.seconds + params.fill_seconds + START_SECONDS)
    try:
        arguments = ["row", row.name, msgspec.json.encode(changed).decode()]
        answer, note = in_child("postroom.bench.child", arguments, limit)
    finally:
        leave(changed)
    return (None, note) if answer is None else (msgspec.json.decode(answer, type=Measured), "")


def in_child(module: str, arguments: Sequence[str], seconds: float) -> tuple[str | None, str]:
    """The last line that a module prints as a program, or None and why there is none.

    The process and all that it starts form a group, which is gone when this returns.
    """
    with subprocess.Popen(
        [sys.executable, "-P", "-m", module, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as child:
        try:
            out, err = child.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            return None, f"not done after {seconds:.0f} s"
        finally:
            _end_group(child.pid)
    if child.returncode != 0:
        lines = err.strip().splitlines() or [f"exit code {child.returncode}"]
        return None, lines[-1]
    return out.splitlines()[-1], ""


def _end_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return  # all of it had ended by itself


def _view(row: Row, measured: Measured | None, note: str) -> dict[str, Any]:
    return {
        "name": row.name,
        "what": row.what,
        "value": measured.value if measured else None,
        "unit": row.unit,
        "reach": row.reach,
        "stretch": row.stretch,
        "better": row.better.value,
        "detail": measured.detail if measured else {},
        "shown": list(row.shown),
        "note": note,
    }
