"""Races for leases between real processes on one file, with the clocks of this machine.

Each process claims with leases of a few milliseconds, dawdles for about as long, and then acknowledges.
A message has been raced for when it is done; its effect must have been written once.
"""

from __future__ import annotations

import tempfile
import time
from multiprocessing import active_children, get_context
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

from msgspec.msgpack import decode, encode

from postroom.store import records as r
from postroom.store.identity import derived_id, id_text
from postroom.store.sqlite.file import open_file
from postroom.store.transact import transact, transact_one

from .outcome import Outcome

INBOX = "race/real"
PROCESSES = 3
TRIES = 20
PATIENCE_SECONDS = 25.0
PATIENT_FROM, LONG_US = 3, 5_000_000
"""From this attempt on nobody dawdles, and the lease is extended to last: each race has an end."""

Settlement = tuple[bytes, int, str]
"""(message, fence, what was told) of one acknowledgement."""


def racer(path: str, seed: int, count: int, told: Connection) -> None:
    """One process: until all is done, claim, dawdle, acknowledge twice."""
    rng, said = Random(seed), list[Settlement]()
    store = open_file(Path(path), create=False, rng=rng)
    ends = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < ends and sum(c.done for c in store.counts(INBOX)) < count:
        lease = rng.choice((2_000, 4_000, 8_000))
        claimed = transact_one(store, r.Claim((INBOX,), rng.choice((1, 3)), lease_us=lease))
        assert isinstance(claimed, r.Claimed)
        for delivery in claimed.deliveries:
            if delivery.attempt < PATIENT_FROM:
                time.sleep(rng.choice((0.0, lease / 2e6, lease / 1e6, lease / 1e6, lease / 8e5)))
            if delivery.attempt >= PATIENT_FROM or rng.random() < 0.2:
                longer = lease if delivery.attempt < PATIENT_FROM else LONG_US
                transact(store, [r.Extend(delivery.id, delivery.fence, longer)])
            effect = r.Write("ledger", "effect", id_text(delivery.id), b"1")
            ack = r.Settle(delivery.id, delivery.fence, r.Verdict.ACK, writes=[effect])
            for _ in range(2):
                (answer,) = transact(store, [ack])
                word = "already" if isinstance(answer, r.Settled) and answer.already else "done"
                said.append((delivery.id, delivery.fence, getattr(answer, "code", word)))
        if not claimed.deliveries:
            time.sleep(0.005)
    store.close()
    told.send_bytes(encode(said))


def real_races(amount: int, seed: int, outcome: Outcome) -> None:
    """Let processes race for ``amount`` messages, and judge each of them."""
    context = get_context("spawn")
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "races.db"
        ids = [derived_id(bytes(16), f"{seed} {n}".encode()) for n in range(amount)]
        store = open_file(path, create=True)
        transact_one(store, r.Register((r.InboxSpec(INBOX),)))
        for id in ids:
            message = r.NewMessage(id, INBOX, "operator/cli", "job", b"{}", max_attempts=TRIES)
            transact_one(store, r.Send(message))
        store.close()
        said: list[Settlement] = []
        pipes = [context.Pipe(duplex=False) for _ in range(PROCESSES)]
        for n, (_, theirs) in enumerate(pipes):
            args = (str(path), seed * PROCESSES + n, amount, theirs)
            context.Process(target=racer, args=args, daemon=True).start()
            theirs.close()
        for n, (ours, _) in enumerate(pipes):
            try:
                said += decode(ours.recv_bytes(), type=list[Settlement])
            except EOFError:
                outcome.wrong(f"seed {seed}: racer {n} has died")
        for process in active_children():
            process.join(PATIENCE_SECONDS)
        _judge(path, ids, said, outcome, f"seed {seed}")
    outcome.amount += amount
    outcome.messages += amount


def _judge(path: Path, ids: list[bytes], said: list[Settlement], outcome: Outcome, where: str) -> None:
    store = open_file(path, create=False)
    for id in ids:
        found = store.message(id)
        effects = store.records("ledger", "effect", id_text(id))
        winners = [fence for message, fence, word in said if message == id and word == "done"]
        if found is None:
            outcome.lost += 1
            continue
        if found.state != "done":
            outcome.stuck += 1
        if winners != [found.fence] or [e.version for e in effects] != [1]:
            outcome.duplicated += 1
            outcome.wrong(f"{where}: {id_text(id)} {found.state}: won {winners}, effects {effects}")
    verified = store.verify(deep=True)
    if not verified.ok:
        outcome.wrong(f"{where}: {verified.faults}")
    store.close()
