"""No message has two live leases, and no name two living activations."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from ...store.identity import id_text
from ...store.port import Store
from ...store.records import (
    Accepted,
    Changed,
    Claim,
    Claimed,
    CloseSession,
    Deactivate,
    Delivery,
    Extend,
    Extended,
    OpenSession,
    RenewSession,
    Send,
    Session,
    Settle,
    Settled,
    Term,
)
from ..witness import Committed, Doubted, Fact, Gone, Rebooted
from .breach import Breach


class _Lease(Struct):
    """A lease that ends at ``until``, or with ``session`` where there is one. Boot time, microseconds."""

    fence: int
    until: int
    session: int


class _Session(Struct):
    handle: str
    expires: int
    open: bool = True


class Leases:
    """Follows every lease and activation from its grant to its end.

    What a commit of unknown outcome may have changed is not judged until it is granted anew.
    """

    def __init__(self) -> None:
        self.breaches: list[Breach] = []
        self._leases: dict[bytes, _Lease] = {}
        self._sessions: dict[int, _Session] = {}
        self._terms: dict[str, Term] = {}

    def see(self, fact: Fact) -> None:
        """Take in one fact."""
        match fact:
            case Committed():
                self._committed(fact)
            case Doubted():
                self._doubted(fact)
            case Gone(handle=handle):
                for session in self._sessions.values():
                    session.open = session.open and session.handle != handle
            case Rebooted():
                self._leases.clear()
                self._sessions.clear()
                self._terms.clear()

    def _committed(self, fact: Committed) -> None:
        match fact.operation, fact.answer:
            case Claim() as claim, Claimed(deliveries):
                self._grant(fact.at, deliveries, claim.session, claim.lease_us, claim.key is not None)
            case Send() as send, Accepted(delivery=Delivery() as delivery):
                self._grant(fact.at, (delivery,), send.hand_to, 0, False)
            case Settle() as settle, Settled() as answer:
                for output, sent in zip(settle.outputs, answer.outputs, strict=False):
                    if sent.delivery is not None:
                        self._grant(fact.at, (sent.delivery,), output.hand_to, 0, False)
                if not answer.already:
                    self._end(settle)
            case Extend() as extend, Extended():
                lease = self._leases.get(extend.id)
                if lease is not None and not lease.session:
                    lease.until = fact.at + extend.lease_us
            case _:
                self._committed_session(fact)

    def _committed_session(self, fact: Committed) -> None:
        match fact.operation, fact.answer:
            case OpenSession(), Session() as session:
                self._sessions[session.id] = _Session(fact.handle, session.expires)
            case RenewSession() as renew, Changed():
                if renew.session in self._sessions:
                    self._sessions[renew.session].expires = fact.at + renew.lease_us
            case CloseSession(session=session, most=most), Changed(count=0) if most is not None:
                self._give_back(session)
            case CloseSession() as close, Changed():
                if close.session in self._sessions:
                    self._sessions[close.session].open = False
            case Deactivate() as step_down, Changed():
                if self._terms.get(step_down.term.name) == step_down.term:
                    del self._terms[step_down.term.name]
            case _, Term() as term:
                self._activate(fact.at, term)
            case _:
                pass

    def _give_back(self, session: int) -> None:
        """Some of what a session held is free; which, only the store knows."""
        for id in [id for id, lease in self._leases.items() if lease.session == session]:
            del self._leases[id]

    def _doubted(self, fact: Doubted) -> None:
        match fact.operation, fact.answer:
            case _, Claimed(deliveries):
                for delivery in deliveries:
                    self._leases.pop(delivery.id, None)
            case Settle() as settle, _:
                self._leases.pop(settle.id, None)
            case CloseSession(session=session), _:
                self._sessions.pop(session, None)
            case Deactivate(term=term), _:
                self._terms.pop(term.name, None)
            case _, Term() as term:
                self._terms.pop(term.name, None)
            case _:
                pass

    def _grant(
        self, at: int, deliveries: Iterable[Delivery], session: int, lease_us: int, repeats: bool
    ) -> None:
        for delivery in deliveries:
            held = self._leases.get(delivery.id)
            same = held is not None and held.fence == delivery.fence
            if repeats and same:
                continue
            if held is not None and self._lives(held, at):
                self._blame(f"{id_text(delivery.id)}: leased at {at} while a lease of it was live")
            self._leases[delivery.id] = _Lease(delivery.fence, at + lease_us, session)

    def _lives(self, lease: _Lease, at: int) -> bool:
        return self._holds(lease.session, at) if lease.session else at < lease.until

    def _holds(self, session: int, at: int) -> bool:
        found = self._sessions.get(session)
        return found is not None and found.open and at < found.expires

    def _end(self, settle: Settle) -> None:
        held = self._leases.pop(settle.id, None)
        if held is not None and held.fence != settle.fence:
            self._blame(f"{id_text(settle.id)}: settled under a fence that holds no lease")

    def _activate(self, at: int, term: Term) -> None:
        held = self._terms.get(term.name)
        if held is not None and held.session != term.session and self._holds(held.session, at):
            self._blame(f"{term.name}: activated at {at} while it was alive elsewhere")
        self._terms[term.name] = term

    def finish(self, store: Store, *, drained: bool) -> None:
        """Nothing to compare: the facts alone show it."""

    def _blame(self, what: str) -> None:
        self.breaches.append(Breach("double_lease", what))
