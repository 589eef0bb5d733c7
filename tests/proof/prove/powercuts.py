"""The power goes at every moment of a store's life; what is on the disk then has to be right."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

from prove.cuts.images import Disk, Image, Keep
from prove.cuts.judging import Judge
from prove.cuts.protocol import Moment, Recording, Script
from prove.cuts.recording import Linked, Reached, Renamed, Unlinked
from prove.outcome import Outcome, Tell

from postroom.simulation.checkers import Breach

STEPS = 26
IMAGES_OF_A_SCRIPT = 1500
TRIES_OF_NAMES = 4
DEEP_EVERY = 20
BACKUP_EVERY = 10
CONTROL_IMAGES = 10
CONTROL_SCRIPTS = 20
WEAK = ("NORMAL", "OFF")
MEMORY = "/dev/shm"

Slot = tuple[int, Keep]
"""After so many events the power goes, and this is kept of what was not synced."""


def run(amount: int, seed: int, tell: Tell) -> Outcome:
    """Judge so many images of scripts made from the seed, and a few of stores that sync too little."""
    outcome = Outcome(amount)
    began = time.process_time()
    done = number = 0
    while done < amount:
        wanted = min(amount - done, IMAGES_OF_A_SCRIPT)
        done += _judge_script(outcome, seed * 1000 + number, wanted, done, tell)
        number += 1
    spent = time.process_time() - began
    outcome.figures = {"images_per_cpu_second": done / spent, "scripts": float(number)}
    for synchronous in WEAK:
        judged, breaches = control(seed, synchronous)
        outcome.figures[f"control_{synchronous.lower()}_images"] = float(judged)
        outcome.figures[f"control_{synchronous.lower()}_breaches"] = float(breaches)
        if not breaches:
            outcome.wrong(f"a store with synchronous={synchronous} passes: this proof proves nothing")
    outcome.notes.append(
        "images are made on a model of the disk; the shared memory file is lost with the power"
    )
    return outcome


def _judge_script(outcome: Outcome, seed: int, wanted: int, before: int, tell: Tell) -> int:
    """Judge images of one script; how many."""
    rng = Random(seed)
    done = 0
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        recording = record(Path(folder, "script"), seed)
        judge = Judge(recording, Path(folder, "image"))
        for slot, image, moment in images(recording, slots(recording), wanted, rng):
            where = f"seed {seed}, event {slot[0]}, kept {slot[1].value}"
            deep = done % DEEP_EVERY == 0
            outcome.blame(judge.judge(image, moment, rng, deep=deep), where)
            outcome.messages += judge.messages
            if moment.saved is not None and done % BACKUP_EVERY == 0:
                outcome.blame(judge.judge_backup(moment, rng, deep=deep), f"{where}, from the backup")
            done += 1
            tell(before + done)
    return done


def record(folder: Path, seed: int, *, synchronous: str = "FULL") -> Recording:
    """Play one script in a new directory."""
    folder.mkdir()
    recording = Script(folder, seed, synchronous=synchronous).play(STEPS)
    _check_complete(recording, folder)
    return recording


def _check_complete(recording: Recording, folder: Path) -> None:
    """If everything that was recorded is kept, it must be what is there: nothing went by unseen."""
    disk = Disk()
    for event in recording.events:
        disk.play(event)
    there = {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith("-shm")}
    kept = disk.image(Keep.ALL, Random(0))
    wrong = sorted(name for name in there.keys() | kept.keys() if there.get(name) != kept.get(name))
    assert not wrong, f"seed {recording.seed}: the recording does not tell all of {', '.join(wrong)}"


def slots(recording: Recording) -> list[Slot]:
    """Every moment and way in which the power can go: all ways wherever they differ."""
    found: list[Slot] = []
    disk = Disk()
    for n, event in enumerate(recording.events):
        changed = disk.play(event)
        if not isinstance(event, Reached) and not changed:
            continue
        found.append((n, Keep.NONE))
        if disk.unsynced:
            found += [(n, keep) for keep in (Keep.ALL, Keep.SOME, Keep.TORN)]
            if isinstance(event, Linked | Unlinked | Renamed):
                found += [(n, Keep.SOME)] * TRIES_OF_NAMES
    return found


def promises_in_the_air(recording: Recording) -> list[Slot]:
    """Every moment at which something is promised while not all that was written is synced: the worst."""
    found: list[Slot] = []
    disk = Disk()
    for n, event in enumerate(recording.events):
        disk.play(event)
        if isinstance(event, Reached) and event.moment.told and disk.unsynced:
            found.append((n, Keep.NONE))
    return found


def images(
    recording: Recording, every: list[Slot], wanted: int, rng: Random
) -> Iterator[tuple[Slot, Image, Moment]]:
    """So many images, in order, spread evenly over these slots; each with what was promised by then."""
    chosen = sorted(rng.sample(range(len(every)), min(wanted, len(every))))
    disk, moment, played = Disk(), Moment(), 0
    for n, keep in (every[index] for index in chosen):
        for event in recording.events[played : n + 1]:
            disk.play(event)
            if isinstance(event, Reached):
                moment = event.moment
        played = n + 1
        yield (n, keep), disk.image(keep, rng), moment


def control(seed: int, synchronous: str, scripts: int = CONTROL_SCRIPTS) -> tuple[int, int]:
    """Images judged of stores that sync too little, script after script, and how often that lost mail.

    It ends with the first script whose images show a loss, for there has to be one.
    """
    judged = 0
    for script in range(scripts):
        rng = Random(seed + script)
        found: list[Breach] = []
        with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
            recording = record(Path(folder, "script"), seed + script, synchronous=synchronous)
            judge = Judge(recording, Path(folder, "image"))
            every = promises_in_the_air(recording)
            for _, image, moment in images(recording, every, CONTROL_IMAGES, rng):
                found += judge.judge(image, moment, rng, deep=False)
                judged += 1
        lost = sum(breach.kind == "lost" for breach in found)
        if lost:
            return judged, lost
    return judged, 0
