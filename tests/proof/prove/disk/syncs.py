"""The Nth fsync or fdatasync of a real process fails with EIO: whoever waits for it learns that its
outcome is unknown, can ask again under the same id, and nothing is lost or done twice.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from random import Random

from accounts import accounts, waiting
from children import CREW
from crew import LEDGER, POOL, PULL, job_id
from jobs import send_jobs
from waiting_for import until

from postroom.console.exits import DONE, NO_STORE
from postroom.mailbox.desk import Desk
from postroom.mailbox.ids import IdMaker, id_text
from postroom.store.records import InboxSpec, Register
from postroom.store.sqlite.file import FileStore, open_file
from postroom.store.transact import transact_one

from .told import Told

SECONDS = 40.0
SYNCS_OF_A_COMMAND, SYNCS_OF_A_NODE = 5, 40
KINDS = ("send", "ack", "node")

SHIM = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
static int calls;
static int fails(void) {
    const char *at = getenv("SYNC_FAILS_AT");
    if (at && __sync_add_and_fetch(&calls, 1) == atoi(at)) { errno = EIO; return 1; }
    return 0;
}
int fsync(int fd) {
    static int (*real)(int);
    if (!real) real = (int (*)(int)) dlsym(RTLD_NEXT, "fsync");
    return fails() ? -1 : real(fd);
}
int fdatasync(int fd) {
    static int (*real)(int);
    if (!real) real = (int (*)(int)) dlsym(RTLD_NEXT, "fdatasync");
    return fails() ? -1 : real(fd);
}
"""


@cache
def injector() -> str:
    """What can make a sync of another process fail here: ``strace``, ``cc``, or an empty string."""
    if shutil.which("strace"):
        words = [*strace(1), sys.executable, "-c", "import os; os.fsync(1)"]
        if b"Input/output error" in subprocess.run(words, capture_output=True, check=False).stderr:
            return "strace"
    return "cc" if shutil.which("cc") else ""


def strace(nth: int) -> list[str]:
    inject = f"inject=fdatasync,fsync:error=EIO:when={nth}"
    return ["strace", "-f", "-qq", "-o", os.devnull, "-e", "trace=fdatasync,fsync", "-e", inject]


