"""How a task's standing and its history are shown to people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TextIO

from . import render


def write_standing(out: TextIO, view: dict[str, Any]) -> None:
    """Write what ``loop status`` found."""
    most = "" if view["max_iterations"] is None else f" of {view['max_iterations']}"
    render.fields(
        out,
        [
            ("task", f"{view['task']} ({view['binding']})"),
            ("loop", view["state"] + (f" by {view['paused_by']}" if view["paused_by"] else "")),
            ("iteration", f"{view['iteration']}{most}"),
            ("next", ", ".join(view["next_actions"]) or "nothing to do"),
            ("deadlock", view["waiting_deadlock"]),
            ("no progress", view["no_progress"]),
        ],
    )
    sessions = view["sessions"]
    rows = [
        (
            role, view[role], side["address"], render.age(side["heartbeat_seconds"]), side["mail"],
            side["leased"], side["delayed"], side["thread_id"],
        )
        for role, side in sessions.items()
    ]  # fmt: skip
    rows.append(("dispatcher", view["dispatcher"], "-", "-", "-", "-", "-", "-"))
    render.table(out, ("role", "health", "inbox", "seen", "ready", "leased", "delayed", "thread"), rows)
    budgets = [(name, use["limit"], use["used"], use["state"]) for name, use in view["budget"].items()]
    render.table(out, ("budget", "limit", "used", ""), budgets)
    if view["criteria"]:
        criteria = [(one["id"], one["state"], one["source"], one["text"]) for one in view["criteria"]]
        render.table(out, ("criterion", "state", "from", "text"), criteria)
    if view["acks"]:
        said = [
            (role, ack["ack"], ack.get("revision"), ack.get("text")) for role, ack in view["acks"].items()
        ]
        render.table(out, ("role", "says", "revision", "text"), said)


def write_choice(out: TextIO, view: dict[str, Any]) -> None:
    """Write what a manager has to decide, and how to say it."""
    matters = ", ".join(view["matters"]) or "nothing"
    render.fields(out, [("to decide", matters), ("choices", ", ".join(view["decisions"]))])
    if view["matters"]:
        render.lines(
            out, [f"postroom loop decide {view['task']} DECISION --seen {view['seen']} --reason 'why'"]
        )


def write_history(out: TextIO, events: Sequence[dict[str, Any]], said: Sequence[dict[str, Any]]) -> None:
    """Write the events of a loop, then what the roles said."""
    rows = [
        (event["at"], event.get("iteration", 0), event["event"], event["by"], _data(event))
        for event in events
    ]
    render.table(out, ("at", "iteration", "event", "by", "data"), rows)
    if said:
        words = [(ack["at"], ack["role"], ack["ack"], ack.get("message"), ack.get("text")) for ack in said]
        render.table(out, ("at", "role", "says", "message", "text"), words)


def _data(event: dict[str, Any]) -> str:
    return render.json_text(event.get("data", {}))
