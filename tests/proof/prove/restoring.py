"""Backups taken under load, and restored twice: leases of before are void, mail of before is there once."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

from children import COMMAND_LINE, Child
from crew import LEDGER, PULL, job_id
from msgspec import Struct

from postroom.store.records import Control, InboxSpec, NewMessage, Register, Send, Switch
from postroom.store.transact import transact, transact_one
from postroom.store.urls import open_file_store

from .herd import Herd
from .outcome import Outcome

BACKUP_SECONDS = 15.0
"""A backup that has not ended by then, of a few megabytes under load, does not end."""

BULK, BULK_MESSAGES, BULK_BYTES = "bulk/main", 200, 50_000
"""Mail that lies there, so that a backup has more to copy than it can between two commits."""

REFUSED, LOST = 1, 3
"""Exit codes: for a message that is not known, and for a lease that was lost."""


class GivenUp(Exception):
    """An episode cannot go on; what it leaves then says nothing."""


class Backup(Struct):
    """A copy, and the jobs that were accepted before it was begun: 1 to ``sent``."""

    path: Path
    sent: int


class Lease(Struct):
    """What ``postroom poll`` gave, and the job that it is."""

    id: str
    fence: int
    n: int


def command(herd: Herd, *words: str, within: float = 60.0) -> tuple[int, str]:
    """The exit code of a postroom command and what it wrote; the herd is listened to meanwhile."""
    with Child(*words, "--store", herd.url, "--json", program=COMMAND_LINE) as child:
        left = within
        while child.process.poll() is None and left > 0:
            herd.listen(0.05)
            left -= 0.05
        code = child.process.poll()
        return (-1 if code is None else code), child.text()


def fill(herd: Herd) -> None:
    """Put the bulk there."""
    transact_one(herd.store, Register((InboxSpec(BULK),)))
    body = b'"' + b"x" * BULK_BYTES + b'"'
    sends = [
        Send(NewMessage(job_id(10**9 + n), BULK, "sender/main", "Bulk", body)) for n in range(BULK_MESSAGES)
    ]
    transact(herd.store, sends)


def back_up(herd: Herd, folder: Path, number: int) -> Backup:
    """One backup under load. Raises ``GivenUp``."""
    made = Backup(folder / f"backup-{number}.db", herd.sent)
    code, said = command(herd, "backup", str(made.path), within=BACKUP_SECONDS)
    if code:
        raise GivenUp(
            f"a backup under load ended with {code} within {BACKUP_SECONDS} s (-1: not at all): {said}"
        )
    return made


def lease(herd: Herd) -> Lease:
    """Take a message as a puller does, for a minute. Raises ``GivenUp``."""
    code, said = command(herd, "poll", PULL, "--wait", "5", "--lease", "60")
    if code:
        raise GivenUp(f"poll ended with {code}: {said}")
    (message,) = json.loads(said)["messages"]
    return Lease(message["id"], message["fence"], message["body"]["n"])


def must_be_lost(herd: Herd, held: Lease, backup: Backup, outcome: Outcome, when: str) -> None:
    """An ack under a lease of before is refused: the lease is lost, where the message is known at all."""
    code, said = command(herd, "ack", held.id, "--fence", str(held.fence))
    if code == 0:
        outcome.double_leases += 1
        outcome.breaches.append(f"{when}: an ack under a lease of before it was accepted: {said}")
    elif code != LOST and not (code == REFUSED and held.n > backup.sent and "unknown_message" in said):
        outcome.wrong(f"{when}: an ack under a lease of before it ended with {code}: {said}")


def restore(herd: Herd, backup: Backup, epoch: int, outcome: Outcome) -> int:
    """Put a backup in the place of the store, which nobody uses; answers the new epoch.

    Raises ``GivenUp``: a store that was not restored has its leases and its mail of before.
    """
    herd.store.close()
    code, said = command_alone(herd.url, "restore", str(backup.path), "--force")
    if code:
        raise GivenUp(f"restore ended with {code}: {said}")
    herd.store = open_file_store(herd.url, create=False)
    now = int(json.loads(said)["epoch"])
    if now <= epoch:
        outcome.wrong(f"a restore went from epoch {epoch} to {now}")
    missing = [n for n in range(1, backup.sent + 1) if herd.store.message(job_id(n)) is None]
    if missing:
        outcome.lost += len(missing)
        outcome.breaches.append(f"{len(missing)} jobs accepted before the backup are not in it")
    herd.faults += [f"restored: {fault}" for fault in herd.store.verify(deep=True).faults]
    herd.terms.clear()
    return now


def command_alone(url: str, *words: str) -> tuple[int, str]:
    """The same while there is no herd."""
    with Child(*words, "--store", url, "--json", program=COMMAND_LINE) as child:
        code = child.ended(within=60)
        return code, child.text()


def stop_all(herd: Herd, rng: Random) -> None:
    """End everybody, by kill or in good order as it comes."""
    for name in list(herd.children):
        if rng.random() < 0.5:
            herd.bury(name)
        else:
            herd.end(name)


def restore_twice(herd: Herd, folder: Path, rng: Random, outcome: Outcome) -> None:
    """Load, backups, restore, a little work, restore again, work to the end."""
    fill(herd)
    herd.prepare()
    before = lease(herd)
    backups: list[Backup] = []
    for number in range(4):
        herd.listen(rng.uniform(0.1, 0.3))
        backups.append(back_up(herd, folder, number))
    after = lease(herd)
    stop_all(herd, rng)
    first = rng.choice(backups)
    epoch = restore(herd, first, 0, outcome)
    for held in (before, after):
        must_be_lost(herd, held, first, outcome, "after the first restore")
    second_life = lease(herd)
    second = rng.choice([backup for backup in backups if backup.sent >= first.sent])
    restore(herd, second, epoch, outcome)
    third_life = lease(herd)
    for held in (before, after, second_life):
        must_be_lost(herd, held, second, outcome, "after the second restore")
    _settle(herd, third_life, json.dumps({"to": LEDGER, "type": "Done", "body": {"n": third_life.n}}))
    herd.sent = 0  # the sender does not know what of its mail is in the backup: it repeats all of it
    herd.prepare()
    herd.listen(1.0)
    transact_one(herd.store, Control(BULK, Switch.PURGE))
    herd.wind_up()


def _settle(herd: Herd, held: Lease, sends: str) -> None:
    with Child(
        "ack", held.id, "--fence", str(held.fence), "--send", "-", "--store", herd.url, "--json",
        program=COMMAND_LINE,
    ) as child:  # fmt: skip
        child.say(sends)
        code = child.ended(within=60)
        if code:
            raise GivenUp(f"the ack under the living lease ended with {code}: {child.text()}")
