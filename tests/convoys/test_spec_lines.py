"""The line of every table, key and item of a TOML file is found, whatever is between them."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from postroom.actors.convoys.blanks import Path
from postroom.actors.convoys.spec.lines import lines_of
from postroom.actors.convoys.spec.shapes import items_of, table_of

TEXT = '''\
# [tasks.comment]
[convoy]            # [tasks.also] = not
name = "a # b [c]"

[tasks.build]
command = """
[tasks.fake]
depends_on = ["x"] \\"""
""\\
"""
env = { A = "1", B.C = '[x]' }  # {
depends_on = [ # ]
  "one", "two",

  """three
[""", ["four",
  { five = 5 }],
]
when = 2026-01-01T00:00:00Z
[[tasks.build.steps]]
id = 'it"s'
[tasks.build.steps.if]
exit.ne = 0
[[tasks.build.steps]]
id = \'\'\'
[[tasks.build.steps]]
\'\'\'
[tasks."a b".'c.d']
"e\\u0066" = 1.5
'''
LINES: dict[Path, int] = {
    ("convoy",): 2,
    ("convoy", "name"): 3,
    ("tasks", "build"): 5,
    ("tasks", "build", "command"): 6,
    ("tasks", "build", "env"): 11,
    ("tasks", "build", "env", "B", "C"): 11,
    ("tasks", "build", "depends_on"): 12,
    ("tasks", "build", "depends_on", 0): 13,
    ("tasks", "build", "depends_on", 1): 13,
    ("tasks", "build", "depends_on", 2): 15,
    ("tasks", "build", "depends_on", 3, 0): 16,
    ("tasks", "build", "depends_on", 3, 1, "five"): 17,
    ("tasks", "build", "when"): 19,
    ("tasks", "build", "steps", 0): 20,
    ("tasks", "build", "steps", 0, "id"): 21,
    ("tasks", "build", "steps", 0, "if"): 22,
    ("tasks", "build", "steps", 0, "if", "exit", "ne"): 23,
    ("tasks", "build", "steps", 1): 24,
    ("tasks", "build", "steps", 1, "id"): 25,
    ("tasks", "a b"): 28,
    ("tasks", "a b", "c.d"): 28,
    ("tasks", "a b", "c.d", "ef"): 29,
}


@pytest.mark.parametrize("path", LINES, ids=str)
def test_a_path_has_its_line(path: Path) -> None:
    assert lines_of(TEXT)[path] == LINES[path]


def test_what_only_looks_like_a_table_is_not_found() -> None:
    found = lines_of(TEXT)
    assert not [
        path for path in found if path[:2] in (("tasks", "comment"), ("tasks", "also"), ("tasks", "fake"))
    ]
    assert ("tasks", "build", "steps", 2) not in found


def paths_of(value: object, path: Path = ()) -> set[Path]:
    found = {path} if path else set[Path]()
    if (table := table_of(value)) is not None:
        return found.union(*(paths_of(item, (*path, key)) for key, item in table.items()))
    if (items := items_of(value)) is not None:
        return found.union(*(paths_of(item, (*path, n)) for n, item in enumerate(items)))
    return found


KEYS = st.text(alphabet="ab.\"' #[]={}\\\n", max_size=4)
LEAVES = st.one_of(
    st.text(alphabet="ab\"'#[]={},.\\\n\t", max_size=12),
    st.integers(-9, 9),
    st.booleans(),
    st.floats(),
    st.dates(),
    st.times(),
)
DOCUMENTS = st.dictionaries(
    KEYS,
    st.recursive(
        LEAVES,
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
        max_leaves=12,
    ),
    max_size=5,
)


@given(DOCUMENTS, st.booleans())
def test_every_path_of_a_document_is_found_and_no_other(document: dict[str, Any], many_lines: bool) -> None:
    text = tomli_w.dumps(document, multiline_strings=many_lines)
    found = lines_of(text)
    assert found.keys() == paths_of(tomllib.loads(text))
    assert all(1 <= line <= text.count("\n") + 1 for line in found.values())


@given(DOCUMENTS)
def test_lines_before_a_document_move_all_that_is_in_it(document: dict[str, Any]) -> None:
    text = tomli_w.dumps(document)
    moved = lines_of(f"# [a]\n\n{text}")
    assert moved == {path: line + 2 for path, line in lines_of(text).items()}
