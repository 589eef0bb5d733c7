"""Break a PostgreSQL server under postroom, its links and its users; count what was lost, in one table.

    .venv/bin/python tests/proof_pg/prove_pg.py               # about ten minutes
    .venv/bin/python tests/proof_pg/prove_pg.py --rounds 30   # a soak: the same again, from other seeds
    .venv/bin/python tests/proof_pg/prove_pg.py --only stop --amount 100
    .venv/bin/python tests/proof_pg/prove_pg.py outage --minutes 10

Exits with 1 if anything was lost, done twice or left over, or an amount was not reached; 130 if it was
interrupted. On a machine that is busy, what was not promised is done less often, and the table says so.
What the processes say goes to `.proof/pg.log`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random

import msgspec

# A script has only what is installed; pytest adds the same folders for the tests.
sys.path.extend((str(Path(__file__).parent), str(Path(__file__).parents[1] / "support")))

from pgproof import table
from pgproof.census import prove_census
from pgproof.exchanges import prove_exchanges
from pgproof.incidents import INCIDENTS, Incident
from pgproof.outage import prove_outage
from pgproof.proving import prepare, prove
from postgres_server import PostgresServer

HERE = Path(__file__).parent
LOG = Path(".proof/pg.log")
SEEDS_APART = 1_000_003
SHOWN = 5
EXCHANGES, CENSUS = "exchanges", "census"
RESTARTS = 8
SETTINGS = {"max_connections": "60", "fsync": "on"}
ROUND_SECONDS = 600.0
"""After which, in each round, only what is promised is done more than once. What is left then takes a few
minutes, so that all of it ends within a quarter of an hour.
"""

Tell = Callable[[str], None]


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Break a PostgreSQL server under postroom, and count.")
    names = [*(incident.name for incident in INCIDENTS), CENSUS, EXCHANGES]
    parser.add_argument("what", nargs="?", choices=("all", "outage"), default="all")
    parser.add_argument("--only", action="append", choices=names, metavar="INCIDENT", help=", ".join(names))
    parser.add_argument("--amount", type=int, help="of each kind, in place of its own amount")
    parser.add_argument("--rounds", type=int, default=1, help="do it all so many times")
    parser.add_argument("--minutes", type=float, default=10.0, help="of an outage (10)")
    parser.add_argument(
        "--seconds", type=float, default=ROUND_SECONDS, help="of a round, then only what is promised (600)"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--out", type=Path, help="write the document to this file")
    parser.add_argument("--place", default="/tmp", help="a folder on the disk that the server is to use")
    return parser.parse_args()


@contextmanager
def telling() -> Generator[Tell]:
    """Say things on standard error, where they are not lost among what all the processes say: that goes to
    a file meanwhile.
    """
    began = time.monotonic()
    LOG.parent.mkdir(exist_ok=True)
    with os.fdopen(os.dup(2), "w") as said, LOG.open("ab") as log:
        os.dup2(log.fileno(), 2)

        def tell(what: str) -> None:
            print(f"{time.monotonic() - began:5.0f} s  {what}", file=said, flush=True)

        try:
            yield tell
        finally:
            os.dup2(said.fileno(), 2)


@contextmanager
def running(place: str) -> Generator[tuple[PostgresServer, str]]:
    """A server to break, and what it is."""
    with PostgresServer(fsync=True, settings=SETTINGS, place=place) as server:
        yield server, prepare(server)


class Round:
    """Every kind once, in its amount; the exchanges beside the others, for they mostly wait."""

    def __init__(self, args: argparse.Namespace, number: int, tell: Tell) -> None:
        self._args, self._number, self._tell = args, number, tell
        self._ends: float = time.monotonic() + args.seconds
        self.rows: list[table.Row] = []
        self.server = ""

    def run(self) -> None:
        """Do all that is asked for."""
        args = self._args
        if args.what == "outage":
            self._do(lambda server, rng: prove_outage(server, args.minutes * 60, rng, self._tell), 0)
            return
        if args.only == [EXCHANGES]:
            self._exchange()
            return
        with ExitStack() as stack:
            beside = None if args.only and EXCHANGES not in args.only else stack.enter_context(self._beside())
            for n, incident in enumerate(INCIDENTS):
                if not args.only or incident.name in args.only:
                    self._do(self._incident(incident), n)
            if not args.only or CENSUS in args.only:
                self._do(lambda s, _: prove_census(s, args.amount or RESTARTS, self._tell), len(INCIDENTS))
            if beside is not None:
                self._hear(beside)

    def _do(self, prove_it: Callable[[PostgresServer, Random], table.Row], n: int) -> None:
        rng = Random(self._args.seed + (self._number * (len(INCIDENTS) + 1) + n) * SEEDS_APART)
        with running(self._args.place) as (server, self.server):
            self._keep(prove_it(server, rng))

    def _incident(self, incident: Incident) -> Callable[[PostgresServer, Random], table.Row]:
        amount = self._args.amount or incident.amount
        return lambda server, rng: prove(server, incident, amount, rng, self._tell, self._over)

    def _over(self) -> bool:
        return time.monotonic() > self._ends

    def _exchange(self) -> None:
        with running(self._args.place) as (server, self.server):
            offset = self._args.seed + self._number
            for row in prove_exchanges(server, offset, self._tell, self._over):
                self._keep(row)

    @contextmanager
    def _beside(self) -> Generator[subprocess.Popen[bytes]]:
        """This script in a process of its own: it breaks what is global here, such as patience."""
        args = self._args
        words = ["--only", EXCHANGES, "--json", "--place", args.place, "--seconds", str(args.seconds)]
        command = [sys.executable, __file__, *words, "--seed", str(args.seed + self._number)]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
            try:
                yield process
            finally:
                process.kill()

    def _hear(self, beside: subprocess.Popen[bytes]) -> None:
        self._tell("what is left of the exchanges")
        said, _ = beside.communicate()
        if not said:
            row = table.Row("a link at each message of send, claim and settle", 1)
            row.wrong = [f"it has ended with {beside.returncode}; see {LOG}"]
            self._keep(row)
            return
        for row in msgspec.json.decode(said, type=Said).rows:
            self._keep(row)

    def _keep(self, row: table.Row) -> None:
        self.rows.append(row)
        self._tell("  ".join(row.cells()))
        for wrong in row.wrong[:SHOWN]:
            self._tell(f"WRONG  {wrong}")


class Said(msgspec.Struct):
    """What `--json` prints."""

    rows: list[table.Row]
    conditions: dict[str, str]


def everything(args: argparse.Namespace) -> tuple[list[table.Row], str]:
    """All rows of all rounds, and what the server was."""
    rows: list[table.Row] = []
    server = ""
    with telling() as tell:
        for number in range(args.rounds):
            one = Round(args, number, tell)
            one.run()
            rows += one.rows
            server = one.server
    return rows, server


def main() -> int:
    """Do what the command line asks for."""
    args = arguments()
    began = time.monotonic()
    rows, server = everything(args)
    under = table.conditions(server, args.seed, args.rounds, time.monotonic() - began)
    whole = args.what == "all" and not args.only and not args.amount
    out = args.out or (HERE / "RESULTS.md" if whole else None)
    if out is not None:
        out.write_text(table.document(rows, under))
    if args.json:
        print(msgspec.json.encode(Said(rows, under)).decode())
    else:
        print("\n".join([*table.lines(rows), "", table.verdict(rows)]))
    return 0 if all(row.good for row in rows) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
