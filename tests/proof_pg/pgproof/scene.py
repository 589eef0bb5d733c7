"""A store on a server with those who use it: nodes that run actors, and one who sends them jobs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from random import Random
from subprocess import TimeoutExpired
from threading import Event, Thread
from types import TracebackType
from typing import LiteralString
from urllib.parse import urlencode

from accounts import Accounts, accounts, waiting
from chaos_proxy import ChaosProxy, Harm
from children import Child
from crew import LEDGER, PATIENT, POOL, job_id
from postgres_server import PostgresServer
from psycopg import sql

from postroom.store.errors import OutcomeUnknown, PostroomError, StoreUnavailable
from postroom.store.postgres.engine import PostgresStore, open_postgres
from postroom.store.records import InboxSpec, NewMessage, Register, Send
from postroom.store.transact import transact

ROLE = "crew"
NODES = ("a", "b")
"""Where nothing else is said; the first has a worker that jobs may be sent to before it begins."""

BATCH, ENOUGH = 20, 300
SESSION_SECONDS = "10"
PATIENCE_SECONDS = 300.0
GIVING_UP_SECONDS = 5.0
GLANCE_SECONDS = 0.02
GROWTH = 20
"""So many jobs done after an incident show that work goes on."""


class Stuck(AssertionError):
    """What should have gone on by itself did not."""


class Sender(Thread):
    """Sends jobs 1, 2, 3, ... and repeats what nobody knows to have arrived, under the same ids."""

    def __init__(self, url: str) -> None:
        super().__init__(name="sender", daemon=True)  # one that is stuck must not keep its process
        self._url = url
        self._over, self._for_good = Event(), Event()
        self.upto = self.refused = self.unknown = 0
        self.reasons: Counter[str] = Counter()
        self.wrong: list[str] = []

    def run(self) -> None:
        try:
            self._go_on_sending()
        except Exception as error:
            self.wrong.append(f"the sender has ended with {type(error).__name__}: {error}")
            raise

    def _go_on_sending(self) -> None:
        store: PostgresStore | None = None
        doubtful = False
        while (doubtful or not self._over.is_set()) and not self._for_good.is_set():
            try:
                store = store or open_postgres(self._url, create=False)
                if not doubtful and store.counts(POOL)[0].ready >= ENOUGH:
                    self._over.wait(GLANCE_SECONDS)
                    continue
                self._send(store)
                doubtful = False
            except OutcomeUnknown:
                assert store is not None
                store.reopen()
                self.unknown += 1
                doubtful = True
            except StoreUnavailable as error:
                self.refused += 1
                self.reasons[error.code] += 1
                time.sleep(GLANCE_SECONDS)
        if store is not None:
            store.close()

    def _send(self, store: PostgresStore) -> None:
        numbers = range(self.upto + 1, self.upto + 1 + BATCH)
        jobs = [
            NewMessage(
                job_id(n), POOL, "sender/main", "Job", b'{"hard":false,"n":%d}' % n, max_attempts=PATIENT
            )
            for n in numbers
        ]
        answers = transact(store, [Send(job, bounded=False) for job in jobs])
        self.wrong += [str(answer) for answer in answers if isinstance(answer, PostroomError)]
        self.upto = numbers[-1]

    def give_up(self) -> None:
        """End with doubts, if there are any; nobody will count."""
        self._over.set()
        self._for_good.set()
        if self.ident is not None:
            self.join(GIVING_UP_SECONDS)

    def stop(self) -> int:
        """End when all that was sent is known to have arrived; how many jobs that is."""
        self._over.set()
        self.join(PATIENCE_SECONDS)
        if self.is_alive():
            raise Stuck("the sender is not answered any more")
        return self.upto


class Scene:
    """Nodes and a sender on a store of their own, with a role that may not change its schema.

    ``proxied`` has them reach it by a proxy, ``options`` go to the server when the schema is made. What a
    node says goes to a file of its own among the ``logs``, if they are wanted.
    """

    def __init__(
        self,
        server: PostgresServer,
        schema: str,
        rng: Random,
        *,
        proxied: bool = False,
        options: str = "",
        nodes: Sequence[str] = NODES,
        logs: Path | None = None,
    ) -> None:
        self.server, self.schema, self.rng = server, schema, rng
        self._names, self._logs = nodes, logs
        self.told: dict[str, float] = {}
        self.wrong: list[str] = []
        self._stack = ExitStack()
        self.proxy: ChaosProxy | None = None
        making = server.url(schema) + (
            f"&{urlencode({'options': options})}".replace("+", "%20") if options else ""
        )
        open_postgres(making, create=True).close()
        self.nodes: dict[str, Child] = {}
        self.near = open_postgres(server.url(schema), create=False)
        self._stack.callback(self.near.close)
        self.grant()
        transact(self.near, [Register((InboxSpec(f"worker/{nodes[0]}"), InboxSpec(POOL), InboxSpec(LEDGER)))])
        self.url = server.url(schema).replace("postgres@", f"{ROLE}@")
        if proxied:
            self.proxy = self._stack.enter_context(
                ChaosProxy(self.url.partition("&schema")[0], stall_seconds=1.0)
            )
            self.url = self.proxy.url(schema)
        self.sender = Sender(self.url)

    def __enter__(self) -> Scene:
        with self._stack as stack:
            stack.callback(self._end)
            for name in self._names:
                self.begin(name)
            self.sender.start()
            self.goes_on()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _end(self) -> None:
        """Whatever is still there, and whether or not it hears."""
        self.sender.give_up()
        for child in self.nodes.values():
            child.close()

    def begin(self, name: str) -> None:
        """Start a node, in the place of one that is gone."""
        if name in self.nodes:
            self.nodes[name].close()
        log = self._logs / name if self._logs else None
        self.nodes[name] = Child("node", self.url, "--name", name, "--session", SESSION_SECONDS, log=log)

    def admin(self, statement: LiteralString) -> None:
        """One statement as the owner of everything; ``{schema}`` and ``{role}`` are filled in."""
        with self.server.connect() as connection:
            names = {"schema": sql.Identifier(self.schema), "role": sql.Identifier(ROLE)}
            connection.execute(sql.SQL(statement).format(**names))

    def grant(self) -> None:
        """What the role needs to work, and no more."""
        self.admin("GRANT USAGE ON SCHEMA {schema} TO {role}")
        self.admin("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}")
        self.admin("GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role}")

    def done(self) -> int:
        """How many jobs are noted; -1 while nobody can tell."""
        try:
            return self.near.counts(LEDGER)[0].done
        except StoreUnavailable:
            return -1

    def until(self, true: Callable[[], bool], what: str, within: float = PATIENCE_SECONDS) -> float:
        """Wait; how many seconds it took. A node that ends by itself is told, and begun anew.

        Raises ``Stuck``.
        """
        began = time.monotonic()
        while not true():
            if time.monotonic() - began > within:
                raise Stuck(f"not within {within:.0f} s: {what}")
            for name, child in list(self.nodes.items()):
                if child.process.poll() is not None:
                    self.wrong.append(f"node {name} has ended with {child.process.returncode}")
                    self.begin(name)
            time.sleep(GLANCE_SECONDS)
        return time.monotonic() - began

    def goes_on(self) -> float:
        """Wait until jobs are done again; the seconds."""
        began, first = time.monotonic(), -1

        def more() -> bool:
            nonlocal first
            done = self.done()
            if first < 0:
                first = done
            return first >= 0 and done >= first + GROWTH

        self.until(more, "jobs are done again")
        return time.monotonic() - began

    def finish(self) -> Accounts:
        """Let everything be done that was sent, end the nodes in good order, and count."""
        jobs = self.sender.stop()
        if self.proxy is not None:
            self.proxy.everywhere(Harm.CUT)  # what is slow would stay so
        self.until(lambda: self.done() >= 0 and waiting(self.near) == 0, "all is done")
        for name, child in self.nodes.items():
            child.order()
            try:
                child.ended(PATIENCE_SECONDS)
            except TimeoutExpired:
                raise Stuck(f"node {name} does not end") from None
            if child.process.returncode:
                self.wrong.append(f"node {name} has ended with {child.process.returncode} at its order")
        self.wrong += self.sender.wrong
        for code, times in self.sender.reasons.items():
            self.told[f"sends told {code}"] = times
        self.told["sends of unknown outcome"] = self.sender.unknown
        self.told["jobs"] = jobs
        return accounts(self.near, jobs)
