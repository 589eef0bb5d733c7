"""Effects ledger: what a turn wrote is there once if its message is done, and not at all otherwise.

A turn takes part by writing a keyed record of kind ``EFFECT`` whose key is the text of its message's
id and whose value is a number: one more than was there before.
"""

from __future__ import annotations

import json

from ...store.identity import id_text
from ...store.port import Store
from ...store.records import Settle, Settled, Verdict
from ..witness import Committed, Doubted, Fact
from .breach import Breach

EFFECT = "effect"


class Effects:
    """Knows which effects were committed with which message, and reads the ledger at the end.

    ``checked`` is how many messages with an effect the last look has judged.
    """

    def __init__(self, kind: str = EFFECT) -> None:
        self.breaches: list[Breach] = []
        self.checked = 0
        self._kind = kind
        self._owners: dict[bytes, set[str]] = {}
        self._sure: set[bytes] = set()
        self._told: set[str] = set()

    def see(self, fact: Fact) -> None:
        """Take in one fact; only acknowledgements that write effects count."""
        if not isinstance(fact, Committed | Doubted):
            return
        settle, answer = fact.operation, fact.answer
        if not (isinstance(settle, Settle) and isinstance(answer, Settled)):
            return
        if settle.verdict is not Verdict.ACK or answer.already:
            return
        owners = {write.owner for write in settle.writes if write.kind == self._kind}
        if owners:
            self._owners.setdefault(settle.id, set()).update(owners)
            if isinstance(fact, Committed):
                self._sure.add(settle.id)

    def finish(self, store: Store, *, drained: bool) -> None:
        """Compare the ledger with the states of the messages it speaks of."""
        ledgers = {
            owner: {record.key: json.loads(record.value) for record in store.records(owner, self._kind)}
            for owner in sorted({owner for owners in self._owners.values() for owner in owners})
        }
        self.checked = len(self._owners)
        for id, owners in self._owners.items():
            text = id_text(id)
            times = sum(int(ledgers[owner].get(text, 0)) for owner in owners)
            stored = store.message(id)
            done = id in self._sure or (stored is not None and stored.state == "done")
            if times != int(done):
                state = "gone" if stored is None else stored.state
                self._blame(f"{text}: its effect is there {times} times, and it is {state}")

    def _blame(self, what: str) -> None:
        if what not in self._told:
            self._told.add(what)
            self.breaches.append(Breach("effect", what))
