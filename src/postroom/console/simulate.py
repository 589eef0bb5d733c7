"""``postroom simulate``: a fleet on virtual time; with ``--scenario``, one that is broken again and again."""

from __future__ import annotations

import argparse
from collections.abc import Generator
from typing import IO, TYPE_CHECKING, TextIO

from ..store.errors import BadInput
from . import fleet, render
from .exits import DONE, FAILED
from .files import written
from .parsing import Parser, Subparsers, whole

if TYPE_CHECKING:
    from ..simulation.options import Options
    from ..simulation.report import Failure, Findings
    from ..simulation.running import Result

MOST_FAILURES = 5
"""Failing seeds after which no more are run: the first ones say enough."""


def add_parser(subparsers: Subparsers[Parser]) -> None:
    """The arguments of ``simulate``."""
    parser = subparsers.add_parser(
        "simulate",
        help="size a fleet of app threads on virtual time, or break one and look for what is lost",
        description="Run a fleet of app threads in memory on virtual time, and tell what its wakes come to"
        " and cost. With --scenario, let actors meet the faults of a scenario, check every message, and"
        " show the options of a seed that fails and the command that replays it. Equal seeds give equal"
        " traces. Exit code 1 if a promise was broken.",
    )
    fleet.add_arguments(parser)
    parser.add_argument("--scenario", metavar="NAME|FILE", help="break actors: faults, calm or a TOML file")
    parser.add_argument("--seed", type=whole(0, 2**63 - 1), default=1, metavar="N", help="the first seed (1)")
    parser.add_argument(
        "--runs",
        type=whole(1, 10_000_000),
        default=1,
        metavar="N",
        help="with --scenario: so many seeds, one after another (1)",
    )
    parser.add_argument(
        "--trace", metavar="OUT.ndjson", help="write every event of the run there, a line each"
    )
    parser.add_argument("--no-shrink", action="store_true", help="with --scenario: show failures as they are")
    parser.add_argument("--leave-out", metavar="N,...", help="with --scenario: faults to leave out")
    parser.add_argument(
        "--lighter",
        type=whole(1, 1_000_000),
        default=1,
        metavar="N",
        help="with --scenario: the Nth part (1)",
    )
    parser.set_defaults(parser=parser)


def command(args: argparse.Namespace, out: TextIO) -> int:
    """Run and report. Raises ``BadInput`` before anything runs if something is wrong."""
    fleet.refuse_strangers(args, args.parser)
    return fleet.command(args, out) if args.scenario is None else _break(args, out)


def _break(args: argparse.Namespace, out: TextIO) -> int:
    """Run the seeds of a scenario."""
    from ..simulation.report import Findings  # it loads trio and the whole runtime

    if args.trace is not None and args.runs > 1:
        raise BadInput("a trace of several runs", "each run has a trace of its own", "leave out --runs")
    runs = _runs(args)
    findings = Findings()
    with written(args.trace, "--trace") as trace:
        for options in runs:
            result = _run_one(options, trace)
            findings.add(result)
            if not result.clean:
                findings.failures.append(_failure(result, shrinks=not args.no_shrink))
            _progress(args, out, findings)
            if len(findings.failures) == MOST_FAILURES:
                break
    if args.json:
        render.emit(out, findings.document(args.scenario, args.seed))
    else:
        _clear(args, out)
        if args.runs == 1:
            render.lines(out, _heading(args, next(_runs(args))))
        render.lines(out, findings.lines())
    return FAILED if findings.failures else DONE


def _runs(args: argparse.Namespace) -> Generator[Options, None, None]:
    """What every seed stands for. Raises ``BadInput`` at once for a scenario that is wrong."""
    from ..simulation.options import expand
    from ..simulation.scenario import load

    scenario = load(args.scenario)
    left_out = _numbers(args.leave_out)

    def options() -> Generator[Options, None, None]:
        for seed in range(args.seed, args.seed + args.runs):
            found = expand(args.scenario, scenario, seed).without(left_out)
            yield found.lighter(args.lighter) if args.lighter > 1 else found

    return options()


def _numbers(text: str | None) -> list[int]:
    words = text.split(",") if text else []
    if not all(word.isascii() and word.isdigit() for word in words):
        raise BadInput(f"--leave-out {text}", "it is numbers of faults, like 0,2", "correct it")
    return [int(word) for word in words]


def _run_one(options: Options, trace: IO[bytes] | None) -> Result:
    from ..simulation.running import run

    return run(options, None if trace is None else trace.write)


def _failure(result: Result, *, shrinks: bool) -> Failure:
    from ..simulation.report import Failure
    from ..simulation.shrinking import shrink

    if not shrinks:
        return Failure(result)
    return Failure(result, shrink(result.options, lambda options: not _run_one(options, None).clean))


def _heading(args: argparse.Namespace, options: Options) -> list[str]:
    return [f"scenario {args.scenario}, seed {options.seed}", *(f"  {line}" for line in options.lines())]


def _progress(args: argparse.Namespace, out: TextIO, findings: Findings) -> None:
    """On a terminal, how far it is, on a line that is written over."""
    if args.runs > 1 and not args.json and out.isatty():
        failed = f", {len(findings.failures)} failed" if findings.failures else ""
        out.write(f"\r{findings.runs} of {args.runs} runs, {findings.messages} messages{failed}  ")
        out.flush()


def _clear(args: argparse.Namespace, out: TextIO) -> None:
    if args.runs > 1 and out.isatty():
        out.write("\r" + " " * 70 + "\r")
