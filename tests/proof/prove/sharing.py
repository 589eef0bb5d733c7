"""What shares a store's file with postroom: second dispatchers, forks, strangers, backups.

A unit is one episode: a herd under load on a file of its own, something done to it, and then everything
has to be in its place.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

from accounts import accounts
from children import COMMAND_LINE, Child
from crew import LEDGER, POOL, job_id
from msgspec import Struct

from postroom.actors.dispatcher import NAME as DISPATCHER
from postroom.store.errors import PostroomError
from postroom.store.records import InboxSpec, NewMessage, Register, Send
from postroom.store.transact import transact, transact_one

from .herd import SESSION_SECONDS, Herd
from .outcome import Outcome, Tell
from .restoring import GivenUp, restore_twice

STRANGERS = Path(__file__).parents[2] / "support" / "strangers.py"
BACKLOG = 1_000
TAKE_OVER_SECONDS = 12.0
"""Until another process is the dispatcher: it looks every two seconds, the session lapses after three."""

WAL_BOUND = (64 << 20) + (4 << 20)
"""What is left of the write-ahead log once nobody pins it: the limit it is cut to, and what came since."""

MEGABYTE = 1 << 20
PINNED_SECONDS = 3.0


class Ground(Struct):
    """Where an episode takes place."""

    herd: Herd
    folder: Path
    rng: Random
    outcome: Outcome

    def stranger(self, role: str) -> Child:
        return Child(role, self.herd.url, program=(str(STRANGERS),))

    def wait_for(self, true: Callable[[], bool], seconds: float, what: str) -> bool:
        """Listen until something is true; else it is a fault."""
        left = seconds
        while not true():
            if left <= 0:
                self.outcome.wrong(f"not within {seconds} s: {what}")
                return False
            self.herd.listen(0.05)
            left -= 0.05
        return True

    def figure(self, name: str, value: float) -> None:
        """Keep the largest of a figure."""
        self.outcome.figures[name] = max(self.outcome.figures.get(name, 0.0), value)


def two_dispatchers(ground: Ground) -> None:
    """The active one is killed, then the next one sleeps past its session: due mail flows all the same."""
    herd = ground.herd
    herd.prepare()
    for blow, n in ((_kill, 1), (_sleep, 2)):
        active, term = _dispatcher(herd)
        if active is None:
            ground.outcome.wrong("no dispatcher is active")
            continue
        blow(herd, active)
        later = job_id(10**9 + n)
        message = NewMessage(
            later, LEDGER, "sender/main", "Done", b'{"n":%d}' % (10**9 + n), delay_us=300_000
        )
        transact_one(herd.store, Send(message))
        ground.wait_for(
            partial(_moved, herd, active, term), TAKE_OVER_SECONDS, "another process is the dispatcher"
        )
        ground.wait_for(partial(_done, herd, later), TAKE_OVER_SECONDS, "due mail was handled")
        _, taken = _dispatcher(herd)
        while herd.asleep or herd.rejoining:
            herd.listen(0.1)
        herd.listen(1.0)
        if _dispatcher(herd)[1] != taken:
            ground.outcome.wrong("the dispatcher moved back although nobody was struck")
    ground.figure("dispatcher_terms", float(_dispatcher(herd)[1]))
    herd.wind_up()


def _kill(herd: Herd, name: str) -> None:
    herd.bury(name)
    herd.spawn(name)


def _sleep(herd: Herd, name: str) -> None:
    """Past its session. With the write lock nobody could take over, so not then."""
    while True:
        herd.put_to_sleep(name, SESSION_SECONDS + 4.0)
        if herd.lock_is_free():
            return
        herd.asleep.pop(name)
        herd.children[name].go_on()


def _dispatcher(herd: Herd) -> tuple[str | None, int]:
    """Which node is the dispatcher, and its term."""
    names = {session.id: session.name for session in herd.store.sessions() if session.live}
    for held in herd.store.activations():
        if held.name == DISPATCHER:
            return names.get(held.session), held.term
    return None, 0


def _moved(herd: Herd, active: str, term: int) -> bool:
    """A node killed and started again may well be the next dispatcher; the term tells."""
    now, newer = _dispatcher(herd)
    return now is not None and newer > term


def _done(herd: Herd, id: bytes) -> bool:
    message = herd.store.message(id)
    return message is not None and message.state == "done"


def fork(ground: Ground) -> None:
    """Whoever forks with a store open is told so in the child, and goes on in the parent."""
    herd = ground.herd
    transact_one(herd.store, Register(tuple(map(InboxSpec, (POOL, LEDGER, "worker/p0")))))
    herd.store.close()
    sure: list[int] = []
    for role in ("reopener", "mid_turn", "spawner"):
        with ground.stranger(role) as child:
            if child.ended():
                ground.outcome.wrong(f"{role} ended with {child.process.returncode}")
            for told in child.events():
                sure += told.get("accepted", [])
                if role == "mid_turn" and told["event"] == "worked":
                    ground.outcome.wrong("a handle of before a fork committed in the child")
    herd.reopen()
    missing = [n for n in sure if herd.store.message(job_id(n)) is None]
    ground.outcome.lost += len(missing)
    if missing:
        ground.outcome.breaches.append(f"accepted around a fork and lost: {missing}")
    herd.faults += herd.store.verify(deep=True).faults
    herd.work_off()


def foreign_writer(ground: Ground, seconds: float) -> None:
    """A stranger holds the write lock: users wait, or are told within their deadline, and all goes on."""
    herd = ground.herd
    herd.prepare()
    (before,) = herd.store.counts(LEDGER)
    with ground.stranger("holder") as stranger:
        stranger.expect("holding")
        body = '{"hard":false,"n":1000000001}'
        words = ("send", "--type", "Job", "--body", body, "--id", _uuid(10**9 + 1), POOL)
        sending = [Child(*words, "--store", herd.url, program=COMMAND_LINE, errors=True)]
        herd.listen(seconds)
        stranger.order()
        stranger.ended()
    for child in sending:
        code, said = child.ended(within=30), child.text()
        if seconds < 4 and code:
            ground.outcome.wrong(
                f"send ended with {code} although the lock was held for {seconds} s only: {said}"
            )
        if code not in (0, 5) or (code == 5 and not _is_plain(said)):
            ground.outcome.wrong(f"send ended with {code}: {said!r}")
        child.close()
    ground.wait_for(
        lambda: herd.store.counts(LEDGER)[0].done > before.done + 100,
        20,
        "work goes on after the lock is free",
    )
    herd.wind_up()


def _is_plain(said: str) -> bool:
    """One line of ours, and nothing of SQLite's."""
    return said.count("\n") == 1 and said.startswith("postroom: the store is busy") and "locked" not in said


