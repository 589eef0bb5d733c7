"""After a cut: the real code opens what is left, the checkers judge it, and life goes on to its end."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

from prove.cuts.images import Image
from prove.cuts.inside import epoch_of
from prove.cuts.mix import ABSENT, INBOXES
from prove.cuts.protocol import BACKUP, NEW, STORE, Moment, Recording, knowing

from postroom.simulation.checkers import EFFECT, Breach, Checkers
from postroom.simulation.witness import Committed, Doubted, Fact, Gone, Rebooted, witnessed
from postroom.store import backup
from postroom.store.clock import ManualClock
from postroom.store.errors import PostroomError, StoreUnavailable
from postroom.store.identity import id_text
from postroom.store.port import Store
from postroom.store.records import (
    Claim,
    Claimed,
    Control,
    Delivery,
    InboxSpec,
    Operation,
    Register,
    Settle,
    Settled,
    Switch,
    Tick,
    Verdict,
    Write,
)
from postroom.store.sqlite.file import FileStore, open_file
from postroom.store.transact import transact

HOUR = 3600
ROUNDS = 40
EVERYTHING = 100_000


class Judge:
    """Judges images of one recording. Checkers are taken along the facts once and copied from there."""

    def __init__(self, recording: Recording, folder: Path) -> None:
        self._recording = recording
        self._folder = folder
        self._along: tuple[int, int, Checkers] = (-1, 0, Checkers())
        self.messages = 0

    def judge(self, image: Image, moment: Moment, rng: Random, *, deep: bool) -> list[Breach]:
        """Open the store of an image, and say what is wrong with it."""
        self.put(image)
        clock = _clock_after(moment, rng)
        try:
            with knowing(moment.version):
                return self._judge(moment, clock, deep)
        except StoreUnavailable as error:
            return [Breach("lost", f"the store does not come back: {error}")]
        except Exception as error:  # noqa: BLE001  # whatever escapes is a breach
            return [Breach("unexpected", f"an error that is none of the port's: {error!r}")]

    def put(self, image: Image) -> None:
        """Put an image where a store can be, in the place of the one before."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()
        for name, content in image.items():
            (self._folder / name).write_bytes(content)

    def judge_backup(self, moment: Moment, rng: Random, *, deep: bool) -> list[Breach]:
        """The backup of the image that was put has to be whole: put it in the place of the store."""
        assert moment.saved is not None
        history, told = moment.saved
        clock = _clock_after(moment, rng)
        with knowing(NEW):
            try:
                url = f"sqlite:///{self._folder / STORE}"
                backup.restore(self._folder / BACKUP, url, force=True, clock=clock)
                return self._judge(Moment(history, told, told, promised=True), clock, deep)
            except StoreUnavailable as error:
                return [Breach("lost", f"the backup is none: {error}")]

    def _judge(self, moment: Moment, clock: ManualClock, deep: bool) -> list[Breach]:
        store = open_file(self._folder / STORE, create=not moment.promised, clock=clock, rng=Random(1))
        try:
            return self._judge_open(store, moment, clock, deep)
        finally:
            store.close()

    def _judge_open(self, file: FileStore, moment: Moment, clock: ManualClock, deep: bool) -> list[Breach]:
        history, told, epoch = moment.history, moment.told, epoch_of(file)
        if moment.restoring and epoch != moment.epoch:
            assert moment.saved is not None
            history, told = history + 1, moment.saved[1] + 1
        elif moment.epoch not in (0, epoch):
            return [
                Breach("unexpected", f"epoch {epoch} instead of {moment.epoch}: neither the old nor the new")
            ]
        facts = self._recording.histories[history]
        checkers = self._checkers(history, told)
        for fact in facts[told : moment.doubted]:
            checkers.see(_doubt(fact))
        at = file.clock.now().boot
        rebooted = file.clock.boot_id != moment.boot_id
        checkers.see(Rebooted(at, "script") if rebooted else Gone(at, "script"))
        checkers.finish(file, drained=False)
        over = [*self._recording.over[history], *(_in_hand(facts[:told]) if rebooted else ())]
        store = witnessed(file, checkers.see, "after")
        breaches = _revived(store, over)
        drain(store, clock, lambda: breaches.extend(_revived(store, over)))
        checkers.finish(file, drained=True)
        if deep:
            breaches += [Breach("balance", fault) for fault in file.verify(deep=True).faults]
        self.messages = checkers.messages
        return breaches + checkers.breaches

    def _checkers(self, history: int, told: int) -> Checkers:
        """Checkers that have seen so many facts of a life; a copy, to judge one future of it."""
        at, seen, checkers = self._along
        if at != history or seen > told:
            seen, checkers = 0, Checkers()
        for fact in self._recording.histories[history][seen:told]:
            checkers.see(fact)
        self._along = history, told, checkers
        return copy.deepcopy(checkers)


