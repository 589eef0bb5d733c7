"""``runs``, ``status RUN``, ``events``, ``export``: which runs there are, and what happened in each."""

from __future__ import annotations

import time
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import msgspec

from ..mailbox.views import time_text
from ..mailbox.waiting import Hints
from ..store.clock import MICROS
from ..store.errors import BadInput
from . import render
from .desks import opened_store
from .exits import DONE
from .orders import RUN
from .parsing import Parser, Subparsers, whole

if TYPE_CHECKING:
    from ..actors.convoys.entering import RunRecord
    from ..actors.convoys.ledger import Ledger
    from ..actors.convoys.record.facts import RawFact
    from ..store.port import Store

MOST = 10_000
LOOK_SECONDS = 1.0
"""How often to look for new events although no other process was seen to commit."""

OVER = ("done", "failed")


def add_parser(subparsers: Subparsers[Parser]) -> None:
    """The arguments of these commands; ``status`` has its own, with the state of the whole."""
    runs = subparsers.add_parser(
        "runs",
        help="the runs of convoys, newest first",
        description="A run that is neither over nor paused, and that nobody plays, is interrupted.",
    )
    runs.add_argument("file", metavar="FILE", nargs="?", help="only of this convoy file")
    runs.add_argument("--max", type=whole(1, MOST), default=50, metavar="N", help="at most N (50)")
    runs.add_argument("--unfinished", action="store_true", help="only those that are not over")
    runs.set_defaults(command=list_runs)

    events = subparsers.add_parser("events", help="everything that happened in a run, in its order")
    events.add_argument("run", metavar="RUN", help=RUN)
    events.add_argument("--follow", action="store_true", help="go on until the run is over or waits")
    events.add_argument("--ndjson", action="store_true", help="one JSON line for each, as in events.ndjson")
    events.set_defaults(command=show_events)

    export = subparsers.add_parser(
        "export",
        help="write a run to one file to give away, without its secrets",
        description="A tar.gz that only its owner may read, with the plan, the report, all attempts, the"
        " events, dead letters, disputes and logs. The same run gives the same bytes.",
    )
    export.add_argument("run", metavar="RUN", help=RUN)
    export.add_argument("file", metavar="FILE", help="a file that does not exist yet")
    export.set_defaults(command=export_run)


# Which there are, and where they stand


def list_runs(args: Namespace, out: TextIO) -> int:
    """Write the runs of a store."""
    from ..actors.convoys.ledger import Ledger
    from ..actors.convoys.living import players
    from ..actors.convoys.spec.reading import whole_path

    file = str(whole_path(Path(args.file))) if args.file else None
    views: list[dict[str, Any]] = []
    with opened_store(args) as store:
        ledger, living = Ledger(store), players(store)
        for run in ledger.runs():
            if file not in (None, run.file):
                continue
            view = _run_view(ledger, run, living)
            if not (args.unfinished and view["status"] in OVER):
                views.append(view)
            if len(views) == args.max:
                break
    if args.json:
        render.emit(out, {"runs": views})
    elif views:
        headings = ("run", "status", "played", "began", "file")
        render.table(out, headings, [[view[key] for key in headings] for view in views])
    else:
        render.lines(out, ["no runs"])
    return DONE


def _run_view(ledger: Ledger, run: RunRecord, living: dict[str, str]) -> dict[str, Any]:
    from ..actors.convoys.names import manager_of

    standing, played = ledger.standing(run.id), manager_of(run.id) in living
    status = standing.status.value if standing is not None and standing.since_first else "running"
    began = time_text(round(standing.since_first * MICROS)) if standing and standing.since_first else None
    return {
        "run": run.id,
        "status": "interrupted" if status == "running" and not played else status,
        "played": played,
        "began": began,
        "file": run.file,
    }


def show_run(args: Namespace, out: TextIO) -> int:
    """Write where one run stands: its tasks, what is spent, and what leads on."""
    from ..actors.convoys.finding import find_run
    from ..actors.convoys.ledger import Ledger
    from ..actors.convoys.living import players
    from .nextsteps import next_steps
    from .reporting import report_view, write_report
    from .run import logs_of

    with opened_store(args) as store:
        ledger = Ledger(store)
        run = find_run(ledger, args.run)
        state = _run_view(ledger, run, players(store))
        plan, report, url = ledger.plan(run.id), ledger.report(run.id), store.url
    logs = logs_of(args) / run.id
    if plan is None or report is None:
        raise BadInput(
            f"run {run.id} has not begun", "its process ended before", "run its file with --resume"
        )
    steps = [] if state["played"] else next_steps(report, plan, run.file, url)
    if args.json:
        tasks = _with_attempts(report_view(report, plan, logs, steps), report)
        render.emit(out, {**tasks, "file": run.file, "status": state["status"], "played": state["played"]})
    else:
        write_report(out, report, plan, logs, steps)
        if state["status"] != report.status.value:
            render.lines(out, [f"nobody plays it: it is {state['status']}"])
    return DONE


