"""Strike processes at random moments under load, many times, and see that nothing is lost or done twice.

    .venv/bin/python tests/soak/kill.py [--kills N] [--seconds S] [--seed N] [--processes N] [--json]

The engine is ``tests/proof/prove/kills.py``, which says who is struck and how. Exits with 1 if
anything is not in its place at the end.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

# As pytest does for the tests; a script has only what is installed.
sys.path += [str(Path(__file__).parents[1] / folder) for folder in ("support", "proof")]

from prove.kills import DELIVERY_SECONDS, NODES, run
from prove.outcome import Outcome

COUNTS = ("amount", "messages", "lost", "duplicated", "stuck")


def report(outcome: Outcome) -> dict[str, float]:
    """What is printed, by name."""
    return {**{name: getattr(outcome, name) for name in COUNTS}, **outcome.figures}


def main() -> int:
    """Soak, print a table or JSON, and tell by the exit code whether all was well."""
    parser = argparse.ArgumentParser(description="SIGKILL, SIGSTOP and SIGTERM at random moments under load")
    parser.add_argument("--kills", type=int, default=100, help="how many strikes")
    parser.add_argument("--seconds", type=float, default=1800.0, help="stop striking after so long")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=NODES, help="how many nodes")
    parser.add_argument("--late", type=float, default=DELIVERY_SECONDS, help="the longest first delivery")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    outcome = run(args.kills, args.seed, _silent, seconds=args.seconds, nodes=args.processes, late=args.late)
    facts = report(outcome)
    if args.json:
        print(json.dumps({**facts, "faults": outcome.breaches, "seed": args.seed}))
    else:
        for name, value in facts.items():
            print(f"{name.replace('_', ' '):<30}{value:>12}")
        for fault in outcome.breaches:
            print(f"FAULT  {fault}")
    return 0 if outcome.clean else 1


def _silent(done: int) -> None:
    """The figures are printed at the end."""


if __name__ == "__main__":
    sys.exit(main())
