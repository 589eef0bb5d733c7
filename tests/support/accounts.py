"""What a store must show after any crash: every job noted, once, and the sums right."""

from __future__ import annotations

import json
from collections import Counter

from crew import LEDGER
from msgspec import Struct

from postroom.store.port import Store

SHOWN = 3
LIVE = ("ready", "delayed", "leased", "held")


class Accounts(Struct, frozen=True):
    """The outcome of a run. Everything but ``accepted``, ``jobs`` and ``noted`` has to be nothing.

    ``lives`` are the histories of the first of the dead.
    """

    accepted: int
    jobs: int
    noted: int
    lost: int
    duplicated: int
    stuck: int
    dead: int
    faults: tuple[str, ...]
    lives: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        return not (self.lost or self.duplicated or self.stuck or self.dead or self.faults)


def waiting(store: Store) -> int:
    """How many messages are in no final state."""
    return sum(getattr(counts, state) for counts in store.counts() for state in LIVE)


def accounts(store: Store, jobs: int) -> Accounts:
    """Compare what is stored with the jobs 1 to ``jobs``, all of which were accepted."""
    seen = {int(record.key): record.version for record in store.records(LEDGER, "seen")}
    effects: Counter[int] = Counter()
    for counts in store.counts():
        for record in store.records(counts.inbox, "effect"):
            effects[int(record.key)] += record.version
    twice = sum(version - 1 for version in seen.values()) + sum(n - 1 for n in effects.values())
    faults = list(_sums(store, seen))
    verified = store.verify(deep=True)
    if not verified.ok:
        faults += [f"verify: {fault}" for fault in verified.faults] or ["verify: not ok"]
    dead = verified.counts["dead"]
    return Accounts(
        accepted=verified.accepted,
        jobs=jobs,
        noted=len(seen),
        lost=len(set(range(1, jobs + 1)) - seen.keys()),
        duplicated=twice,
        stuck=waiting(store),
        dead=dead,
        faults=tuple(faults),
        lives=tuple(life(store, message.id) for message in store.dead(None, SHOWN)) if dead else (),
    )


def life(store: Store, id: bytes) -> str:
    """A message and its history in one line; times are seconds since it was sent."""
    message = store.message(id)
    if message is None:
        return f"{id.hex()} is unknown"
    lines = [
        " ".join(
            str(word)
            for word in (
                f"{(event.at - message.created_at) / 1e6:.2f}", event.event, event.attempt,
                event.by, event.reason, event.error,
            )
            if word is not None
        )
        for event in message.history
    ]  # fmt: skip
    return f"{message.type} {message.body.decode()} to {message.recipient}: {', '.join(lines)}"


def _sums(store: Store, seen: dict[int, int]) -> list[str]:
    """Where the ledger's own state disagrees with its records."""
    found = store.records(LEDGER, "state")
    state = json.loads(found[0].value) if found else {"count": 0, "total": 0}
    right = {"count": len(seen), "total": sum(seen)}
    wrong = [
        f"the ledger's {name} is {state[name]}, not {n}" for name, n in right.items() if state[name] != n
    ]
    return [*wrong, *breaks(store)] if wrong else []


def breaks(store: Store) -> list[str]:
    """Between which of its turns the ledger's sums stopped adding up, the first of them."""
    notes = sorted((*json.loads(record.value), int(record.key)) for record in store.records(LEDGER, "seen"))
    found: list[str] = []
    count = total = fence = n = 0
    for note in notes:
        if (note[0], note[1]) != (count + 1, total + note[3]):
            found.append(
                f"after job {n}: {count}, {total} (fence {fence}) came {note[3]}: {note[0]}, {note[1]}"
            )
        count, total, fence, n = note
    return found[:SHOWN]
