"""The row of mutants: each deliberate break of the code is caught by the test that is named for it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from .mutants.catalogue import MUTANTS, NOT_HERE, SPREAD
from .mutants.mutant import FAILED, PASSED, ROOT, Copy, Mutant, copied
from .outcome import Outcome, Tell
from .rows import MUTANTS_OF_A_PART, SEEDS_APART

TABLE = ROOT / "tests" / "proof" / "MUTANTS.md"
EVERY_ONE = f"python tests/proof/run.py part mutants {len(MUTANTS)} 0"
WHOLE = f"the list has {len(MUTANTS)} mutants; all of them are tried by the soak, or by `{EVERY_ONE}`"


def run(amount: int, seed: int, tell: Tell) -> Outcome:
    """Try ``amount`` mutants, one after another in the list; all of them write the table.

    The first part begins with number ``seed``, each other one where the part before it has ended.

    A mutant counts as caught if its test passes on the copy as it is and fails, by a failed test and
    not by breaking down, on the copy with the break.
    """
    chosen = choose(amount, seed)
    outcome = Outcome(len(chosen), notes=[NOT_HERE, WHOLE])
    seconds: dict[str, float] = {}
    with copied() as copy:
        nodes = sorted({mutant.caught_by for mutant in chosen})
        for n in range(0, len(nodes), MUTANTS_OF_A_PART):
            whole = copy.test(nodes[n : n + MUTANTS_OF_A_PART])
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


def choose(amount: int, seed: int) -> list[Mutant]:
    """The mutants of a part, some of every group. Parts of one sitting share none until all were tried."""
    part, first = divmod(seed, SEEDS_APART)
    start = (first + part * MUTANTS_OF_A_PART) % len(SPREAD)
    return [*SPREAD[start:], *SPREAD[:start]][:amount]


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
        "test that is named beside it fails then. The list is `tests/proof/prove/mutants/`. Written by",
        f"`{EVERY_ONE}`.",
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