def _with_attempts(view: dict[str, Any], report: Any) -> dict[str, Any]:
    """The JSON of a report, with every attempt of each task and what checks and reviewers said."""
    for task, row in zip(view["tasks"], report.tasks, strict=True):
        task["tries"] = [
            {
                "n": one.n,
                "agent": one.agent,
                "started": time_text(round(one.started * MICROS)),
                "ended": time_text(round(one.ended * MICROS)) if one.ended else None,
                "outcome": one.outcome,
                "reason": one.reason,
                "code": one.code,
                "tokens": one.tokens,
            }
            for one in row.state.tries
        ]
        task["checks"] = [
            {"name": note.name, "verdict": note.verdict, "text": note.text} for note in row.state.notes
        ]
    return view


def export_run(args: Namespace, out: TextIO) -> int:
    """Write a run to a file; it is complete and durable when this returns."""
    from ..actors.convoys.finding import find_run
    from ..actors.convoys.ledger import Ledger
    from ..actors.convoys.record.export import export
    from .run import logs_of

    with opened_store(args) as store:
        run = find_run(Ledger(store), args.run).id
        done = export(store, run, logs_of(args) / run, Path(args.file))
    if args.json:
        files = list(done.files)
        render.emit(out, {"run": run, "export": args.file, "files": files, "redacted": done.redacted})
    else:
        secrets = sum(done.redacted.values())
        render.lines(out, [f"{args.file}: {len(done.files)} files of run {run}, {secrets} secrets redacted"])
    return DONE


# What happened


def show_events(args: Namespace, out: TextIO) -> int:
    """Write the events of a run; with ``--follow``, until it is over, waits, or nobody plays it."""
    from ..actors.convoys.finding import find_run
    from ..actors.convoys.ledger import Ledger
    from ..actors.convoys.record.facts import pages

    if args.json and (args.follow or args.ndjson):
        raise BadInput("--json with --follow or --ndjson", "it is one document", "leave --json out")
    with opened_store(args) as store:
        run = find_run(Ledger(store), args.run).id
        if args.json:
            render.emit(
                out,
                {"run": run, "events": [_event_view(fact) for page in pages(store, run) for fact in page]},
            )
            return DONE
        seen = 0
        with Hints(store, time.sleep) as hints:
            while True:
                goes_on = args.follow and _goes_on(store, run)
                seen = _write_events(store, run, seen, out, ndjson=args.ndjson)
                if not goes_on:
                    return DONE
                hints.wait(LOOK_SECONDS)


def _goes_on(store: Store, run: str) -> bool:
    """Whether more can come: somebody plays the run, and it is not over."""
    from ..actors.convoys.ledger import Ledger
    from ..actors.convoys.living import player_of

    return bool(player_of(store, run)) and not Ledger(store).is_over(run)


def _write_events(store: Store, run: str, after: int, out: TextIO, *, ndjson: bool) -> int:
    """Write the events of the pages after this one; answers the number of the last page."""
    from ..actors.convoys.record import facts
    from ..actors.convoys.record import ndjson as journal

    for page in facts.pages(store, run, after):
        after += 1
        if ndjson:
            text = b"".join(journal.lines(run, page)).decode()
            out.write("".join(render.escape_json(line) + "\n" for line in text.splitlines()))
            out.flush()
        else:
            render.lines(out, map(_event_line, page))
    return after


def _event_view(fact: RawFact) -> dict[str, Any]:
    return {"seq": fact.seq, "at": _time(fact), "type": fact.type, **msgspec.json.decode(fact.data)}


def _event_line(fact: RawFact) -> str:
    """An event in one line: when, what, and its fields."""
    data: dict[str, Any] = msgspec.json.decode(fact.data)
    said = " ".join(
        f"{key}={value if isinstance(value, str | int | float) else render.json_text(value)}"
        for key, value in data.items()
        if value not in ("", None, [])
    )
    return f"{_time(fact)}  {fact.type:<18}  {said}".rstrip()


def _time(fact: RawFact) -> str | None:
    return time_text(round(fact.at * MICROS))
