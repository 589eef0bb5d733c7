"""The lower half of the model of the store port: what is stored, what time makes of it, and sends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from msgspec import structs

from postroom.store import records as r
from postroom.store.identity import derived_id, id_text

LIVE = ("ready", "leased", "delayed", "held")
FINAL = ("done", "dead", "expired", "bounced", "cancelled")
OPEN, UNREGISTERED, ENDED = "open", "unregistered", "ended"
LATER = 1 << 40
"""Numbers of messages begin here until the store's own are known."""


class Letter:
    """One message. ``lease`` is when its lease ends, None where that hangs on ``session``."""

    def __init__(self, message: r.NewMessage, inbox: str, seq: int, fence: int, now: int) -> None:
        self.message, self.id, self.inbox, self.seq, self.fence = message, message.id, inbox, seq, fence
        self.state, self.attempts, self.strikes, self.session = "ready", 0, 0, 0
        self.due: int | None = now + message.delay_us
        self.expires = None if message.ttl_us is None else now + message.ttl_us
        self.lease: int | None = None
        self.verdict: str | None = None
        self.claim_key: str | None = None
        self.pause: int = 0  # of the standard backoff after failure `pause`; its jitter is the store's
        self.final_at = now

    @property
    def content(self) -> tuple[object, ...]:
        m = self.message
        return (self.inbox, m.sender, m.type, m.body, m.priority, m.dedup_key, m.correlation_id)


class Box:
    """One inbox."""

    def __init__(self, address: str, member: bool) -> None:
        self.address, self.member = address, member
        self.role = address.removeprefix("any:").partition("/")[0]
        self.life, self.paused, self.draining, self.ordered = UNREGISTERED, False, False, False
        self.bound, self.policy = 100_000, "reject"
        self.keys: set[str] = set()
        self.tally = Counter[str]()


class Seat:
    """One session."""

    def __init__(self, process: str, expires: int) -> None:
        self.process, self.expires, self.live = process, expires, True
        self.begun: set[bytes] | None = None


class Told(NamedTuple):
    """An answer, as the model gives it: the name of its record and what matters of it."""

    kind: str
    what: tuple[object, ...] = ()


Expected = Told | str
"""An answer or the code of a refusal."""


