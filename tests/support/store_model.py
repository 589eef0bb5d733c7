"""What the store port promises, as plain dictionaries: the model that every engine is compared with.

A batch has one instant and one order: switches and sessions first, then settlements, sends and claims;
then the senders of bounced mail are told. Time does its work when a claim or a tick looks.
Refusals are answered as their codes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from typing import Any, ClassVar
from unittest.mock import ANY

from model_letters import (
    ENDED,
    FINAL,
    LIVE,
    OPEN,
    UNREGISTERED,
    Accepting,
    Box,
    Expected,
    Letter,
    Seat,
    Told,
    delivered,
)

from postroom.store import records as r

V = r.Verdict


class Model(Accepting):
    """The store as it ought to be."""

    def apply(self, batch: Sequence[r.Operation]) -> list[Expected]:
        """Apply one batch; answers in the order of the batch."""
        answers: dict[int, Expected] = {}
        self.moved, self._looked = [], False
        for n, op in enumerate(batch):
            if not isinstance(op, r.Settle | r.Send | r.Claim):
                answers[n] = self._others[type(op)](self, op)
        answers |= self._settle([(n, op) for n, op in enumerate(batch) if isinstance(op, r.Settle)])
        for n, op in enumerate(batch):
            if isinstance(op, r.Send):
                answers[n] = self.send(op)
        for n, op in enumerate(batch):
            if isinstance(op, r.Claim):
                answers[n] = self._claim(op)
        self.tell_of_bounces()
        return [answers[n] for n in range(len(batch))]

    # Settling

    def _settle(self, ops: Sequence[tuple[int, r.Settle]]) -> dict[int, Expected]:
        """Guards first, on what was stored before; then the effects of what stands, outputs last."""
        before = {id: copy(m) for id, m in self.letters.items()}
        answers: dict[int, Expected] = {}
        stands: dict[bytes, tuple[int, r.Settle]] = {}
        writes: list[r.Write] = []
        repeats: list[tuple[int, bytes]] = []
        planned: list[r.Send] = []
        for n, op in ops:
            m = before.get(op.id)
            first = stands.get(op.id)
            if m is None:
                answers[n] = "unknown_message"
            elif first is not None and m.fence == op.fence and first[1].verdict is op.verdict:
                repeats.append((n, op.id))
            elif first is None and m.state != "leased" and m.fence == op.fence and m.verdict == op.verdict:
                answers[n] = Told("settled", (m.state, True, ()))
            elif first is not None or m.state != "leased" or m.fence != op.fence or not self._holds(op.term):
                answers[n] = "lost_lease"
                self.boxes[m.inbox].tally["lost"] += 1
            elif op.verdict is V.ACK and (refused := self._refused(op.outputs, planned)):
                answers[n] = refused
            elif self.stale(op.writes, writes):
                answers[n] = "conflict"
            else:
                stands[op.id] = (n, op)
                writes += op.writes
                planned += op.outputs if op.verdict is V.ACK else ()
        self.write(writes)
        for _, op in stands.values():
            self._end_lease(self.letters[op.id], op)
        for n, op in stands.values():
            outputs = tuple(self.send(out) for out in op.outputs) if op.verdict is V.ACK else ()
            answers[n] = Told("settled", (self.letters[op.id].state, False, outputs))
        for n, id in repeats:
            answers[n] = Told("settled", (self.letters[id].state, True, ()))
        return answers

    def _holds(self, term: r.Term | None) -> bool:
        return term is None or self.terms.get(term.name) == (term.session, term.term)

    def _refused(self, outputs: Iterable[r.Send], planned: Sequence[r.Send]) -> str | None:
        """Why an output would be refused. Bounds count what turns of this batch send."""
        for out in outputs:
            rows = self.route(out)
            if isinstance(rows, str):
                return rows
            if any(state == "conflict" for _, _, state in rows):
                return "conflict"
        return None

    def _end_lease(self, m: Letter, op: r.Settle) -> None:
        m.verdict = str(op.verdict)
        if op.verdict is V.ACK:
            self.move(m, "done")
        elif op.verdict is V.RELEASE:
            m.attempts -= 1
            self.to_ready(m, "release")
        elif op.verdict is V.DEAD or m.attempts >= m.message.max_attempts:
            self.move(m, "dead")
        else:
            self.boxes[m.inbox].tally["retried"] += 1
            if op.delay_us is None:
                self.put_off(m, None, m.attempts)
            else:
                self.put_off(m, self.now + op.delay_us)

    def extend(self, op: r.Extend) -> Expected:
        m = self.letters.get(op.id)
        if m is None:
            return "unknown_message"
        if m.state != "leased" or m.fence != op.fence:
            self.boxes[m.inbox].tally["lost"] += 1
            return "lost_lease"
        if m.lease is not None:
            m.lease = self.now + op.lease_us
        return Told("extended", (op.lease_us,))

    # Claiming

    def _claim(self, op: r.Claim) -> Expected:
        if op.session and not self.lives(op.session):
            return "lost_lease"
        boxes = [self.boxes.get(address) for address in dict.fromkeys(op.inboxes)]
        if any(box is None or box.life == UNREGISTERED for box in boxes):
            return "unknown_inbox"
        found: list[tuple[Letter, int | None]] = []
        for box in boxes:
            assert box is not None
            self._look(box)
            found += self._held_already(op, box)
            if box.paused or len(found) >= op.limit:
                continue
            chosen = self._choose(op, box, op.limit - len(found), company=bool(found))
            found += [(m, None if op.session else op.lease_us) for m in chosen]
            for m in chosen:
                self._lease(op, m)
            if chosen and chosen[0].strikes:
                break
        return Told("claimed", tuple(delivered(m, lease) for m, lease in found))

    def _look(self, box: Box) -> None:
        """What time has made due, before a claim looks."""
        if not self._looked:
            self._looked = True
            self.expire()
            for id in [i for i, s in self.seats.items() if s.live and s.expires <= self.now]:
                self.lapse(id)
        here = self.of(box.address, *LIVE)
        self.promote(here)
        self.take_back(self.own_lapsed(here), None)

    def _held_already(self, op: r.Claim, box: Box) -> list[tuple[Letter, int | None]]:
        """A repeated claim is answered with what the first one leased and is still held."""
        if op.key is None:
            return []
        mine = [m for m in self.of(box.address, "leased") if m.claim_key == op.key]
        return [(m, None if m.lease is None else m.lease - self.now) for m in mine]

    def _choose(self, op: r.Claim, box: Box, limit: int, *, company: bool) -> list[Letter]:
        ready = [m for m in self.of(box.address, "ready") if m.expires is None or m.expires > self.now]
        ready.sort(key=lambda m: (-m.message.priority, m.seq))
        if box.ordered:
            back = [m for m in self.of(box.address, "delayed") if m.attempts]
            if self.of(box.address, "leased") or back:
                return []
            limit, ready = 1, ready[:1]
        if not any(m.strikes for m in ready[:limit]):
            return ready[:limit]
        if ready[0].strikes and op.alone_ok and not company:
            return ready[:1]
        return [m for m in ready if not m.strikes][:limit]

    def _lease(self, op: r.Claim, m: Letter) -> None:
        self.move(m, "leased")
        m.attempts += 1
        m.fence += 1
        m.session, m.verdict, m.claim_key = op.session, None, op.key
        m.lease = None if op.session else self.now + op.lease_us

    # Inboxes

    def register(self, op: r.Register) -> Expected:
        opened = 0
        for spec in op.inboxes:
            box = self.box(spec.address, spec.member)
            if box.life == OPEN and (spec.bound, spec.policy, spec.ordered) == (None, None, None):
                continue
            if box.life == UNREGISTERED:
                box.member = spec.member and not spec.address.startswith("any:")
            opened += box.life != OPEN
            box.bound = box.bound if spec.bound is None else spec.bound
            box.policy = spec.policy or box.policy
            box.ordered = box.ordered if spec.ordered is None else spec.ordered
            self._open(box)
            if box.member:
                self._open(self.box(f"any:{box.role}"))
        return Told("changed", (opened,))

    def _open(self, box: Box) -> None:
        box.life = OPEN
        self._resume_held(box)

    def _resume_held(self, box: Box) -> None:
        if box.life == OPEN:
            for m in self.of(box.address, "held"):
                if m.message.correlation_id not in box.keys:
                    self.to_ready(m)

    def control(self, op: r.Control) -> Expected:
        box = self.boxes.get(op.inbox)
        if box is None or box.life == UNREGISTERED:
            return "unknown_inbox"
        if op.key is not None:
            return self._control_key(box, op.switch, op.key)
        waiting = self.of(op.inbox, "ready", "delayed", "held")
        if op.switch is r.Switch.PURGE:
            for m in waiting:
                self.move(m, "cancelled")
            return Told("changed", (len(waiting),))
        if box.life == ENDED and op.switch is not r.Switch.END:
            return "inbox_ended"
        before = (box.paused, box.draining, box.life)
        if op.switch is r.Switch.PAUSE:
            box.paused = True
        elif op.switch is r.Switch.DRAIN:
            box.draining = True
        else:
            box.paused = box.draining = False
        if op.switch is r.Switch.END:
            box.life = ENDED
            for m in waiting:
                self.bounce(m)
        return Told("changed", (int(before != (box.paused, box.draining, box.life)),))

    def _control_key(self, box: Box, switch: r.Switch, key: str) -> Expected:
        was = key in box.keys
        if switch is r.Switch.PAUSE:
            box.keys.add(key)
            for m in self.of(box.address, "ready"):
                if m.message.correlation_id == key:
                    self.move(m, "held")
            return Told("changed", (int(not was),))
        if switch is r.Switch.RESUME:
            box.keys.discard(key)
            self._resume_held(box)
            return Told("changed", (int(was),))
        return "bad_input"

    # Sessions

    def open_session(self, op: r.OpenSession) -> Expected:
        self.lapse_gone()
        id = max(self.seats, default=0) + 1
        self.seats[id] = Seat(op.process, self.now + op.lease_us)
        return Told("session", (id, self.now + op.lease_us))

    def renew(self, op: r.RenewSession) -> Expected:
        if not self.lives(op.session):
            return "lost_lease"
        self.seats[op.session].expires = self.now + op.lease_us
        return Told("changed", (1,))

    def close_session(self, op: r.CloseSession) -> Expected:
        seat = self.seats.get(op.session)
        was = seat is not None and seat.live
        if was:
            self.lapse(op.session, on_purpose=True)
        return Told("changed", (int(was),))

    def activate(self, op: r.Activate) -> Expected:
        if not self.lives(op.session):
            return "lost_lease"
        holder, term = self.terms.get(op.name, (0, 0))
        seat = self.seats.get(holder)
        if seat is not None and seat.live and holder != op.session:
            if seat.expires > self.now and seat.process not in self.gone:
                return "conflict"
            self.lapse(holder)
        self.terms[op.name] = (op.session, term + 1)
        return Told("term", (op.name, op.session, term + 1))

    def deactivate(self, op: r.Deactivate) -> Expected:
        held = self._holds(op.term)
        if held:
            self.terms[op.term.name] = (0, op.term.term)
        return Told("changed", (int(held),))

    # Records

    def put(self, op: r.Put) -> Expected:
        if not self._holds(op.term):
            return "lost_lease"
        if self.stale(op.writes, ()):
            return "conflict"
        self.write(op.writes)
        return Told("changed", (len({(w.owner, w.kind, w.key) for w in op.writes}),))

    # What people and time do

    def _find(self, ids: Sequence[bytes], *states: str) -> list[Letter] | str:
        found: list[Letter] = []
        for id in dict.fromkeys(ids):
            m = self.letters.get(id)
            if m is None:
                return "unknown_message"
            if m.state not in states:
                return "conflict"
            found.append(m)
        return found

    def requeue(self, op: r.Requeue) -> Expected:
        found = self._find(op.ids, "dead")
        if isinstance(found, str):
            return found
        keys = [(m.inbox, m.message.dedup_key) for m in found if m.message.dedup_key is not None]
        if keys:
            self.expire()  # what has expired keeps its dedup key no longer
        if len(set(keys)) < len(keys) or any(self.twin(m.message, m.inbox) for m in found):
            return "conflict"
        for m in found:
            m.attempts = m.strikes = 0
            self.to_ready(m)
        return Told("changed", (len(found),))

    def _give_up(self, ids: Sequence[bytes], *states: str) -> Expected:
        found = self._find(ids, *states)
        if isinstance(found, str):
            return found
        for m in found:
            self.move(m, "cancelled")
        return Told("changed", (len(found),))

    def tick(self, op: r.Tick) -> Expected:
        promoted = self.promote(list(self.letters.values()))
        expired = self.expire()
        held, lost = self.lapse_gone()
        back, buried = self.take_back(self.own_lapsed(self.letters.values()), None)
        unsure = any(m.state == "delayed" and m.due is None for m in self.letters.values())
        return Told(
            "ticked", (promoted, expired, held + back, lost + buried, ANY if unsure else self.next_due())
        )

    def sweep(self, op: r.Sweep) -> Expected:
        for i, s in list(self.seats.items()):
            if (
                not s.live
                and s.expires < self.now - op.rows_us
                and all(m.session != i for m in self.letters.values() if m.state == "leased")
            ):
                self.seats[i].process = "forgotten"
        old = [id for id, (at, _) in self.spent.items() if at < self.now - op.ids_us]
        for id in old:
            del self.spent[id]
        newest = max((m.seq for m in self.letters.values()), default=0)
        forgotten = [
            m
            for m in self.letters.values()
            if m.state in FINAL
            and m.state != "dead"
            and m.seq != newest
            and m.final_at <= self.now - op.rows_us
        ]
        for m in forgotten:
            del self.letters[m.id]
            self.spent[m.id] = (self.now, m.content)
            self.dropped[m.inbox, m.state] += 1
        return Told("changed", (len(old) + len(forgotten),))

    _others: ClassVar[dict[type, Callable[[Any, Any], Expected]]] = {
        r.Extend: extend, r.Register: register, r.Control: control, r.OpenSession: open_session,
        r.RenewSession: renew, r.CloseSession: close_session, r.Activate: activate,
        r.Deactivate: deactivate, r.Put: put, r.Requeue: requeue,
        r.Drop: lambda self, op: self._give_up(op.ids, "dead"),
        r.Cancel: lambda self, op: self._give_up(op.ids, "ready", "delayed", "held"),
        r.Tick: tick, r.Sweep: sweep,
    }  # fmt: skip
