"""``postroom plan``: what a convoy file would do, and everything that is wrong with it."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from . import exits, render
from .parsing import Parser, Subparsers, assignments

if TYPE_CHECKING:
    from ..actors.convoys.allowed import Allowed
    from ..actors.convoys.plan import Convoy, Task


def add_parser(subparsers: Subparsers[Parser]) -> None:
    """The arguments of ``plan``."""
    parser = subparsers.add_parser(
        "plan",
        help="show what a convoy file would do, or everything that is wrong with it",
        description="Reads a convoy file as run does, and runs nothing. Exit code 2 if it is wrong,"
        " with every fault, its line and its key. It imports the modules that its calls name.",
    )
    parser.add_argument("file", metavar="FILE")
    parser.add_argument(
        "--set", action="append", default=[], metavar="K=V", help="set an [input] of FILE; may be repeated"
    )
    parser.add_argument(
        "--resolved", action="store_true", help="write the convoy as TOML, after defaults and --set"
    )
    parser.set_defaults(command=command)


def command(args: Namespace, out: TextIO) -> int:
    """Show the plan. Raises ``BadInput`` with all that is wrong; nothing is changed."""
    from ..actors.convoys.spec.reading import read_convoy, whole_path
    from ..actors.convoys.spec.writing import resolved
    from ..actors.convoys.work.callables import importable_from

    file = Path(args.file)
    with importable_from(whole_path(file).parent):
        convoy = read_convoy(file, assignments(args.set))
    text = resolved(convoy)  # a run stores it, so it must be possible
    if args.resolved:
        _write_resolved(out, convoy.name, text, as_json=args.json)
    elif args.json:
        render.emit(out, view_of(convoy))
    else:
        _show(out, view_of(convoy))
    return exits.DONE


def view_of(convoy: Convoy) -> dict[str, Any]:
    """The plan as plain data: what ``--json`` writes and what people are shown."""
    from attrs import asdict

    from ..actors.convoys.spec.advice import advice
    from ..actors.convoys.spec.bounds import bounds_of
    from ..actors.convoys.spec.phases import phases

    owners: dict[str, list[str]] = {}
    for task in convoy.tasks:
        for file in task.files:
            owners.setdefault(file, []).append(task.id)
    return {
        "convoy": convoy.name,
        "folder": convoy.folder,
        "concurrency": convoy.concurrency,
        "on_overlap": convoy.on_overlap,
        "phases": [[_task_view(task, convoy) for task in phase] for phase in phases(convoy.tasks)],
        "files": {file: owners[file] for file in sorted(owners)},
        "bounds": asdict(bounds_of(convoy)),
        "budget": asdict(convoy.budget),
        "allowed": [_allowed_view(each) for each in convoy.allowed],
        "warnings": advice(convoy),
    }


def _task_view(task: Task, convoy: Convoy) -> dict[str, Any]:
    from ..actors.convoys.spec.bounds import route_of

    return {
        "id": task.id,
        "agent": task.agent,
        "needs": list(task.needs),
        "files": list(task.files),
        "gates": [gate.name for gate in task.gates],
        "review": route_of(task, convoy),
        "attempts": 1 + task.retry.retries,
        "timeout": task.timeout,
        "priority": task.priority,
    }


def _allowed_view(allowed: Allowed) -> dict[str, Any]:
    """A literal is not shown: whoever allowed it may have been wrong about it."""
    what = allowed.pattern or f"a text of {len(allowed.literal)} characters"
    return {"what": what, "paths": list(allowed.paths), "reason": allowed.reason}


def _write_resolved(out: TextIO, name: str, text: str, *, as_json: bool) -> None:
    if as_json:
        render.emit(out, {"convoy": name, "resolved": text})
    else:
        render.toml(out, text)


def _show(out: TextIO, view: dict[str, Any]) -> None:
    phases = view["phases"]
    tasks = sum(map(len, phases))
    render.fields(
        out,
        (
            ("convoy", view["convoy"]),
            ("folder", view["folder"]),
            ("tasks", f"{tasks} in {render.counted(len(phases), 'phase')}"),
            ("concurrency", view["concurrency"]),
            *_costs(view["bounds"], view["budget"]),
        ),
    )
    render.lines(out, [""])
    headings = ("phase", "task", "agent", "needs", "files", "gates", "review", "attempts", "timeout")
    render.table(
        out,
        headings,
        [
            (
                n, task["id"], task["agent"], _listed(task["needs"]), _listed(task["files"]),
                _listed(task["gates"]), task["review"], task["attempts"], render.age(task["timeout"]),
            )
            for n, phase in enumerate(phases, start=1)
            for task in phase
        ],
    )  # fmt: skip
    if view["files"]:
        render.lines(out, [""])
        owned = [(file, _listed(tasks)) for file, tasks in view["files"].items()]
        render.table(out, ("file", "owners"), owned)
    if view["allowed"]:
        render.lines(out, [""])
        render.table(out, ("no secret", "where", "why"), [_allowed_row(each) for each in view["allowed"]])
    if view["warnings"]:
        render.lines(out, ["", *(f"warning: {line}" for line in view["warnings"])])


def _allowed_row(each: dict[str, Any]) -> tuple[str, str, str]:
    return each["what"], ", ".join(each["paths"]) or "everywhere", each["reason"]


def _costs(bounds: dict[str, Any], budget: dict[str, Any]) -> list[tuple[str, str]]:
    once, longest = render.age(bounds["longest_once"]), render.age(bounds["longest"])
    spent = [f"{budget[key]} {key}" for key in ("turns", "tokens") if budget[key]]
    spent += [render.age(budget["seconds"])] if budget["seconds"] else []
    return [
        ("attempts", f"at most {bounds['attempts']}, {bounds['prompts']} of them by agents"),
        ("reviews", f"at most {bounds['reviews']}"),
        ("time", f"at least {once} if each takes its whole timeout, at most {longest}"),
        ("budget", f"{', '.join(spent)}; then it asks {budget['owner']}" if spent else "no bound"),
    ]


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "-"
