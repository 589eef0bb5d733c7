"""URLs of stores, and that nobody ever sees a password of one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.store.errors import BadInput
from postroom.store.postgres.urls import read_url
from postroom.store.shown import shown_url, without_passwords
from postroom.store.urls import from_anywhere

SECRET = "s3same"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"postgresql://u:{SECRET}@h/db", "postgresql://u:***@h/db"),
        (f"postgres://:{SECRET}@h:5432/db?x=a%40b", "postgres://:***@h:5432/db?x=a%40b"),
        ("postgresql://u@h/db", "postgresql://u@h/db"),
        ("postgresql://h:1,[::1]:2/db", "postgresql://h:1,[::1]:2/db"),
        (f"postgresql:///db?password={SECRET}&schema=s", "postgresql:///db?password=***&schema=s"),
        (f"postgresql:///db?p%61ssword={SECRET}", "postgresql:///db?p%61ssword=***"),
        (
            f"postgresql:///db?notify_url=postgresql://u:{SECRET}@h/d",
            "postgresql:///db?notify_url=postgresql://u:***@h/d",
        ),
        (
            f"postgresql:///db?notify_url=postgresql%3A%2F%2Fu%3A{SECRET}%40h",
            "postgresql:///db?notify_url=postgresql://u:***@h",
        ),
        ("sqlite:///a:b@c.db", "sqlite:///a:b@c.db"),
        (f"PostgreSQL://u:{SECRET}@h/db", "PostgreSQL://***"),
        (f"http://u:{SECRET}@h", "http://***"),
        ("http://h/a", "http://h/a"),
    ],
)
def test_a_url_is_shown_without_its_passwords(url: str, shown: str) -> None:
    assert shown_url(url) == shown
    assert shown_url(shown) == shown


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://u:{middle}@h/db"
        for middle in (f"a/{SECRET}", f"a@{SECRET}", f"a?{SECRET}", f"#{SECRET}")
    ]
    + [f"postgresql://u@x:{SECRET}@h/db", f"postgresql://h:{SECRET}/db", f"postgresql://u:p@h?{SECRET}@i/db"],
)
def test_of_a_url_that_is_not_well_formed_nothing_is_shown(url: str) -> None:
    assert shown_url(url) == "postgresql://***"
    with pytest.raises(BadInput) as refused:
        read_url(url)
    assert SECRET not in str(refused.value)


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="\n"), min_size=1),
    st.sampled_from(["h/db", "", "h"]),
)
def test_whatever_the_password_is_it_is_not_shown(password: str, rest: str) -> None:
    shown = shown_url(f"postgresql://user:{password}{SECRET}@{rest}")
    assert SECRET not in shown


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
def test_a_quoted_password_reaches_the_driver_as_it_is(password: str) -> None:
    from urllib.parse import quote

    from psycopg.conninfo import conninfo_to_dict

    place = read_url(f"postgresql://u:{quote(password, safe='')}@h/db")
    given = conninfo_to_dict(place.conninfo).get("password")
    assert given == (None if password == "***" else password)


def test_three_stars_stand_for_a_password_that_is_kept_elsewhere() -> None:
    assert "password" not in read_url("postgresql://u:***@h/db").conninfo


@pytest.mark.parametrize(
    "query", ["nonsense=1", "schema=Ab", "schema=", "pooled=maybe", "notify=loud", "portable=1"]
)
def test_a_url_that_the_driver_does_not_understand_is_refused_without_its_password(query: str) -> None:
    with pytest.raises(BadInput) as refused:
        read_url(f"postgresql://u:{SECRET}@h/db?password={SECRET}&{query}")
    assert SECRET not in str(refused.value)


def test_urls_in_a_text_lose_their_passwords() -> None:
    text = f"no answer from 'postgresql://u:{SECRET}@h/db', nor from postgresql://u:x{SECRET}/@h."
    assert without_passwords(text) == "no answer from 'postgresql://u:***@h/db', nor from postgresql://***"
    assert without_passwords("a: //b") == "a: //b"


def test_a_url_works_from_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    assert from_anywhere("sqlite:///a/b.db") == "sqlite:////a/b.db"
    assert from_anywhere(f"postgresql://u:{SECRET}@h/db") == "postgresql://u:***@h/db"
    assert from_anywhere("memory:") == "memory:"
