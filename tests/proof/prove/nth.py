"""Every single thing that is asked of the storage fails, one after another, once or from then on."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

from prove.cuts.failing import Fault
from prove.cuts.trials import Tried, try_fault
from prove.outcome import Outcome, Tell

MEMORY = "/dev/shm"
DEEP_EVERY = 20


def run(amount: int, seed: int, tell: Tell) -> Outcome:
    """Try so many faults on scripts made from the seed, each script at every asking.

    Only a fault that met something counts.
    """
    outcome = Outcome(amount)
    began = time.process_time()
    failed: Counter[str] = Counter()
    done = number = 0
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        place = Path(folder, "store")
        while done < amount:
            script = seed * 1000 + number
            number += 1
            every = faults(_try(place, script, None, outcome, deep=True).asked, script)
            for fault in chosen(every, amount - done, script):
                tried = _try(place, script, fault, outcome, deep=done % DEEP_EVERY == 0)
                done += 1
                if tried.failed is None:
                    outcome.wrong(f"seed {script}, {fault}: it met nothing")
                    outcome.amount -= 1
                    continue
                failed[tried.failed.split()[0]] += 1
                tell(done)
    spent = time.process_time() - began
    outcome.figures = {"faults_per_cpu_second": done / spent, "scripts": float(number)}
    outcome.figures |= {f"failed_{verb}": float(n) for verb, n in sorted(failed.items())}
    return outcome


def faults(asked: int, script: int) -> list[Fault]:
    """One fault for each asking; the ways of failing take turns."""
    rng = Random(script)
    return [
        Fault(n, rng.randrange(6), lasting=rng.random() < 0.4, done=rng.random() < 0.3) for n in range(asked)
    ]


def chosen(every: list[Fault], wanted: int, script: int) -> list[Fault]:
    """All of them; or, where fewer are wanted, some from all over the script."""
    if wanted >= len(every):
        return every
    return sorted(Random(script).sample(every, wanted), key=lambda fault: fault.nth)


def _try(place: Path, script: int, fault: Fault | None, outcome: Outcome, *, deep: bool) -> Tried:
    try:
        tried = try_fault(place, script, fault, deep=deep)
    finally:
        shutil.rmtree(place)
    outcome.messages += tried.messages
    outcome.blame(tried.breaches, f"seed {script}, {fault}, {tried.failed}")
    return tried
