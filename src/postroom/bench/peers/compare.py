"""A comparison: all ways in turns, round after round, each round in a process of its own."""

from __future__ import annotations

import os
import sqlite3
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from ..conditions import conditions
from ..rows import Params
from ..run import in_child, leave, on_a_disk
from .field import US, missing, versions
from .ways import Ran, Style, Way

CHILD = "postroom.bench.peers.child"
START_SECONDS = 30.0
"""What a round may take beside its load: starting a server or a framework, draining, stopping."""

Round = Callable[[Way, Params], tuple[Ran | None, str]]


def compare(ways: Sequence[Way], params: Params, heard: Callable[[str], None]) -> dict[str, Any]:
    """Measure these ways; a document of one view for each, and the conditions of the run.

    ``params.seconds`` is the load of one way, all its rounds together. ``heard`` is told what happens.
    Files go to temporary directories under ``params.directory`` and are removed. Raises ``BadInput``
    if that is in memory.
    """
    on_a_disk(params.directory)
    circumstances = conditions(params, sys.getswitchinterval())
    circumstances["sqlite_of_peers"] = sqlite3.sqlite_version
    rounds, notes = in_rounds(ways, params, heard, in_child_of_its_own)
    circumstances["load_after"] = [round(each, 2) for each in os.getloadavg()]
    return {"ways": views(ways, rounds, notes), "conditions": circumstances}


def in_rounds(
    ways: Sequence[Way], params: Params, heard: Callable[[str], None], measure: Round
) -> tuple[dict[str, list[Ran | None]], dict[str, str]]:
    """The rounds of each way by its name, and what is to be said of it.

    Every second round goes through the ways backwards. A way that failed is not tried again.
    """
    notes = {way.name: note for way in ways if (note := missing(way))}
    absent = set(notes)
    share = msgspec.structs.replace(params, seconds=params.seconds / params.rounds)
    rounds: dict[str, list[Ran | None]] = {way.name: [] for way in ways}
    for turn in range(params.rounds):
        heard(f"round {turn + 1} of {params.rounds}")
        for way in reversed(ways) if turn % 2 else ways:
            ran, note = (None, "") if way.name in notes else measure(way, share)
            rounds[way.name].append(ran)
            if note:
                notes[way.name] = f"failed: {note}"
            if way.name not in absent:
                heard(f"  {way.name}: {note or _rate(ran)}")
    return rounds, notes


def in_child_of_its_own(way: Way, params: Params) -> tuple[Ran | None, str]:
    """Measure one round; nothing of it is left."""
    directory = tempfile.mkdtemp(prefix="peers-", dir=params.directory)
    changed = msgspec.structs.replace(params, directory=directory)
    try:
        arguments = [way.name, msgspec.json.encode(changed).decode()]
        answer, note = in_child(CHILD, arguments, 3 * params.seconds + START_SECONDS)
    finally:
        leave(changed)
    return (None, note) if answer is None else (msgspec.json.decode(answer, type=Ran), "")


def _rate(ran: Ran | None) -> str:
    return "not measured" if ran is None else f"{ran.jobs / ran.seconds:,.0f} a second"


def views(
    ways: Sequence[Way], rounds: dict[str, list[Ran | None]], notes: dict[str, str]
) -> list[dict[str, Any]]:
    """One view a way. A share is the median, over the rounds, against postroom's round in that style."""
    ours = {way.style: rounds[way.name] for way in ways if way.peer == US}
    return [_view(way, rounds[way.name], ours.get(way.style, []), notes.get(way.name, "")) for way in ways]


def _view(way: Way, ran: list[Ran | None], ours: list[Ran | None], note: str) -> dict[str, Any]:
    rates = [each.jobs / each.seconds for each in ran if each]
    shares = [
        (each.jobs / each.seconds) / (own.jobs / own.seconds)
        for each, own in zip(ran, ours, strict=False)
        if each and own
    ]
    return {
        "peer": way.peer,
        "style": way.style.value,
        "how": way.how,
        "version": versions(way),
        "per_s": statistics.median(rates) if rates else None,
        "of_postroom": statistics.median(shares) if shares else None,
        "rounds_per_s": [round(rate, 1) for rate in rates],
        "durability": next((each.durability for each in ran if each), ""),
        "persistent": way.persistent,
        "note": note,
    }


STYLES: tuple[str, ...] = tuple(style.value for style in Style)
