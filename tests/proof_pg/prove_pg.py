"""Break a PostgreSQL server under postroom, its links and its users; count what was lost, in one table.

    .venv/bin/python tests/proof_pg/prove_pg.py               # about a quarter of an hour
    .venv/bin/python tests/proof_pg/prove_pg.py --rounds 30   # a soak: the same again, from other seeds
    .venv/bin/python tests/proof_pg/prove_pg.py --only stop --amount 100

Exits with 1 if anything was lost, done twice or left over, or an amount was not reached; 130 if it was
interrupted. What the processes say goes to `.proof/pg.log`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from random import Random

import msgspec

# A script has only what is installed; pytest adds the same folders for the tests.
sys.path.extend((str(Path(__file__).parent), str(Path(__file__).parents[1] / "support")))

from chaos_proxy import Harm
from pgproof import table
from pgproof.exchanges import prove_exchanges
from pgproof.incidents import INCIDENTS
from pgproof.proving import prepare, prove
from postgres_server import PostgresServer

HERE = Path(__file__).parent
LOG = Path(".proof/pg.log")
SEEDS_APART = 1_000_003
SHOWN = 5
EXCHANGES = "exchanges"
SETTINGS = {"max_connections": "60", "fsync": "on"}


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Break a PostgreSQL server under postroom, and count.")
    names = [*(incident.name for incident in INCIDENTS), EXCHANGES]
    parser.add_argument("--only", action="append", choices=names, metavar="INCIDENT", help=", ".join(names))
    parser.add_argument("--amount", type=int, help="of each kind, in place of its own amount")
    parser.add_argument("--rounds", type=int, default=1, help="do it all so many times")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--out", type=Path, help="write the document to this file")
    parser.add_argument("--place", default="/tmp", help="a folder on the disk that the server is to use")
    return parser.parse_args()


def everything(args: argparse.Namespace) -> tuple[list[table.Row], str]:
    """All rows of all rounds, and what the server was."""
    chosen = [one for one in INCIDENTS if not args.only or one.name in args.only]
    rows: list[table.Row] = []
    began = time.monotonic()

    def tell(what: str) -> None:
        print(f"{time.monotonic() - began:5.0f} s  {what}", file=said, flush=True)

    said = os.fdopen(os.dup(2), "w")
    LOG.parent.mkdir(exist_ok=True)
    with LOG.open("ab") as log:
        os.dup2(log.fileno(), 2)

    def keep(row: table.Row) -> None:
        rows.append(row)
        tell("  ".join(row.cells()))
        for wrong in row.wrong[:SHOWN]:
            tell(f"WRONG  {wrong}")

    what = ""
    for number in range(args.rounds):
        for n, incident in enumerate(chosen):
            with PostgresServer(fsync=True, settings=SETTINGS, place=args.place) as server:
                what = prepare(server)
                rng = Random(args.seed + (number * len(INCIDENTS) + n) * SEEDS_APART)
                keep(prove(server, incident, args.amount or incident.amount, rng, tell))
        if not args.only or EXCHANGES in args.only:
            with PostgresServer(fsync=True, settings=SETTINGS, place=args.place) as server:
                what = prepare(server)
                for harm in Harm:
                    keep(prove_exchanges(server, harm, args.seed + number, tell))
    return rows, what


def main() -> int:
    """Do what the command line asks for."""
    args = arguments()
    began = time.monotonic()
    rows, server = everything(args)
    under = table.conditions(server, args.seed, args.rounds, time.monotonic() - began)
    whole = not args.only and not args.amount
    out = args.out or (HERE / "RESULTS.md" if whole else None)
    if out is not None:
        out.write_text(table.document(rows, under))
    if args.json:
        print(msgspec.json.encode({"rows": rows, "conditions": under}).decode())
    else:
        print("\n".join(table.lines(rows)))
    return 0 if all(row.clean and row.amount >= row.wanted for row in rows) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
