"""``postroom simulate [fleet.toml]``: size a fleet of app threads before paying for it."""

from __future__ import annotations

import argparse
from typing import IO, TYPE_CHECKING, TextIO

from ..store.errors import BadInput
from . import render
from .exits import DONE, FAILED
from .files import written
from .parsing import Parser, number, whole

if TYPE_CHECKING:
    from ..simulation.fleet.options import Options
    from ..simulation.fleet.running import Result
    from ..simulation.fleet.world import Progress

BAR = 30
OF_SCENARIOS = ("runs", "leave_out", "lighter", "no_shrink")
OF_FLEETS = ("file", "pairs", "days", "policy", "plot")
"""Options that only one of the two kinds of simulation has."""


def add_arguments(parser: Parser) -> None:
    """What a fleet takes besides ``--seed`` and ``--trace``."""
    parser.add_argument("file", nargs="?", metavar="FLEET.toml", help="a fleet (the built-in one)")
    parser.add_argument("--pairs", type=whole(1, 1_000_000), metavar="N", help="so many pairs of threads")
    parser.add_argument("--days", type=number(0.001, 366), metavar="D", help="for so many virtual days")
    parser.add_argument(
        "--policy",
        action="append",
        metavar="fixed:SECONDSs|backoff|economy",
        help="how threads are woken (economy); given again, policies are compared",
    )
    parser.add_argument("--plot", metavar="OUT.svg", help="draw the comparison there")


def command(args: argparse.Namespace, out: TextIO) -> int:
    """Run the fleet under each policy and report; exit code 1 if a promise was broken.

    Raises ``BadInput`` before anything runs if something is wrong.
    """
    runs = _runs(args)
    if args.trace is not None and len(runs) > 1:
        raise BadInput("a trace of several policies", "each has a trace of its own", "name one --policy")
    with written(args.trace, "--trace") as trace, written(args.plot, "--plot") as plot:
        results = [_run(one, trace, args, out) for one in runs]
        if plot is not None:
            _draw(results, plot)
    _report(results, args, out)
    return DONE if all(result.clean for result in results) else FAILED


def refuse_strangers(args: argparse.Namespace, parser: Parser) -> None:
    """Refuse options of the other kind of simulation. Raises ``BadInput``."""
    scenario = args.scenario is not None
    for name in OF_FLEETS if scenario else OF_SCENARIOS:
        if getattr(args, name) != parser.get_default(name):
            shown = "FLEET.toml" if name == "file" else f"--{name.replace('_', '-')}"
            if scenario:
                raise BadInput(f"{shown} with --scenario", "it belongs to fleets", "leave one of them out")
            raise BadInput(f"{shown} without --scenario", "it belongs to scenarios", "add --scenario faults")


def _runs(args: argparse.Namespace) -> list[Options]:
    """One run for each policy, in the order in which they were named."""
    from ..simulation.fleet.options import options, policy
    from ..simulation.fleet.spec import load

    fleet = load(args.file)
    named = dict.fromkeys(policy(text) for text in args.policy or ["economy"])
    return [options(fleet, seed=args.seed, policy=one, pairs=args.pairs, days=args.days) for one in named]


def _run(options: Options, trace: IO[bytes] | None, args: argparse.Namespace, out: TextIO) -> Result:
    from ..simulation.fleet.running import run

    shows = out.isatty() and not args.json
    progress = _bar(str(options.policy), out) if shows else None
    result = run(options, None if trace is None else trace.write, progress)
    if shows:
        out.write("\r" + " " * 78 + "\r")
        out.flush()
    return result


def _bar(policy: str, out: TextIO) -> Progress:
    """On a terminal, how far the virtual time is, on a line that is written over."""

    def progress(seconds: float, whole: float) -> None:
        done = round(BAR * seconds / whole)
        hours = f"{seconds / 3600:.1f} of {whole / 3600:g} virtual hours"
        out.write(f"\r{policy:<12.12} [{'#' * done}{'.' * (BAR - done)}] {hours}  ")
        out.flush()

    return progress


def _draw(results: list[Result], plot: IO[bytes]) -> None:
    from ..simulation.fleet.chart import chart

    plot.write(chart(results).encode())


def _report(results: list[Result], args: argparse.Namespace, out: TextIO) -> None:
    from ..simulation.fleet import report

    if args.json:
        render.emit(out, report.document(results))
        return
    first = results[0]
    name = "the built-in fleet" if args.file is None else args.file
    days = f"{first.options.fleet.fleet.days:g} virtual days"
    render.lines(out, [f"{name}: {first.options.pairs:,} pairs, {days}, seed {first.options.seed}"])
    render.table(out, *report.table(results))
    render.lines(out, report.closing(results))