def _uuid(n: int) -> str:
    raw = job_id(n).hex()
    return "-".join((raw[:8], raw[8:12], raw[12:16], raw[16:20], raw[20:]))


def meddler(ground: Ground) -> None:
    """A stranger writes into the tables and checkpoints in every way, for two seconds."""
    herd = ground.herd
    herd.prepare()
    with ground.stranger("meddler") as stranger:
        herd.listen(2.0)
        stranger.order()
        rounds = stranger.expect("meddled")["rounds"]
    if not rounds:
        ground.outcome.wrong("the meddler had no turn")
    ground.figure("meddled_rounds", rounds)
    herd.wind_up()


def pinned_reader(ground: Ground, seconds: float = PINNED_SECONDS) -> None:
    """A stranger reads for long: the log grows by what is written meanwhile, and is cut again afterwards."""
    herd = ground.herd
    herd.prepare()
    transact_one(herd.store, Register((InboxSpec("bulk/main"),)))
    before = herd.wal_bytes()
    body = b'"' + b"x" * 500_000 + b'"'
    with ground.stranger("pinner") as stranger:
        stranger.expect("pinned")
        for n in range(20):
            bulk = [
                Send(NewMessage(job_id(10**9 + 10 * n + k), "bulk/main", "sender/main", "Bulk", body))
                for k in range(10)
            ]
            transact(herd.store, bulk, deadline_seconds=20)
            herd.listen(seconds / 20)
        ground.figure("wal_pinned_mib", round(herd.wal_bytes() / MEGABYTE, 1))
        if herd.wal_bytes() <= WAL_BOUND:
            ground.outcome.wrong("the log was not pinned: this proves nothing")
        stranger.order()
        stranger.ended()
    herd.empty("bulk/main")
    herd.listen(2.0)
    ground.wait_for(lambda: herd.wal_bytes() <= WAL_BOUND, 20, f"the log is cut to {WAL_BOUND >> 20} MiB")
    ground.figure("wal_after_mib", round(herd.wal_bytes() / MEGABYTE, 1))
    ground.figure("wal_before_mib", round(before / MEGABYTE, 1))
    herd.wind_up()


def backups(ground: Ground) -> None:
    """Backups under load, and two restores."""
    restore_twice(ground.herd, ground.folder, ground.rng, ground.outcome)


EPISODES: tuple[tuple[str, Callable[[Ground], None]], ...] = (
    ("two dispatchers", two_dispatchers),
    ("fork", fork),
    ("foreign writer, 3 s", partial(foreign_writer, seconds=3.0)),
    ("pinned reader", pinned_reader),
    ("restore twice", backups),
    ("meddler", meddler),
    ("foreign writer, 8 s", partial(foreign_writer, seconds=8.0)),
)


def run(amount: int, seed: int, tell: Tell, *, pinned: float = PINNED_SECONDS) -> Outcome:
    """``amount`` episodes, each kind in turn, beginning with the one that the seed says.

    ``pinned`` is how long a stranger reads; a soak has time for a minute.
    """
    outcome = Outcome(0)
    for n in range(amount):
        name, episode = EPISODES[(seed + n) % len(EPISODES)]
        if episode is pinned_reader:
            episode = partial(pinned_reader, seconds=pinned)
        play(name, episode, Random(seed * 1_000_003 + n), outcome)
        outcome.amount += 1
        tell(outcome.amount)
    return outcome


def play(name: str, episode: Callable[[Ground], None], rng: Random, outcome: Outcome) -> None:
    """One episode from its folder to its accounts.

    Of one that cannot go on no accounts are taken: it tells why, and what was wrong until then.
    """
    with tempfile.TemporaryDirectory(prefix="sharing-") as folder:
        herd = Herd(Path(folder), 2, rng, backlog=BACKLOG)
        try:
            episode(Ground(herd, Path(folder), rng, outcome))
            found = accounts(herd.store, herd.sent)
        except (GivenUp, PostroomError) as error:
            for fault in (*herd.faults, f"given up: {error}"):
                outcome.wrong(f"{name}: {fault}")
            return
        finally:
            herd.close()
        outcome.messages += found.accepted
        outcome.lost += found.lost
        outcome.duplicated += found.duplicated
        outcome.stuck += found.stuck
        wrong = [f"{word}: {n}" for word in ("lost", "duplicated", "stuck") if (n := getattr(found, word))]
        outcome.breaches += [f"{name}: {what}" for what in wrong]
        dead = [f"{found.dead} dead: {'; '.join(found.lives)}"] if found.dead else []
        for fault in (*herd.faults, *found.faults, *dead):
            outcome.wrong(f"{name}: {fault}")