class ModelBase:
    """What is stored, and what time makes of it."""

    def __init__(self, now: int, epoch: int, gone: Iterable[str] = ()) -> None:
        self.now, self.first_fence, self.gone = now, epoch << 20, set(gone)
        self.letters: dict[bytes, Letter] = {}
        self.boxes: dict[str, Box] = {}
        self.seats: dict[int, Seat] = {}
        self.terms: dict[str, tuple[int, int]] = {}
        self.records: dict[tuple[str, str, str], tuple[int, bytes]] = {}
        self.spent: dict[bytes, tuple[int, tuple[object, ...]]] = {}
        self.dropped = Counter[tuple[str, str]]()
        self.bounced: list[Letter] = []
        self.moved: list[tuple[str | None, str]] = []
        self.seq = LATER

    # Looking

    def of(self, inbox: str, *states: str) -> list[Letter]:
        return sorted(
            (m for m in self.letters.values() if m.inbox == inbox and m.state in states),
            key=lambda m: m.seq,
        )

    def depth(self, inbox: str) -> int:
        return len(self.of(inbox, *LIVE))

    def members(self, role: str) -> list[str]:
        return [b.address for b in self.boxes.values() if b.role == role and b.life == OPEN and b.member]

    def lives(self, session: int) -> bool:
        seat = self.seats.get(session)
        return seat is not None and seat.live and seat.expires > self.now

    def lapsed(self, m: Letter) -> bool:
        if m.state != "leased":
            return False
        return not self.lives(m.session) if m.lease is None else m.lease <= self.now

    def word(self, m: Letter) -> str:
        """The state as people see it: by the clock, not by when somebody last looked."""
        if m.expires is not None and m.expires <= self.now and m.state in ("ready", "delayed", "held"):
            return "expired"
        if self.lapsed(m) or (m.state == "delayed" and m.due is not None and m.due <= self.now):
            return "ready"
        return m.state

    def counts(self, box: Box) -> Counter[str]:
        found = Counter(self.word(m) for m in self.letters.values() if m.inbox == box.address)
        found.update({s: n for (inbox, s), n in self.dropped.items() if inbox == box.address})
        found.update(box.tally)
        return found

    # Moving

    def move(self, m: Letter, target: str) -> None:
        self.moved.append((m.state, target))
        m.state = target
        if target in FINAL:
            m.final_at = self.now

    def to_ready(self, m: Letter, verdict: str | None = None) -> None:
        self.move(m, "ready")
        m.session, m.lease, m.claim_key, m.verdict = 0, None, None, verdict or m.verdict
        box = self.boxes[m.inbox]
        if box.life == ENDED:
            self.bounce(m)
        elif m.message.correlation_id in box.keys or box.life == UNREGISTERED:
            self.move(m, "held")

    def bounce(self, m: Letter) -> None:
        self.move(m, "bounced")
        self.bounced.append(m)

    def put_off(self, m: Letter, due: int | None, failures: int = 0) -> None:
        """Delay a message; with ``failures``, by the standard backoff, which the store will tell."""
        self.move(m, "delayed")
        m.due, m.pause, m.session, m.lease, m.claim_key = due, failures, 0, None, None

    def take_back(self, letters: Iterable[Letter], begun: set[bytes] | None) -> tuple[int, int]:
        back = buried = 0
        for m in list(letters):
            back += 1
            if begun is not None and m.id not in begun:
                m.attempts -= 1
                self.to_ready(m)
            elif m.attempts >= m.message.max_attempts:
                self.move(m, "dead")
                buried += 1
            else:
                m.strikes += 1
                if m.strikes > 1:
                    self.put_off(m, None, m.strikes - 1)
                else:
                    self.to_ready(m)
        return back, buried

    def lapse(self, session: int, *, on_purpose: bool = False) -> tuple[int, int]:
        seat = self.seats[session]
        seat.live = False
        self.terms = {n: (0 if s == session else s, t) for n, (s, t) in self.terms.items()}
        held = [m for m in self.letters.values() if m.state == "leased" and m.session == session]
        begun, seat.begun = set[bytes]() if on_purpose else seat.begun, None
        return self.take_back(held, begun)

    def lapse_gone(self) -> tuple[int, int]:
        ends = [
            i for i, s in self.seats.items() if s.live and (s.expires <= self.now or s.process in self.gone)
        ]
        found = [self.lapse(i) for i in ends]
        return sum(back for back, _ in found), sum(buried for _, buried in found)

    def expire(self) -> int:
        past = [
            m
            for m in self.letters.values()
            if m.state in ("ready", "delayed", "held") and m.expires is not None and m.expires <= self.now
        ]
        for m in past:
            self.move(m, "expired")
        return len(past)

    def promote(self, letters: Iterable[Letter]) -> int:
        due = [m for m in letters if m.state == "delayed" and m.due is not None and m.due <= self.now]
        for m in due:
            self.to_ready(m)
        return len(due)

    def own_lapsed(self, letters: Iterable[Letter]) -> list[Letter]:
        return [m for m in letters if m.state == "leased" and m.lease is not None and m.lease <= self.now]

    def next_due(self) -> int | None:
        """How long until something falls due; ``None`` for nothing."""
        times = [s.expires for s in self.seats.values() if s.live]
        for m in self.letters.values():
            if m.state == "delayed" and m.due is not None:
                times.append(m.due)
            if m.state == "leased" and m.lease is not None:
                times.append(m.lease)
            if m.state in ("ready", "delayed", "held") and m.expires is not None:
                times.append(m.expires)
        return max(0, min(times) - self.now) if times else None

    # Records

    def stale(self, writes: Iterable[r.Write], staged: Sequence[r.Write]) -> bool:
        records = dict(self.records)
        self.write(staged, records)
        return any(
            w.expect is not None and w.expect != records.get((w.owner, w.kind, w.key), (0, b""))[0]
            for w in writes
        )

    def write(
        self, writes: Iterable[r.Write], records: dict[tuple[str, str, str], tuple[int, bytes]] | None = None
    ) -> None:
        into = self.records if records is None else records
        for w in writes:
            key = (w.owner, w.kind, w.key)
            if w.value is None:
                into.pop(key, None)
            else:
                into[key] = (into.get(key, (0, b""))[0] + 1, w.value)


