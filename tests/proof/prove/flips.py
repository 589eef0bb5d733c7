"""One byte of a store's files goes wrong, anywhere: no mail may be gone or altered in silence.

Half of the bytes are in the log of a store whose process was killed, half in the file of one that was
closed. Each store holds mail in every state. After the flip the real code opens it. In the log, what is
not refused is exactly as it was. In the file, opening or ``verify --deep`` tells it, or every message is
there with its content, live or final as before. What is delivered is always what was sent. Then it is
repaired: a store in which all is well again, and what was lost or is in doubt is said.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

import apsw
from msgspec import Struct, structs

from postroom.store import records as r
from postroom.store.clock import ManualClock
from postroom.store.errors import PostroomError, Refused, StoreUnavailable
from postroom.store.identity import id_text
from postroom.store.repair import Repaired, repair
from postroom.store.sqlite import db
from postroom.store.sqlite.file import FileStore, open_file
from postroom.store.states import FINAL
from postroom.store.transact import transact, transact_one

from .outcome import Outcome, Tell

MEMORY = "/dev/shm"
NAME = "store.db"
FLIPS_OF_A_STORE = 500
FIGURES = (
    "mended_at_opening", "refused", "told_by_verify", "harmless", "buried", "claim_refused",
    "repaired", "in_doubt", "lost_by_repair", "beyond_repair",
)  # fmt: skip
REPAIR_EVERY = {"log": 1, "file": 25}
MESSAGES = 18
WORDS = ("ready", "leased", "delayed", "held", "done", "dead", "expired", "Grüße", "邮局")
INBOX, OTHER, STRANGER = "worker/a", "manager/m", "worker/nobody"
CONTROLS = 24

FINALS = frozenset(state.word for state in FINAL)

Files = dict[str, bytes]


class Subject(Struct):
    """The files of one store, and the messages in it as they have to come out."""

    kind: str
    files: Files
    truth: dict[bytes, r.StoredMessage]
    clock: ManualClock


def run(amount: int, seed: int, tell: Tell) -> Outcome:
    """Flip so many bytes, one at a time; see also what becomes of a few where nothing looks for damage."""
    outcome = Outcome(amount)
    began = time.process_time()
    figures: dict[str, int] = dict.fromkeys(FIGURES, 0)
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        folder = Path(name)
        done = 0
        while done < amount:
            rng = Random(f"{seed} {done}")
            subjects = make_stores(folder / "made", rng)
            if not done:
                _check_controls(outcome, subjects, folder / "control", rng)
            for subject in subjects:
                _check_unharmed(outcome, subject, folder / "unharmed")
            for n in range(min(FLIPS_OF_A_STORE, amount - done)):
                trial = Trial(subjects[n % 2], folder / "flipped", rng, outcome, figures)
                trial.run(repairs=(n // 2) % REPAIR_EVERY[trial.subject.kind] == 0)
                done += 1
                tell(done)
    outcome.figures |= {name: float(count) for name, count in figures.items()}
    outcome.figures["flips_per_cpu_second"] = amount / (time.process_time() - began)
    outcome.notes.append(f"of the flips in the file, one in {REPAIR_EVERY['file']} is repaired too")
    return outcome


def make_stores(folder: Path, rng: Random) -> tuple[Subject, Subject]:
    """A store whose process was killed, with a log, and the same one closed."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    clock = ManualClock()
    path = folder / NAME
    open_file(path, create=True, clock=clock, rng=Random(0)).close()
    store = open_file(path, create=False, clock=clock, rng=Random(1))
    ids = _fill(store, clock, rng)
    killed = _files(path)
    truth = _read(store, ids)
    store.close()
    return (Subject("log", killed, truth, clock), Subject("file", _files(path), truth, clock))


def _files(path: Path) -> Files:
    names = (NAME, f"{NAME}-wal")
    return {name: (path.parent / name).read_bytes() for name in names if (path.parent / name).exists()}


