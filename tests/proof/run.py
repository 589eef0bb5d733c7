"""Break postroom in every way there is, count what was lost, and say it in one table.

    .venv/bin/python tests/proof/run.py proof            # the amounts of the proof, within 25 minutes
    .venv/bin/python tests/proof/run.py share            # a small fixed share, for CI
    .venv/bin/python tests/proof/run.py soak --hours 8   # the large amounts; stop and go on as you like

`--only ROW` does one row, `--rows` lists them, `--json` prints the results as JSON. Exits with 1 if
anything was lost, done twice or left over, or an amount was not reached; 130 if it was interrupted.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

# A script has only what is installed; pytest adds the same folders for the tests.
sys.path.extend((str(Path(__file__).parent), str(Path(__file__).parents[1] / "support")))

from prove import proving, report, soaking
from prove.parts import do_part
from prove.rows import ROWS, Row, row_named

HERE = Path(__file__).parent
SOAK_STATE = Path(".proof/soak.json")


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Break postroom in every way there is, and count what was lost."
    )
    parser.add_argument("--rows", action="store_true", help="list the rows and end")
    commands = parser.add_subparsers(dest="command")
    for name, what in (
        ("proof", "the whole proof"),
        ("share", "a small share"),
        ("soak", "the large amounts"),
    ):
        command = commands.add_parser(name, help=what)
        command.add_argument("--only", action="append", choices=[row.name for row in ROWS], metavar="ROW")
        command.add_argument("--jobs", type=some, default=min(2, os.cpu_count() or 1))
        command.add_argument("--seed", type=int, default=1)
        command.add_argument("--json", action="store_true")
        command.add_argument("--amount", type=some, help="units of each row, in place of its own amount")
        command.add_argument("--out", type=Path, help="write the document to this file")
        if name == "soak":
            command.add_argument("--hours", type=float, default=1.0)
            command.add_argument("--state", type=Path, default=SOAK_STATE)
    part = commands.add_parser("part", help="one part of a row, as a process of its own")
    part.add_argument("row")
    part.add_argument("amount", type=int)
    part.add_argument("seed", type=int)
    return parser.parse_args(words)


def some(text: str) -> int:
    """A number from 1 on, out of the command line. Raises ``ValueError``."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def chosen(args: argparse.Namespace) -> list[Row]:
    """The rows that were asked for."""
    return [row for row in ROWS if not args.only or row.name in args.only]


def prove(args: argparse.Namespace) -> int:
    """Do the proof, or a share of it, and write the table."""
    rows, began = chosen(args), time.monotonic()

    def amount(row: Row) -> int:
        return args.amount or (row.proof if args.command == "proof" else row.share)

    results = proving.prove(rows, amount, args.seed, args.jobs)
    under = report.conditions(args.seed, args.jobs, time.monotonic() - began)
    whole = args.command == "proof" and not args.only and not args.amount
    out = args.out or (HERE / "RESULTS.md" if whole else None)
    return show(rows, results, under, args, out, "make proof")


def soak(args: argparse.Namespace) -> int:
    """Go on with the soak, and write what was found so far."""
    rows = chosen(args)
    state = soaking.load(args.state, args.seed)
    state.commits = list(dict.fromkeys([*state.commits, report.commit()]))
    stopped = False
    try:
        soaking.soak(rows, state, args.state, args.hours, args.jobs)
    except KeyboardInterrupt:
        stopped = True
    under = report.conditions(state.seed, args.jobs, state.seconds)
    under["commit"] = ", ".join(state.commits)
    code = show(rows, state.results, under, args, args.out or args.state.with_suffix(".md"), "make soak")
    sys.stderr.write(f"kept in {args.state}; the same command goes on from there\n")
    return 130 if stopped else code


def show(
    rows: Sequence[Row],
    results: report.Results,
    under: dict[str, str],
    args: argparse.Namespace,
    out: Path | None,
    command: str,
) -> int:
    """Print the table or JSON, write the document, and answer the exit code."""
    faults = report.wrong(results, goes_on=args.command == "soak")
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(report.document(rows, results, under, command, faults))
    if args.json:
        print(msgspec.json.encode({"results": results, "conditions": under, "wrong": faults}).decode())
    else:
        print("\n".join(report.table(rows, results)))
        print(
            "\n".join(f"WRONG  {what}" for what in faults) or "nothing lost, nothing twice, nothing left over"
        )
    return 1 if faults else 0


def main() -> int:
    """Run what the command line asks for."""
    args = arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if args.command == "part":
        do_part(row_named(args.row), args.amount, args.seed)
        return 0
    if args.rows or args.command is None:
        for row in ROWS:
            print(f"{row.name:<12}{row.proof:>10,}{row.soak:>12,}{row.share:>8,}  {row.title}")
        return 0
    try:
        return soak(args) if args.command == "soak" else prove(args)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; nothing was written\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
