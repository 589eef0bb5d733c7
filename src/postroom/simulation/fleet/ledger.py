"""The books of a run: what was asked for and done, what each wake came to, how long people waited.

It counts what happened in the world outside, the same way for every policy. What the store has noted of
wakes is its own account, told beside this one.
"""

from __future__ import annotations

from collections import Counter

from msgspec import Struct

from ..checkers.breach import Breach


class Sample(Struct, frozen=True, array_like=True):
    """One look at the fleet: at this virtual second so many messages waited, so many turns ran."""

    at: float
    waiting: int
    working: int


class Ledger:
    """Counts; nothing in it grows with the number of threads but the wakes that nobody has answered."""

    def __init__(self) -> None:
        self.wakes = Counter[str]()
        self.turns = Counter[str]()
        self.happened = Counter[str]()
        self.latencies = Counter[int]()
        self.samples: list[Sample] = []
        self.breaches: list[Breach] = []
        self.live = 0
        self.awake = 0
        self._asked: dict[str, int] = {}
        self._unanswered: dict[str, int] = {}
        self._receipts: set[str] = set()

    # Tasks

    def asked(self, task: str) -> None:
        """A task was accepted: from now on its report is waited for."""
        self._asked.setdefault(task, 0)
        self.live += 1

    def ended(self, state: str, *, ours: bool = True) -> None:
        """A turn was settled, and its message is in this state now; ``ours`` if the fleet had sent it."""
        self.turns[state] += 1
        if ours and state in ("done", "dead"):
            self.live -= 1

    def reported(self, task: str) -> None:
        """A manager has acknowledged the report of a task: the one effect that it should have."""
        self._asked[task] = self._asked.get(task, 0) + 1

    @property
    def tasks(self) -> int:
        """How many tasks were accepted."""
        return len(self._asked)

    def unreported(self, buried: set[str]) -> list[str]:
        """Tasks of which nothing was heard and that are no dead letters."""
        return [n for n, times in self._asked.items() if not times and n not in buried]

    def repeated(self) -> list[str]:
        """Tasks whose report had its effect more than once."""
        return [n for n, times in self._asked.items() if times > 1]

    # Wakes

    def ordered(self, address: str, receipt: str, at: int, expires: int) -> None:
        """A wake was ordered whose window is open until ``expires``; there may be no second one in it.

        Both are boot time in microseconds.
        """
        self.happened["wakes ordered"] += 1
        if at < self._unanswered.get(address, 0):
            self.blame(
                "doubled", f"{address}: woken {at} us after the boot while an earlier wake was under way"
            )
        if receipt in self._receipts:
            self.blame("doubled", f"{address}: receipt {receipt} was used for two wakes")
        self._unanswered[address] = expires
        self._receipts.add(receipt)

    def answered(self, address: str) -> None:
        """A thread has polled: whatever wake was under way is over."""
        self._unanswered.pop(address, None)

    def waited(self, seconds: float) -> None:
        """Mail lay for so long before an inbox whose thread slept until the thread took it."""
        self.latencies[round(max(0.0, seconds) * 10)] += 1

    def quantile(self, share: float) -> float | None:
        """The wake latency that this share of all mail does not exceed, in seconds; None without mail."""
        total = self.latencies.total()
        if not total:
            return None
        rank, seen = share * total, 0
        for tenths, times in sorted(self.latencies.items()):
            seen += times
            if seen >= rank:
                return tenths / 10
        raise AssertionError("a share of all is never more than all")

    def blame(self, kind: str, what: str) -> None:
        """A promise of the waking was broken."""
        self.breaches.append(Breach(kind, what))