def _fill(store: FileStore, clock: ManualClock, rng: Random) -> list[bytes]:
    """Mail in every state, in a dozen commits."""
    transact_one(store, r.Register((r.InboxSpec(INBOX), r.InboxSpec(OTHER))))
    sends = [r.Send(_message(rng, INBOX)) for _ in range(MESSAGES)]
    sends[0].message.ttl_us = 1_000_000
    sends[1].message.delay_us = sends[2].message.delay_us = 3600_000_000
    sends += [
        r.Send(_message(rng, STRANGER), unrouted=r.Unrouted.HOLD),
        r.Send(_message(rng, "nobody/x"), unrouted=r.Unrouted.BOUNCE),
    ]
    for at in range(0, len(sends), 4):
        transact(store, sends[at : at + 4])
    clock.advance(2)
    transact(store, [r.Tick(), r.Cancel((sends[2].message.id,))])
    claimed = transact_one(store, r.Claim((INBOX,), 8))
    assert isinstance(claimed, r.Claimed)
    verdicts = (r.Verdict.ACK, r.Verdict.DEAD, r.Verdict.RETRY, r.Verdict.RELEASE, r.Verdict.ACK)
    for delivery, verdict in zip(claimed.deliveries, verdicts, strict=False):
        reason = None if verdict is r.Verdict.ACK else "flawed"
        write = r.Write("worker/a", "effect", delivery.id.hex(), b'{"n":1}')
        transact_one(store, r.Settle(delivery.id, delivery.fence, verdict, reason=reason, writes=(write,)))
    return [send.message.id for send in sends]


def _message(rng: Random, to: str) -> r.NewMessage:
    raw = bytearray(rng.randbytes(16))
    raw[6], raw[8] = 0x80 | raw[6] & 0x0F, 0x80 | raw[8] & 0x3F
    body = {"n": rng.randrange(1000), "text": " ".join(rng.choices(WORDS, k=rng.randrange(60)))}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return r.NewMessage(bytes(raw), to, "operator/cli", "job", text.encode())


def _read(store: FileStore, ids: list[bytes]) -> dict[bytes, r.StoredMessage]:
    found = {id: store.message(id) for id in ids}
    return {id: message for id, message in found.items() if message is not None}


def _put(folder: Path, files: Files) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder / NAME


def _check_unharmed(outcome: Outcome, subject: Subject, folder: Path) -> None:
    """Without a flip nothing may be said."""
    path = _put(folder, subject.files)
    store = open_file(path, create=False, clock=subject.clock, rng=Random(2))
    try:
        found = store.verify(deep=True)
        if not found.ok or store.mended or found.notices or _read(store, [*subject.truth]) != subject.truth:
            outcome.wrong(f"{subject.kind}: a false alarm: {found.faults} {store.mended} {found.notices}")
    finally:
        store.close()