def _clock_after(moment: Moment, rng: Random) -> ManualClock:
    """Mostly another boot, as after every power cut; now and then the same, as after a kill."""
    clock = ManualClock(moment.wall + 30_000_000, moment.boot + 30_000_000)
    clock.boot_id = moment.boot_id
    if rng.random() < 0.8:
        boot = rng.choice((60_000_000, moment.boot + 90_000_000))
        clock = ManualClock(moment.wall + 30_000_000, boot)
        clock.boot_id = "after the cut"
    return clock


def _doubt(fact: Fact) -> Fact:
    return Doubted(fact.at, fact.handle, fact.operation, fact.answer) if isinstance(fact, Committed) else fact


def _in_hand(facts: list[Fact]) -> list[Delivery]:
    """What was handed out of late: leases that a reboot ends."""
    found: list[Delivery] = []
    for fact in facts[-20:]:
        if isinstance(fact, Committed) and isinstance(fact.answer, Claimed):
            found += fact.answer.deliveries
    return found


def _revived(store: Store, over: list[Delivery]) -> list[Breach]:
    """Settle under fences that are over: each must be refused."""
    late: list[Operation] = [Settle(one.id, one.fence, Verdict.RETRY, delay_us=0) for one in over]
    return [
        Breach("fence", f"{id_text(one.id)}: fence {one.fence} is over, and yet it settles")
        for one, answer in zip(over, transact(store, late) if late else (), strict=True)
        if isinstance(answer, Settled) and not answer.already
    ]


EVERYWHERE = (*INBOXES, *ABSENT)
ALL_OPEN = Register(tuple(InboxSpec(address) for address in EVERYWHERE if ":" not in address))
CLAIMS: tuple[Operation, ...] = tuple(Claim((inbox,), EVERYTHING) for inbox in EVERYWHERE)


def drain(store: Store, clock: ManualClock, meanwhile: Callable[[], None] | None = None) -> None:
    """Let time pass and do all work there is, until nothing is claimed any more.

    ``meanwhile`` is called once, when the first messages are claimed and not yet settled.
    """
    paused = (Control(inbox, Switch.RESUME, key) for inbox, key in store.paused())
    first: tuple[Operation, ...] = (ALL_OPEN, *paused, Tick(EVERYTHING))
    for _ in range(ROUNDS):
        clock.advance(HOUR)
        answers = transact(store, [*first, *CLAIMS])
        first = ()
        done = [
            delivery for answer in answers if isinstance(answer, Claimed) for delivery in answer.deliveries
        ]
        if not done and not any(isinstance(answer, PostroomError) for answer in answers[-len(CLAIMS) :]):
            return
        if meanwhile is not None:
            meanwhile()
            meanwhile = None
        ledger = {
            owner: {record.key: json.loads(record.value) for record in store.records(owner, EFFECT)}
            for owner in {delivery.recipient for delivery in done}
        }
        transact(store, [_ack(delivery, ledger) for delivery in done])


def _ack(delivery: Delivery, ledger: dict[str, dict[str, int]]) -> Settle:
    key = id_text(delivery.id)
    times = ledger[delivery.recipient].get(key, 0) + 1
    write = Write(delivery.recipient, EFFECT, key, str(times).encode())
    return Settle(delivery.id, delivery.fence, Verdict.ACK, seq=delivery.seq, writes=[write])
