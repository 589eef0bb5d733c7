"""The rules speak in named statements; every engine has to know each of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from postroom.store import rules
from postroom.store.postgres import statements as postgres
from postroom.store.rules.statements import named
from postroom.store.sqlite import queries as sqlite

SPOKEN = re.compile(r"""(?:\b(?:row|rows|each|run|run_many|run_all|run_last)\(\s*|query = )"([a-z_]+)\"""")


def test_both_engines_have_the_same_statements() -> None:
    forms = {name for name in postgres.QUERIES if name.endswith(("_alone", "_or_fail"))}
    assert {re.sub("(_or_fail)?(_alone)?$", "", name) for name in forms} <= sqlite.QUERIES.keys()
    assert postgres.QUERIES.keys() - forms - {"ids_known"} == sqlite.QUERIES.keys()


def test_what_the_rules_say_is_known() -> None:
    texts = [path.read_text() for path in Path(rules.__path__[0]).glob("*.py")]
    spoken = {name for text in texts for name in SPOKEN.findall(text)}
    assert len(spoken) > 60
    assert spoken <= sqlite.QUERIES.keys()


def test_a_name_that_is_there_twice_is_an_error(tmp_path: Path) -> None:
    twice = tmp_path / "queries.sql"
    twice.write_text("-- name: one\nSELECT 1;\n\n-- name: one\nSELECT 2;\n")
    with pytest.raises(ValueError, match="one is there twice"):
        named(twice)