class Trial:
    """One flipped byte."""

    def __init__(
        self, subject: Subject, folder: Path, rng: Random, outcome: Outcome, figures: dict[str, int]
    ) -> None:
        self.subject = subject
        self.folder = folder
        self.outcome = outcome
        self.figures = figures
        name = f"{NAME}-wal" if subject.kind == "log" else NAME
        content = bytearray(subject.files[name])
        place = rng.randrange(len(content))
        old = content[place]
        content[place] ^= 1 << rng.randrange(8) if rng.random() < 0.5 else rng.randrange(1, 256)
        self.where = f"{subject.kind}, byte {place} was {old}, is {content[place]}"
        self.path = _put(folder, {**subject.files, name: bytes(content)})

    def run(self, *, repairs: bool) -> None:
        """Open it, look through it, and repair it where it was refused or ``repairs`` says so."""
        try:
            told = self._look()
        except Exception as error:  # noqa: BLE001  whatever it is, nobody who uses a store may meet it
            self.outcome.wrong(f"{self.where}: an error that is none of the port's: {error!r}")
            return
        if told and repairs:
            self.figures["repaired"] += 1
            try:
                self._repair()
            except StoreUnavailable as error:
                self.figures["beyond_repair"] += 1
                if self.subject.kind == "log" or error.do != "restore a backup":
                    self.outcome.wrong(f"{self.where}: repairing: {error!r}")
            except Exception as error:  # noqa: BLE001  as above
                self.outcome.wrong(f"{self.where}: repairing: {error!r}")

    def _look(self) -> bool:
        """Whether the damage is still there and was told."""
        try:
            store = open_file(self.path, create=False, clock=self.subject.clock, rng=Random(3))
        except PostroomError as error:
            self.figures["refused"] += 1
            if "repair" not in error.do:
                self.outcome.wrong(f"{self.where}: refused without a way out: {error}")
            return True
        try:
            return self._look_into(store)
        finally:
            store.close()

    def _look_into(self, store: FileStore) -> bool:
        try:
            told = not store.verify(deep=True).ok
        except PostroomError:
            told = True
        for id, truth in self.subject.truth.items():
            self.outcome.messages += 1
            try:
                found = store.message(id)
                same = self._same(found, truth) or (told and self.subject.kind == "file")
            except PostroomError:
                same = told  # it was not given out, and that was told
            if not same:
                self.outcome.lost += 1
                self.outcome.wrong(f"{self.where}: message {id_text(id)} is not as it was")
        self._deliver(store, told=told)
        if store.mended:
            self.figures["mended_at_opening"] += 1
        else:
            self.figures["told_by_verify" if told else "harmless"] += 1
        return told

    def _same(self, message: r.StoredMessage | None, truth: r.StoredMessage) -> bool:
        if self.subject.kind == "log" or message is None:
            return message == truth
        return _alike(message, truth)

    def _deliver(self, store: FileStore, *, told: bool) -> None:
        """Whatever is claimed is what was sent; nothing that is ready stays behind, if nothing was told."""
        ready = {id for id, truth in self.subject.truth.items() if truth.state == "ready"}
        claim = r.Claim((INBOX, OTHER), 100, lease_us=3600_000_000)
        try:
            claimed = transact_one(store, claim)
        except PostroomError:
            self.figures["claim_refused"] += 1
            if not told:
                self.outcome.wrong(f"{self.where}: claiming fails though nothing was told")
            return
        assert isinstance(claimed, r.Claimed)
        for delivery in claimed.deliveries:
            ready.discard(delivery.id)
            truth = self.subject.truth.get(delivery.id)
            if truth is None or _sent(delivery) != _sent(truth):
                self.outcome.wrong(f"{self.where}: message {id_text(delivery.id)} was altered and delivered")
        if ready and not told:
            self.outcome.wrong(f"{self.where}: {len(ready)} ready messages are not delivered")
        buried = sum(1 for id in ready if self._is_buried(store, id))
        self.figures["buried"] += buried

    def _is_buried(self, store: FileStore, id: bytes) -> bool:
        try:
            message = store.message(id)
        except PostroomError:
            return False
        return message is not None and message.reason == "damaged"

    def _repair(self) -> None:
        url = f"sqlite:///{self.path}"
        before = _files(self.path)
        try:
            done = repair(url, accept_loss=False, clock=self.subject.clock)
        except Refused:
            if _files(self.path) != before:
                self.outcome.wrong(f"{self.where}: repair refused, and changed something")
            done = repair(url, accept_loss=True, clock=self.subject.clock)
        self.figures["lost_by_repair"] += sum(done.lost.values())
        if done.lost and self.subject.kind == "log":
            self.outcome.lost += sum(done.lost.values())
            self.outcome.wrong(f"{self.where}: repair lost mail: {done.lost}")
        self.figures["in_doubt"] += len(done.doubtful)
        kept = {name: (Path(done.kept) / name).read_bytes() for name in before}
        if kept != before:
            self.outcome.wrong(f"{self.where}: the copies are not what was there")
        self._judge_repaired(done)

    def _judge_repaired(self, done: Repaired) -> None:
        store = open_file(self.path, create=False, clock=self.subject.clock, rng=Random(4))
        try:
            found = store.verify(deep=True)
            if not found.ok:
                self.outcome.wrong(f"{self.where}: after repair: {found.faults}")
            gone = 0
            for id, truth in self.subject.truth.items():
                self.outcome.messages += 1
                message = store.message(id)
                gone += message is None
                if message is not None and not self._as_before(message, truth, done):
                    self.outcome.lost += 1
                    self.outcome.wrong(f"{self.where}: after repair {id_text(id)} is not as it was")
            known = {id_text(id) for id in self.subject.truth}
            renamed = len(set(done.doubtful) - known)  # in doubt because the id is what was damaged
            if gone > sum(done.lost.values()) + renamed:
                self.outcome.lost += gone
                self.outcome.wrong(f"{self.where}: after repair {gone} messages are gone, told: {done.lost}")
        finally:
            store.close()

    def _as_before(self, message: r.StoredMessage, truth: r.StoredMessage, done: Repaired) -> bool:
        if self.subject.kind == "file" and id_text(truth.id) not in done.doubtful:
            return _alike(message, truth)
        return _equal(message, truth, done)


