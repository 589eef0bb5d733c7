"""A run as one file to give away: all that is on record of it, without its secrets."""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from tarfile import PAX_FORMAT, TarInfo
from typing import Any

from attrs import asdict, define, field, frozen

from ....store.errors import BadInput
from ....store.port import Store
from ..ledger import Ledger, Report
from . import ndjson
from .facts import facts, iso
from .files import open_own, write_whole
from .secrets import redact, redact_value

HEAD = TAIL = 256 * 1024
"""Bytes that are kept of the beginning and of the end of a long log."""

BLOCK = 512
GZIP = 31
"""What tells zlib to write a gzip header: one without a time or a name."""


@frozen
class Exported:
    """What was written: the files in it, and how many secrets of which kinds were taken out."""

    path: Path
    files: tuple[str, ...]
    redacted: dict[str, int]


def export(store: Store, run: str, logs: Path, target: Path) -> Exported:
    """Write a run to the new file ``target``, a tar.gz that only its owner may read.

    The same run gives the same bytes. In it are the plan, the report, attempts, events, dead letters,
    disputes, the logs in the folder ``logs`` (beginning and end), and a manifest with the SHA-256 of
    each. A secret in any of them is redacted. It is durable when this returns; cancelled or killed,
    there is no file. Raises ``BadInput`` for an unknown run or a folder that cannot be written to, and
    ``Conflict`` if the file is there.
    """
    bundle = _Bundle(run)
    write_whole(target, _gzipped(_tarred(bundle, _contents(store, run, logs))), anew=True)
    return Exported(target, tuple(entry["name"] for entry in bundle.files), dict(bundle.redacted))


@define
class _Bundle:
    """What has been written so far, for the manifest."""

    run: str
    files: list[dict[str, Any]] = field(factory=list[dict[str, Any]])
    redacted: Counter[str] = field(factory=Counter[str])

    def text(self, name: str, text: str) -> tuple[str, bytes]:
        clean, kinds = redact(text)
        return self._file(name, clean.encode(errors="replace"), kinds)

    def values(self, name: str, value: Any) -> tuple[str, bytes]:
        clean, kinds = redact_value(value)
        body = json.dumps(clean, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        return self._file(name, body.encode(errors="replace"), kinds)

    def _file(self, name: str, body: bytes, kinds: tuple[str, ...]) -> tuple[str, bytes]:
        entry = {"name": name, "size": len(body), "sha256": sha256(body).hexdigest()}
        self.files.append({**entry, "redacted": list(kinds)} if kinds else entry)
        self.redacted.update(kinds)
        return name, body


Content = tuple[str, Any]
"""The name of a file, and its text or its JSON value."""


def _contents(store: Store, run: str, logs: Path) -> Iterator[Content]:
    ledger = Ledger(store)
    record = ledger.run(run)
    if record is None:
        raise BadInput(f"no run is called {run[:60]}", "it is not in the store", "see: postroom runs")
    report = ledger.report(run)
    yield "plan.toml", ledger.text(run)
    if report is not None:
        yield "report.json", {**report.view(), "file": record.file, "settings": record.settings}
        yield "attempts.json", {row.id: [asdict(made) for made in row.state.tries] for row in report.tasks}
        yield "dead.json", _dead(report)
    yield "disputes.json", _disputes(store, run)
    yield "events.ndjson", b"".join(ndjson.text_of(store, run)).decode()
    for path in sorted(logs.rglob("*.log")):
        text = _log(path)
        if text is not None:
            yield f"logs/{path.relative_to(logs).as_posix()}", text


def _dead(report: Report) -> list[dict[str, Any]]:
    return [
        {
            "task": row.id,
            "agent": row.state.agent,
            "at": iso(dead.at),
            "failure": dead.failure,
            "error": dead.error,
            "attempts": row.attempts,
            "spent": row.state.tokens,
            "by": dead.by,
            "resolution": dead.resolution,
        }
        for row in report.tasks
        if (dead := row.state.dead) is not None
    ]


def _disputes(store: Store, run: str) -> list[dict[str, Any]]:
    return [
        {"at": iso(fact.at), "type": fact.type, **fact.data}
        for fact in facts(store, run)
        if fact.type.startswith("dispute.")
    ]


def _log(path: Path) -> str | None:
    """The text of a log, without its middle if it is long; None for what is no file of ours."""
    number = open_own(path)
    if number is None:
        return None
    with open(number, "rb") as file:  # noqa: PTH123  # a number, not a path
        size = file.seek(0, 2)
        file.seek(0)
        if size <= HEAD + TAIL:
            return file.read().decode(errors="replace")
        head = file.read(HEAD)
        file.seek(size - TAIL)
        tail = file.read(TAIL)
    # Whole lines, so that no secret is cut in two.
    head, tail = head[: head.rfind(b"\n") + 1], tail[tail.find(b"\n") + 1 :]
    gap = f"... {size - len(head) - len(tail)} bytes left out ...\n"
    return head.decode(errors="replace") + gap + tail.decode(errors="replace")


def _tarred(bundle: _Bundle, contents: Iterable[Content]) -> Iterator[bytes]:
    for name, content in contents:
        add = bundle.text if isinstance(content, str) else bundle.values
        yield from _entry(bundle.run, *add(name, content))
    manifest = {"run": bundle.run, "files": list(bundle.files), "redacted": dict(bundle.redacted)}
    yield from _entry(bundle.run, "manifest.json", (json.dumps(manifest, indent=2) + "\n").encode())
    yield bytes(2 * BLOCK)


def _entry(run: str, name: str, body: bytes) -> Iterator[bytes]:
    """One file of a tar: of nobody, of no time, for its owner alone."""
    info = TarInfo(f"convoy-{run}/{name}")
    info.size, info.mode = len(body), 0o600
    yield info.tobuf(PAX_FORMAT)
    yield body
    yield bytes(-len(body) % BLOCK)


def _gzipped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(wbits=GZIP)
    for chunk in chunks:
        yield packer.compress(chunk)
    yield packer.flush()
