"""The row of mutants: each deliberate break of the code is caught by the test that is named for it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from .mutants.catalogue import MUTANTS, NOT_HERE
from .mutants.mutant import FAILED, PASSED, ROOT, Copy, Mutant, copied
from .outcome import Outcome, Tell

TABLE = ROOT / "tests" / "proof" / "MUTANTS.md"


def run(amount: int, seed: int, tell: Tell) -> Outcome:
    """Try ``amount`` mutants, beginning with number ``seed`` of the list; all of them write the table.

    A mutant counts as caught if its test passes on the copy as it is and fails, by a failed test and
    not by breaking down, on the copy with the break.
    """
    start = seed % len(MUTANTS)
    chosen = [*MUTANTS[start:], *MUTANTS[:start]][:amount]
    outcome = Outcome(len(chosen), notes=[NOT_HERE])
    seconds: dict[str, float] = {}
    with copied() as copy:
        whole = copy.test(sorted({mutant.caught_by for mutant in chosen}))
        if whole.code != PASSED:
            outcome.wrong(f"the tests do not pass on unbroken code: {whole.said[-300:]}")
        for n, mutant in enumerate(chosen):
            started = time.monotonic()
            complaint = escaped(copy, mutant)
            seconds[mutant.name] = time.monotonic() - started
            if complaint is not None:
                outcome.wrong(complaint)
            tell(n + 1)
    outcome.figures = {"caught_mutants": float(len(chosen) - outcome.other)}
    if len(chosen) == len(MUTANTS) and outcome.clean:
        TABLE.write_text(table(MUTANTS, seconds))
    return outcome


def escaped(copy: Copy, mutant: Mutant) -> str | None:
    """Why this mutant does not count as caught; None if it does."""
    try:
        with copy.broken(mutant):
            verdict = copy.test([mutant.caught_by])
    except ValueError as error:
        return str(error)
    if verdict.code == FAILED:
        return None
    word = "survived" if verdict.code == PASSED else f"ended the tests with {verdict.code}"
    return f"{mutant.name} ({mutant.file}) {word}: {mutant.caught_by}"


def table(mutants: Sequence[Mutant], seconds: dict[str, float]) -> str:
    """The table for people, in Markdown."""
    lines = [
        "# Mutants",
        "",
        f"{len(mutants)} deliberate breaks of the production code. Each is made in a copy, alone, and the",
        "test that is named beside it fails then. Written by `make proof`; the list is",
        "`tests/proof/prove/mutants/`.",
        "",
        f"Not here: {NOT_HERE}.",
        "",
        "| mutant | file | what it breaks | caught by | seconds |",
        "|---|---|---|---|--:|",
    ]
    lines += [
        f"| {m.name} | `{m.file}` | {m.breaks} | `{m.caught_by}` | {seconds[m.name]:.1f} |" for m in mutants
    ]
    return "\n".join(lines) + "\n"