def _sent(message: r.StoredMessage | r.Delivery) -> tuple[Any, ...]:
    """What the sender has said and where it was put."""
    return (
        message.id, message.recipient, message.sender, message.type, message.body, message.priority,
        message.max_attempts, message.created_at, message.correlation_id, message.causation_id,
        message.reply_to, message.headers,
    )  # fmt: skip


def _alike(message: r.StoredMessage, truth: r.StoredMessage) -> bool:
    """The same content, and live or final as before."""
    return _sent(message) == _sent(truth) and (message.state in FINALS) == (truth.state in FINALS)


def _equal(message: r.StoredMessage, truth: r.StoredMessage, done: Repaired) -> bool:
    """A message in doubt is there; any other is what it was, but for its fence under a new epoch, and
    for its history if that is in doubt."""
    if id_text(truth.id) in done.doubtful:
        return True
    if f"the history of message {id_text(truth.id)} may be wrong" in done.found:
        message, truth = structs.replace(message, history=[]), structs.replace(truth, history=[])
    return _unfenced(message) == _unfenced(truth)


def _unfenced(message: r.StoredMessage) -> r.StoredMessage:
    history = [structs.replace(event, fence=None) for event in message.history]
    return structs.replace(message, fence=0, history=history)


def _check_controls(outcome: Outcome, subjects: tuple[Subject, Subject], folder: Path, rng: Random) -> None:
    """Without the looking before SQLite opens, and without sums in rows, mail is lost in silence."""
    silent = {subject.kind: 0 for subject in subjects}
    for _ in range(CONTROLS):
        for subject in subjects:
            name = f"{NAME}-wal" if subject.kind == "log" else NAME
            content = bytearray(subject.files[name])
            body = rng.choice([truth.body for truth in subject.truth.values()])
            content[content.find(body) + rng.randrange(len(body))] ^= 1
            path = _put(folder, {**subject.files, name: bytes(content)})
            silent[subject.kind] += _lost_in_silence(path, subject)
    outcome.figures |= {f"control_{kind}_lost_in_silence": float(n) for kind, n in silent.items()}
    for kind, n in silent.items():
        if not n:
            outcome.wrong(f"control: nothing is lost in the {kind} when nobody looks: this proves nothing")


def _lost_in_silence(path: Path, subject: Subject) -> bool:
    """Whether SQLite alone finds a flipped store sound and gives out something else than was sent."""
    conn = db.connect(str(path))
    try:
        sound = conn.pragma("integrity_check") == "ok"
        bodies = dict(conn.execute("SELECT id, body FROM message").fetchall())
    except (apsw.Error, UnicodeDecodeError):
        return False
    finally:
        conn.close()
    return sound and any(bodies.get(id) != truth.body for id, truth in subject.truth.items())
