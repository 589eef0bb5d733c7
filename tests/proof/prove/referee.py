"""Who wins a race for a lease: a table, and the little that must be remembered to read it.

A lease stands until somebody takes it back, not until its time is over: who settles late but first has
won. Taking back happens when a claim or a tick looks at an instant at or after the end.
"""

from __future__ import annotations

from postroom.store import records as r

LEASE_US = 10_000_000
NEVER = 1 << 62

HELD, SAID, OVER = "held", "said before", "over"
"""How somebody stands who names a fence: it holds the message; it has ended the lease in these very
words; or it is over, because another has it or it was ended otherwise."""

ANSWERS: dict[tuple[str, str], tuple[str, ...]] = {
    ("ack", HELD): ("done",), ("ack", SAID): ("already",), ("ack", OVER): ("lost_lease",),
    ("retry", HELD): ("delayed",), ("retry", SAID): ("already",), ("retry", OVER): ("lost_lease",),
    ("release", HELD): ("ready",), ("release", SAID): ("already",), ("release", OVER): ("lost_lease",),
    ("dead", HELD): ("dead",), ("dead", SAID): ("already",), ("dead", OVER): ("lost_lease",),
    ("extend", HELD): ("yes",), ("extend", SAID): ("lost_lease",), ("extend", OVER): ("lost_lease",),
}  # fmt: skip
"""What is answered to each word in each standing."""


class Referee:
    """Follows one message and one activation through committed operations, in order."""

    def __init__(self, actor: str) -> None:
        self.actor = actor
        self.state, self.fence, self.attempts, self.strikes = "ready", 0, 0, 0
        self.until, self.session = 0, 0
        self.said: str | None = None
        self.key: str | None = None
        self.sessions: dict[int, int] = {}
        self.term: r.Term | None = None
        self.terms = 0

    def leased(self, now: int, fence: int, session: int, key: str | None = None) -> None:
        self.state, self.fence, self.session, self.key, self.said = "leased", fence, session, key, None
        self.until = NEVER if session else now + LEASE_US
        self.attempts += 1

    def answer(self, now: int, op: r.Operation) -> tuple[object, ...]:
        """What must be told to whoever did this at that instant."""
        match op:
            case r.Settle():
                return self._settle(now, op)
            case r.Extend():
                standing = self._standing("extend", op.fence)
                if standing == HELD and self.until != NEVER:
                    self.until = now + op.lease_us
                return ANSWERS["extend", standing]
            case r.Claim():
                return self._claim(now, op)
            case r.Tick():
                return ("ticked", self._look(now))
            case r.RenewSession():
                if self.sessions.get(op.session, 0) <= now:
                    return ("lost_lease",)
                self.sessions[op.session] = now + op.lease_us
                return ("yes",)
            case r.CloseSession():
                self._end_session(op.session, give_back=True)
                return ("yes",)
            case r.Activate():
                return self._activate(now, op)
            case _:
                raise AssertionError(op)

    def _standing(self, word: str, fence: int) -> str:
        if fence != self.fence:
            return OVER
        if self.state == "leased":
            return HELD
        return SAID if self.said == word else OVER

    def _settle(self, now: int, op: r.Settle) -> tuple[object, ...]:
        word = str(op.verdict)
        standing = self._standing(word, op.fence)
        if standing == HELD and op.term is not None and op.term != self.term:
            standing = OVER
        told = ANSWERS[word, standing]
        if standing == HELD:
            self.state, self.said, self.session, self.key = told[0], word, 0, None
            self.until = now
            self.attempts -= word == "release"
        return told

    def _claim(self, now: int, op: r.Claim) -> tuple[object, ...]:
        self._look(now)
        if self.state == "leased" and op.key is not None and op.key == self.key:
            return ("claimed", self.fence)
        if self.state != "ready":
            return ("claimed",)
        self.leased(now, self.fence + 1, op.session, op.key)
        return ("claimed", self.fence)

    def _look(self, now: int) -> int:
        """What time has made due; answers how many leases were taken back."""
        if self.state == "delayed" and self.until <= now:
            self.state = "ready"
        back = 0
        for session in [s for s, expires in self.sessions.items() if expires <= now]:
            back += self._end_session(session)
        if self.state == "leased" and self.until <= now:
            back += self._take_back()
        return back

    def _end_session(self, session: int, *, give_back: bool = False) -> int:
        """A session ends: with it what hangs on it, given back only where it is closed on purpose."""
        self.sessions.pop(session, None)
        if self.term is not None and self.term.session == session:
            self.term = None
        if self.state != "leased" or self.session != session:
            return 0
        if give_back:
            self.state, self.session, self.key = "ready", 0, None
            self.attempts -= 1
            return 1
        return self._take_back()

    def _take_back(self) -> int:
        self.strikes += 1
        self.session, self.key = 0, None
        self.state, self.until = ("ready", 0) if self.strikes == 1 else ("delayed", NEVER)
        return 1

    def _activate(self, now: int, op: r.Activate) -> tuple[object, ...]:
        if self.sessions.get(op.session, 0) <= now:
            return ("lost_lease",)
        if self.term is not None and self.term.session != op.session:
            if self.sessions.get(self.term.session, 0) > now:
                return ("conflict",)
            self._end_session(self.term.session)
        self.terms += 1
        self.term = r.Term(self.actor, op.session, self.terms)
        return ("active", self.terms)
