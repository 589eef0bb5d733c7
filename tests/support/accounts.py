"""What a store must show after any crash: every job noted, once, and the sums right."""

from __future__ import annotations

import json
from collections import Counter

from crew import LEDGER
from msgspec import Struct

from postroom.store.port import Store

LIVE = ("ready", "delayed", "leased", "held")


class Accounts(Struct, frozen=True):
    """The outcome of a run. Everything but ``accepted``, ``jobs`` and ``noted`` has to be nothing."""

    accepted: int
    jobs: int
    noted: int
    lost: int
    duplicated: int
    stuck: int
    dead: int
    faults: tuple[str, ...]

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
    )


def _sums(store: Store, seen: dict[int, int]) -> list[str]:
    """Where the ledger's own state disagrees with its records."""
    found = store.records(LEDGER, "state")
    state = json.loads(found[0].value) if found else {"count": 0, "total": 0}
    right = {"count": len(seen), "total": sum(seen)}
    return [f"the ledger's {name} is {state[name]}, not {n}" for name, n in right.items() if state[name] != n]
