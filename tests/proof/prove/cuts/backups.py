"""Backups alone: one is made, the power goes at once, and it is put in the store's place."""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random

from prove.cuts.images import Disk, Keep
from prove.cuts.judging import Judge
from prove.cuts.protocol import BACKUP, Moment, Recording, Script
from prove.cuts.recording import Linked, Reached, Renamed, Unlinked
from prove.outcome import Outcome, Tell

MEMORY = "/dev/shm"
STEPS = 12


def run(amount: int, seed: int, tell: Tell) -> Outcome:
    """Cut the power off right after so many backups, in all ways of keeping what was not synced."""
    outcome = Outcome(amount)
    done = number = 0
    while done < amount:
        done += _cut_script(outcome, seed * 1000 + number, amount - done)
        number += 1
        tell(done)
    return outcome


def _cut_script(outcome: Outcome, seed: int, wanted: int) -> int:
    rng, disk, done = Random(seed), Disk(), 0
    saved = None
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        place = Path(folder, "script")
        place.mkdir()
        recording = Script(place, seed).play(STEPS)
        _check_there(outcome, recording, rng)
        judge = Judge(recording, Path(folder, "image"))
        for event in recording.events:
            disk.play(event)
            if not isinstance(event, Reached):
                continue
            moment: Moment = event.moment
            if moment.saved is not None and moment.saved != saved and done < wanted:
                for keep in Keep:
                    judge.put(disk.image(keep, rng))
                    found = judge.judge_backup(moment, rng, deep=True)
                    outcome.blame(found, f"seed {seed}, backup after {moment.told} facts, kept {keep.value}")
                    outcome.messages += judge.messages
                done += 1
            saved = moment.saved
    return done


def _check_there(outcome: Outcome, recording: Recording, rng: Random) -> None:
    """Whenever names change and the power goes, a backup that nobody has thrown away is still there."""
    disk, moment = Disk(), Moment()
    for n, event in enumerate(recording.events):
        disk.play(event)
        if isinstance(event, Reached):
            moment = event.moment
        elif isinstance(event, Linked | Unlinked | Renamed) and moment.saved is not None:
            for keep in Keep:
                if BACKUP not in disk.image(keep, rng):
                    outcome.wrong(f"seed {recording.seed}, event {n}, kept {keep.value}: no backup is there")
