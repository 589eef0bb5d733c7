"""Blanks in texts are filled in, and nothing else in double braces is touched."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.actors.convoys.blanks import FILTERS, Blank, blanks_in, fill

VALUES = {"input.title": "Fix the Login", "convoy.folder": "/work"}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{{input.title}}", "Fix the Login"),
        ("{{ input.title }}!", "Fix the Login!"),
        ("{{input.title|kebab}}", "fix-the-login"),
        ("{{input.title | snake}}", "fix_the_login"),
        ("{{input.title|upper}}", "FIX THE LOGIN"),
        ("{{input.title|kebab|upper}}", "FIX-THE-LOGIN"),
        ("{{convoy.folder}}/out {{input.title|lower}}", "/work/out fix the login"),
        ("{{input.other}}", "<{{input.other}}>"),
        ("{{ input.other|kebab }}", "<{{ input.other|kebab }}>"),
        (
            "{{.Names}} {{title}} {input.title} {{input.title",
            "{{.Names}} {{title}} {input.title} {{input.title",
        ),
    ],
)
def test_a_blank_is_filled_in_and_other_braces_are_left_alone(text: str, filled: str) -> None:
    assert fill(text, VALUES, lambda blank: f"<{blank}>") == filled


@pytest.mark.parametrize(
    ("text", "kebab"),
    [("fixTheLogin", "fix-the-login"), ("  Über_uns! ", "über-uns"), ("v2 beta", "v2-beta")],
)
def test_kebab_takes_words_however_they_are_written(text: str, kebab: str) -> None:
    assert FILTERS["kebab"](text) == kebab
    assert FILTERS["snake"](text) == kebab.replace("-", "_")


def test_all_texts_of_lists_and_tables_are_filled_in_and_the_given_value_stays_as_it_was() -> None:
    value = {"a": ["{{input.title}}", 1, ("{{convoy.folder}}", True)], "{{input.title}}": None}
    filled = fill(value, VALUES, str)
    assert filled == {"a": ["Fix the Login", 1, ("/work", True)], "{{input.title}}": None}
    assert value["a"] == ["{{input.title}}", 1, ("{{convoy.folder}}", True)]


def test_what_was_filled_in_is_not_looked_at_again() -> None:
    values = {"input.a": "{{input.b}}", "input.b": "no"}
    assert fill("{{input.a}}", values, str) == "{{input.b}}"


def test_every_blank_is_found_with_the_way_to_it() -> None:
    value = {"a": ["x", "{{input.b|kebab | upper}} {{convoy.folder}}"]}
    assert list(blanks_in(value)) == [
        (("a", 1), Blank("{{input.b|kebab | upper}}", "input.b", ("kebab", "upper"))),
        (("a", 1), Blank("{{convoy.folder}}", "convoy.folder", ())),
    ]


@given(st.text(alphabet="{}input.x| \n", max_size=60))
def test_a_text_without_known_blanks_comes_back_as_it_was(text: str) -> None:
    assert fill(text, {}, str) == text


@given(st.text())
def test_a_value_is_put_in_as_it_is(value: str) -> None:
    assert fill("<{{input.x}}>", {"input.x": value}, str) == f"<{value}>"
