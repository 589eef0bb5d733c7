"""``reconcile``: find what is not as recorded, and put it right with ``--apply``."""

from __future__ import annotations

from argparse import Namespace
from typing import TextIO

from ..actors.loops.reconciling import apply, find
from ..actors.loops.standing import NO_PROGRESS_SECONDS
from ..store.process import is_gone
from . import render
from .desks import opened_store
from .exits import DONE, FAILED
from .parsing import Parser, Subparsers


def add_parser(subparsers: Subparsers[Parser]) -> None:
    """The arguments of ``reconcile``."""
    parser = subparsers.add_parser(
        "reconcile",
        help="find dead holders, dangling bindings, stuck and expired loops",
        description="Changes nothing without --apply. Exit code 1 if something could not be put right.",
    )
    parser.add_argument("--apply", action="store_true", help="put right what is found")
    parser.add_argument(
        "--stuck", type=float, default=NO_PROGRESS_SECONDS, metavar="S",
        help=f"a task is stuck after S seconds without progress ({NO_PROGRESS_SECONDS:g})",
    )  # fmt: skip


def command(args: Namespace, out: TextIO) -> int:
    """Write what was found and, with ``--apply``, what was done about it."""
    with opened_store(args) as store:
        found = find(store, args.stuck, is_gone=is_gone)
        if args.apply:
            found = [apply(store, finding, args.stuck) for finding in found]
    failed = [finding for finding in found if finding.error is not None]
    if args.json:
        findings = [{name: getattr(finding, name) for name in finding.__struct_fields__} for finding in found]
        ok = not [finding for finding in found if not finding.applied]
        render.emit(out, {"ok": ok, "apply": args.apply, "findings": findings})
    elif not found:
        render.lines(out, ["everything is as recorded"])
    else:
        rows = [(f.kind, f.task, f.about, f.why, f.action, _outcome(f.applied, f.error)) for f in found]
        render.table(out, ("kind", "task", "about", "why", "action", ""), rows)
    return FAILED if failed else DONE


def _outcome(applied: bool, error: str | None) -> str:
    return "done" if applied else error or ""