def failing(folder: Path, nth: int, by: str) -> tuple[list[str], dict[str, str]]:
    """The words before a command, and its environment, so that its Nth sync fails."""
    path = os.pathsep.join(filter(None, (str(CREW.parent), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONSAFEPATH": "1", "PYTHONPATH": path}
    if by == "strace":
        return strace(nth), environment
    library = folder / "failing.so"
    if not library.exists():
        source = folder / "failing.c"
        source.write_text(SHIM)
        subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True)
    return [], environment | {"LD_PRELOAD": str(library), "SYNC_FAILS_AT": str(nth)}


class Syncs:
    """One store, and a process on it one of whose syncs fails."""

    def __init__(self, folder: Path, seed: int, by: str) -> None:
        self.told = Told("syncs", seed)
        self.rng = Random(seed)
        self.folder = folder
        self.by = by
        self.path = folder / "room.db"
        self.url = f"sqlite:///{self.path}"
        with self.opened(create=True) as store:
            transact_one(store, Register(tuple(map(InboxSpec, (POOL, PULL, LEDGER, "worker/a")))))

    @contextmanager
    def opened(self, *, create: bool = False) -> Generator[FileStore]:
        store = open_file(self.path, create=create)
        try:
            yield store
        finally:
            store.close()

    def command(self, nth: int, *words: str, said: str = "") -> tuple[int, str]:
        """One command whose Nth sync fails: its exit code, and the code of its error."""
        before, environment = failing(self.folder, nth, self.by)
        line = [*before, sys.executable, "-m", "postroom", *words, "--store", self.url, "--json"]
        found = subprocess.run(
            line, env=environment, input=said.encode(), capture_output=True, timeout=SECONDS, check=False
        )
        self.told.check(b"Traceback" not in found.stderr, f"{words[0]} wrote a traceback: {found.stderr!r}")
        document = json.loads(found.stdout)
        code = str(document.get("error", {}).get("code", ""))
        good = (found.returncode, code) in (
            (DONE, ""), (NO_STORE, "outcome_unknown"), (NO_STORE, "store_unavailable")
        )  # fmt: skip
        self.told.check(good, f"{words[0]} ended with {found.returncode}: {document}")
        self.told.count(f"commands that ended with {code or 'success'}")
        return found.returncode, code

    def send(self) -> None:
        """A send: what was answered is there, and what was not can be asked again."""
        id = job_id(self.told.seed + 1)
        words = ("send", "worker/a", "--type", "Job", "--body", '{"n":1}', "--id", id_text(id))
        status, code = self.command(self.rng.randint(1, SYNCS_OF_A_COMMAND), *words)
        with self.opened() as store:
            kept = store.message(id) is not None
            self.told.check(kept or status != DONE, "an accepted message is lost")
            self.told.check(not kept or code != "store_unavailable", "a message was kept that was refused")
            again = Desk(store, IdMaker(store.clock, self.rng)).send("worker/a", "Job", b'{"n":1}', id=id)
            self.told.check(again.state == ("duplicate" if kept else "accepted"), f"again: {again.state}")
            self.told.check(store.counts("worker/a")[0].ready == 1, "it is not there once")
            self.told.check(store.verify(deep=True).ok, "verify")
        self.told.messages = 1

    def ack(self) -> None:
        """An ack with an output: both are kept, or neither; repeated, they are there once."""
        id = job_id(self.told.seed + 1)
        with self.opened() as store:
            desk = Desk(store, IdMaker(store.clock, self.rng))
            desk.send("worker/a", "Job", b"1", id=id)
            (got,) = desk.poll("worker/a", lease=600)
        words = ("ack", id_text(id), "--fence", str(got.fence), "--send", "-")
        output = json.dumps({"to": LEDGER, "type": "Done", "body": 1})
        status, code = self.command(self.rng.randint(1, SYNCS_OF_A_COMMAND), *words, said=output)
        with self.opened() as store:
            message = store.message(id)
            state = "gone" if message is None else message.state
            self.told.check(state == "done" or (state == "leased" and status != DONE), f"it is {state}")
            self.told.check(
                state == "leased" or code != "store_unavailable", "an ack was kept that was refused"
            )
            desk = Desk(store, IdMaker(store.clock, self.rng))
            again = desk.ack(id, got.fence, sends=[{"to": LEDGER, "type": "Done", "body": 1}])
            self.told.check(again.already == (state == "done"), f"again: {again}")
            self.told.check(store.counts(LEDGER)[0].ready == 1, "its output is not there once")
            self.told.check(store.verify(deep=True).ok, "verify")
        self.told.messages = 2

    def node(self) -> None:
        """Actors: turns whose commit failed are settled once, by the process that goes on."""
        jobs = 100
        before, environment = failing(self.folder, self.rng.randint(1, SYNCS_OF_A_NODE), self.by)
        with self.opened() as store:
            send_jobs(store, range(1, jobs + 1))
            line = [*before, sys.executable, str(CREW), "node", self.url, "--name", "a"]
            said = self.folder / "said"
            with running(line, environment, said) as process:
                try:
                    until(store, lambda: process.poll() is not None or not waiting(store), SECONDS)
                except AssertionError:
                    self.told.check(False, "the node stands still")
                last = said.read_text().splitlines()[-2:]
                self.told.check(process.poll() is None, f"the node has died of it: {last}")
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGTERM)  # strace lets it pass
                self.told.check(process.wait(SECONDS) == 0, f"the node ended with {process.returncode}")
            found = accounts(store, jobs)
            self.told.check(found.good, str(found))
        self.told.messages = found.accepted


@contextmanager
def running(line: list[str], environment: dict[str, str], said: Path) -> Generator[subprocess.Popen[bytes]]:
    """A process that is certainly gone afterwards, with whatever it has started; what it complains of is
    written to ``said``.
    """
    with said.open("wb") as errors, subprocess.Popen(
        line, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors,
        start_new_session=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def run(folder: Path, seed: int) -> Told:
    """One process with a sync that fails, of the kind that the seed says."""
    syncs = Syncs(folder, seed, injector())
    kind = KINDS[syncs.rng.randrange(len(KINDS))]
    {"send": syncs.send, "ack": syncs.ack, "node": syncs.node}[kind]()
    return syncs.told