class Accepting(ModelBase):
    """What becomes of a send."""

    def known(self, message: r.NewMessage, inbox: str) -> str | None:
        """``duplicate`` or ``conflict`` for an id that was seen before."""
        wanted = Letter(message, inbox, 0, 0, 0).content
        found = self.letters.get(message.id)
        content = found.content if found is not None else self.spent.get(message.id, (0, None))[1]
        if content is None:
            return None
        return "duplicate" if content == wanted else "conflict"

    def twin(self, message: r.NewMessage, inbox: str) -> Letter | None:
        """The live message with the same dedup key."""
        key = message.dedup_key
        live = [m for m in self.of(inbox, *LIVE) if key is not None and m.message.dedup_key == key]
        return next((m for m in live if self.word(m) != "expired"), None)

    def route(self, send: r.Send) -> list[tuple[r.NewMessage, str, str]] | str:
        """(message, inbox, first state) of each copy, or the code of the refusal."""
        kind, _, name = send.message.recipient.partition(":")
        if kind == "all":
            members = self.members(name)
        elif kind == "manager-of":
            binding = self.records.get(("postroom/pairs", "binding", name))
            members = [binding[1].split(b'"')[3].decode()] if binding else []
        else:
            found = self.place(send, send.message)
            return found if isinstance(found, str) else [found]
        rows: list[tuple[r.NewMessage, str, str]] = []
        for member in members:
            id = derived_id(send.message.id, member.encode())
            found = self.place(send, structs.replace(send.message, id=id, recipient=member))
            if isinstance(found, str):
                return found
            rows.append(found)
        return rows or "empty_group"

    def place(self, send: r.Send, message: r.NewMessage) -> tuple[r.NewMessage, str, str] | str:
        to = message.recipient
        box = self.boxes.get(to)
        same = self.known(message, to)
        if same is not None:  # whatever has become of its recipient since, it was accepted
            return (message, to, same)
        shared = to.startswith("any:")
        empty = shared and (box is None or (box.life == OPEN and not self.members(box.role)))
        ended = box is not None and box.life == ENDED
        live = "duplicate" if self.twin(message, to) else None
        if box is not None and box.life == OPEN and (box.draining or not empty):
            return "inbox_ended" if box.draining and send.bounded else (message, to, live or "ready")
        if send.unrouted is r.Unrouted.HOLD and not ended:
            return (message, to, live or "held")
        if send.unrouted is r.Unrouted.BOUNCE or (send.unrouted is r.Unrouted.HOLD and not send.bounded):
            return (message, to, "bounced")
        return "empty_group" if empty else "inbox_ended" if ended else "unknown_inbox"

    def box(self, address: str, member: bool = True) -> Box:
        if address not in self.boxes:
            self.boxes[address] = Box(address, member and not address.startswith("any:"))
        return self.boxes[address]

    def send(self, send: r.Send) -> Expected:
        """Accept one message and all its copies, or none."""
        rows = self.route(send)
        if isinstance(rows, str):
            return rows
        if any(state == "conflict" for _, _, state in rows):
            return "conflict"
        if any(state == "ready" and self._refuses(send, to) for _, to, state in rows):
            return "inbox_full"
        answers = [self.accept(send, *row) for row in rows]
        copies = tuple(answer[0] for answer in answers) if len(rows) > 1 else ()
        return Told("accepted", (*answers[0], copies))

    def _refuses(self, send: r.Send, to: str) -> bool:
        """Whether a bound refuses this; mail past its expiry makes room first."""
        box = self.boxes[to]
        if self.depth(to) >= box.bound:
            self.expire()
        if not send.bounded or self.depth(to) < box.bound:
            return False
        return box.policy in ("reject", "block") or (box.policy == "drop-oldest" and not self.of(to, "ready"))

    def accept(self, send: r.Send, message: r.NewMessage, to: str, state: str) -> tuple[object, ...]:
        """(id of the live message, word, delivery, overflow) of one copy."""
        if state == "duplicate":
            twin = None if self.known(message, to) else self.twin(message, to)
            return (twin.id if twin is not None else message.id, state, None, None)
        box = self.box(to)
        overflow = None
        if state == "ready" and self.depth(to) >= box.bound:
            if not send.bounded:
                overflow = to
                box.tally["overflowed"] += 1
            elif box.policy == "bounce":
                state = "bounced"
            else:
                self._drop_oldest(box)
        m = Letter(message, to, self.seq, self.first_fence, self.now)
        waits = bool(self.of(to, "ready"))
        self.seq += 1
        self.letters[m.id] = m
        box.tally["accepted"] += 1
        delivery = None
        word = state if state in ("held", "bounced") else "accepted"
        if state in ("ready", "held") and message.delay_us:
            state = "delayed"
        elif state == "ready" and message.correlation_id in box.keys:
            state = word = "held"
        elif state == "ready" and self.lives(send.hand_to) and not (waits or box.paused or box.ordered):
            state, m.fence, m.attempts, m.session = "leased", m.fence + 1, 1, send.hand_to
            delivery = delivered(m, None)
        m.state = state
        self.moved.append((None, state))
        if state == "bounced":
            self.bounced.append(m)
        return (m.id, word, delivery, overflow)

    def let_lie(self, m: Letter) -> None:
        """A message was not handed over after all."""
        m.state, m.fence, m.attempts, m.session = "ready", self.first_fence, 0, 0

    def _drop_oldest(self, box: Box) -> None:
        oldest = min(self.of(box.address, "ready"), key=lambda m: (m.message.priority, m.seq))
        self.move(oldest, "dead")
        box.tally["overflowed"] += 1

    def tell_of_bounces(self) -> None:
        bounced, self.bounced = self.bounced, []
        for m in bounced:
            back = self.boxes.get(m.message.reply_to or m.message.sender)
            if m.message.type == "postroom.bounce" or back is None or back.life != OPEN:
                continue
            id = derived_id(m.id, b"bounce")
            key = m.message.correlation_id or id_text(m.id)
            notice = r.NewMessage(
                id, back.address, m.inbox, "postroom.bounce", BOUNCE_BODY, correlation_id=key
            )
            self.send(r.Send(notice, bounded=False))


BOUNCE_BODY = b"(what a bounce says is not modelled)"


def delivered(m: Letter, lease: int | None) -> tuple[object, ...]:
    return (m.id, m.fence, m.inbox, m.attempts, m.message.priority, m.strikes > 0, lease)
