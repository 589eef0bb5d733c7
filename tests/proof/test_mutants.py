"""The list of mutants fits the code and the tests; a share of it is tried."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest
from prove import mutants_row
from prove.mutants.catalogue import BY_GROUP, MUTANTS
from prove.mutants.mutant import ROOT, Copy, Mutant, copied
from prove.parts import parts
from prove.rows import row_named

by_name = pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)


def test_there_are_at_least_forty_and_each_has_a_name_of_its_own() -> None:
    assert len(MUTANTS) >= 40
    assert max(Counter(mutant.name for mutant in MUTANTS).values()) == 1


def test_each_fits_the_code_at_exactly_one_place() -> None:
    texts = {mutant.file: (ROOT / "src" / "postroom" / mutant.file).read_text() for mutant in MUTANTS}
    misfits = [mutant.name for mutant in MUTANTS if texts[mutant.file].count(mutant.old) != 1]
    assert misfits == []


def test_the_broken_code_is_still_python() -> None:
    for mutant in MUTANTS:
        if mutant.file.endswith(".py"):
            text = (ROOT / "src" / "postroom" / mutant.file).read_text()
            ast.parse(text.replace(mutant.old, mutant.new))


def test_each_is_caught_by_a_test_that_there_is() -> None:
    for mutant in MUTANTS:
        file, _, name = mutant.caught_by.partition("::")
        text = (ROOT / "tests" / file).read_text()
        assert f"def {name.partition('[')[0]}(" in text, mutant


def test_the_table_names_each() -> None:
    text = mutants_row.TABLE.read_text()
    assert [mutant.name for mutant in MUTANTS if f"| {mutant.name} |" not in text] == []


def test_the_parts_of_a_soak_try_each_mutant_once() -> None:
    row = row_named("mutants")
    for seed in (1, 17):
        tried = [
            one.name
            for part in parts(row, row.soak, seed)
            for one in mutants_row.choose(part.amount, part.seed)
        ]
        assert sorted(tried) == sorted(mutant.name for mutant in MUTANTS)


def test_the_proof_tries_some_of_every_group() -> None:
    row = row_named("mutants")
    tried = {
        one.name for part in parts(row, row.proof, 1) for one in mutants_row.choose(part.amount, part.seed)
    }
    assert len(tried) == row.proof
    for group, mutants in BY_GROUP.items():
        assert tried & {mutant.name for mutant in mutants}, group


def test_two_mutants_are_caught() -> None:
    outcome = mutants_row.run(2, 22, lambda done: None)
    assert outcome.breaches == []
    assert outcome.figures == {"caught_mutants": 2.0}


def test_a_break_that_no_test_minds_is_told(tmp_path: Path) -> None:
    harmless = Mutant("harmless", "store/backoff.py", "JITTER = 0.3\n", "JITTER = 0.3  # so\n", "nothing",
                      "mailbox/test_ids.py::test_the_same_seed_makes_the_same_ids")  # fmt: skip
    with copied() as copy:
        assert mutants_row.escaped(copy, harmless) is not None
        absent = harmless._replace(old="nowhere in this file")
        assert mutants_row.escaped(copy, absent) is not None
        assert Copy(copy.folder).place(harmless).read_text().count("JITTER = 0.3\n") == 1
