"""A row in a process of its own: there the medium comes before the first store, whoever calls."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
from prove.outcome import Outcome

PROOF = Path(__file__).parents[2]
PROGRAM = """
import sys
from importlib import import_module
import msgspec
outcome = import_module(sys.argv[1]).run(int(sys.argv[2]), int(sys.argv[3]), lambda done: None)
print(msgspec.json.encode(outcome).decode())
"""


def run_apart(module: str, amount: int, seed: int) -> Outcome:
    """What the row of this module finds, in a new process."""
    path = os.pathsep.join([str(PROOF), *filter(None, [os.environ.get("PYTHONPATH")])])
    told = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, module, str(amount), str(seed)],
        env={**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"},
        stdout=subprocess.PIPE,
        check=True,
    )
    return msgspec.json.decode(told.stdout, type=Outcome)
