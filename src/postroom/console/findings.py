"""What ``doctor`` has found, as a table or as JSON, and the exit code that follows from it."""

from __future__ import annotations

from argparse import Namespace
from typing import TextIO

from msgspec import Struct

from ..store.errors import PostroomError, StoreUnavailable
from . import render
from .exits import DONE, exit_code


class Finding(Struct, frozen=True):
    """What one check found. ``status`` is ``ok``, ``warn`` or ``fail``; ``fix`` is empty when ok."""

    status: str
    found: str
    fix: str = ""


def write_findings(args: Namespace, out: TextIO, findings: list[tuple[str, Finding]]) -> int:
    """Write what was found; answers the exit code."""
    failed = [(name, finding) for name, finding in findings if finding.status == "fail"]
    error = _error(failed)
    if args.json:
        document = {
            "ok": not failed,
            "store": args.store,
            "checks": [
                {"name": name, "status": f.status, "found": f.found, "fix": f.fix} for name, f in findings
            ],
        }
        if error is not None:
            document |= render.error_document(error.code, error.what, error.why, error.do)
        render.emit(out, document)
    else:
        rows = [(f.status, name, f.found, f.fix) for name, f in findings]
        render.table(out, ("", "check", "found", "fix"), rows)
    return DONE if error is None else exit_code(error)


def _error(failed: list[tuple[str, Finding]]) -> PostroomError | None:
    """The first failure as an error, so that a program needs to look in one place only."""
    if not failed:
        return None
    name, finding = failed[0]
    return StoreUnavailable(f"{name} is not fit", finding.found, finding.fix)
