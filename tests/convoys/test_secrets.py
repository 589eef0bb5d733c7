"""Secrets are found in any text, in linear time, and ordinary code is left alone."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.actors.convoys.allowed import Allowed
from postroom.actors.convoys.record import secrets
from postroom.actors.convoys.record.secrets import find, redact, redact_value
from postroom.actors.convoys.record.shapes import FORMS, Kind
from postroom.store.errors import BadInput

ROOT = Path(__file__).parents[2]
MEBI = 1 << 20

BODY = "MIIEowIBAAKCAQEA7bq1\n" * 3
PEM = f"-----BEGIN RSA PRIVATE KEY-----\n{BODY}abcd\n-----END RSA PRIVATE KEY-----"

AWS = "wJalrXUtnFEMI/K7MDENG/" + "bPxRfiCYABCDEFGHIJ"

SECRETS: dict[str, tuple[Kind, str, str]] = {
    # name: (kind, a text with ``<>`` where the secret is, the secret)
    "aws key": (Kind.AWS_KEY_ID, "id <> here", "AKIA" + "IOSFODNN7ABCDEFG"),
    "aws secret": (Kind.AWS_SECRET, "aws_secret_access_key = <>", AWS),
    "aws json": (Kind.AWS_SECRET, '{"SecretAccessKey": "<>"}', AWS),
    "api key": (Kind.API_KEY, 'api_key: "<>"', "a8f3c9d2e1b7" + "4650ffee"),
    "api header": (Kind.API_KEY, "X-Api-Key: <>", "a8f3c9d2e1b7" + "4650ffee"),
    "sk": (Kind.API_KEY, "using <>.", "sk-" + "proj-" + "a1b2c3d4e5f6g7h8i9j0"),
    "stripe": (Kind.API_KEY, "(<>)", "sk_live_" + "a1b2c3d4e5f6g7h8"),
    "google": (Kind.API_KEY, "key=<>", "AIza" + "SyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q"),
    "bearer": (Kind.BEARER, "Authorization: Bearer <>", "abc.def" + "-123"),
    "basic": (Kind.BEARER, "-H 'authorization: basic <>'", "dXNlcjpw" + "YXNz"),
    "bearer alone": (Kind.BEARER, "sent Bearer <>", "tGzv3JOkF0XG" + "5Qx2TlKWIA"),
    "pem": (Kind.PRIVATE_KEY, "key:\n<>\nend", PEM),
    "pem in json": (Kind.PRIVATE_KEY, '{"k": "<>"}', PEM.replace("\n", "\\n")),
    "pem without its end": (Kind.PRIVATE_KEY, "<>", PEM[:90]),
    "pem without its beginning": (Kind.PRIVATE_KEY, "<>", PEM[40:]),
    "openssh": (Kind.PRIVATE_KEY, "<>", PEM.replace("RSA", "OPENSSH")),
    "connection": (Kind.CONNECTION, "postgres://app:<>@db.example.com/x", "hunt" + "er2"),
    "connection with @": (Kind.CONNECTION, "amqp://app:<>@mq:5672", "p@ss" + "w0rd"),
    "github": (Kind.GITHUB, "token <>", "ghp_" + "a1B2" * 9),
    "github fine": (Kind.GITHUB, "<>", "github_pat_" + "11AAAAAAA0aaaaaaaaaaaa_bbbb"),
    "password": (Kind.PASSWORD, 'password = "<>"', "hunt" + "er2"),
    "password in json": (Kind.PASSWORD, '{"db_password":"<>"}', "correct" + "horse"),
    "password in settings": (Kind.PASSWORD, "DB_PASSWORD=<>\nX=1", "correct" + "horse"),
    "password in a url": (Kind.PASSWORD, "/login?user=me&password=<>&x=1", "hunt" + "er2!"),
    "password after a blank": (Kind.PASSWORD, "the password: <>", "hunt" + "er22"),
    "slack": (Kind.SLACK, "<>", "xoxb-" + "123456789012-abcdefABCDEF"),
    "slack hook": (Kind.SLACK, "https://hooks.slack.com/services/<>", "T0000/B0000/" + "XXXXabcdEFGH1234"),
    "jwt": (Kind.GENERIC, "x=<>;", "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N"),
    "token": (Kind.GENERIC, "session_token=<>", "9f86d081884c7d65" + "9a2feaa0c55ad015"),
    "client secret": (Kind.GENERIC, 'client_secret: "<>"', "9f86d081884c7d65" + "9a2feaa0c55ad015"),
}

NO_SECRETS = (
    "password = get_password()",
    "password: str | None = None",
    'parser.add_argument("--password", help="the password of the store")',
    "PASSWORD=$PASSWORD",
    'password = "${DB_PASSWORD}"',
    "password=<your password>",
    "token = self.tokens[0]",
    "tokens = 123456789012345678",
    "secret_scan = GateKind.SECRET_SCAN",
    "key = sorted(items, key=lambda item: item.name)",
    "postgres://user:${PASSWORD}@host/db",
    "http://localhost:8080/a@b",
    "the bearer of authentication",
    "Authorization: Bearer <token>",
    "sk-learn and sk-estimators-are-long-words-here",
    "api_key = settings.api_key_of_the_user",
    "https://user@example.com:8080/path",
    "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOC\n-----END PUBLIC KEY-----",
    'MARK = "-----BEGIN PRIVATE KEY-----" in text',
    "commit 9f86d081884c7d659a2feaa0c55ad0159f86d081",
)


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_found_and_nothing_of_it_is_left(name: str) -> None:
    kind, text, secret = SECRETS[name]
    whole = text.replace("<>", secret)
    found = find(whole)
    assert [finding.kind for finding in found] == [kind]
    assert whole[found[0].start : found[0].end] == secret
    assert redact(whole) == (text.replace("<>", f"[redacted: {kind}]"), (kind,))


def test_there_are_ten_kinds_and_each_has_an_example() -> None:
    assert len(Kind) == 10
    assert {kind for kind, _, _ in SECRETS.values()} == set(Kind)


@pytest.mark.parametrize("text", NO_SECRETS)
def test_what_only_speaks_of_secrets_is_left_alone(text: str) -> None:
    assert redact(text) == (text, ())


@pytest.mark.parametrize("text", [text.replace("<>", secret) for _, text, secret in SECRETS.values()])
def test_redacting_again_changes_nothing(text: str) -> None:
    once = redact(text)[0]
    assert redact(once) == (once, ())


def test_a_private_key_ends_where_its_text_ends() -> None:
    text = PEM[:90] + "\n\nand then some words of the log, which stay as they were"
    clean, kinds = redact(text)
    assert kinds == (Kind.PRIVATE_KEY,)
    assert "MIIE" not in clean
    assert clean.endswith("and then some words of the log, which stay as they were")


def test_several_secrets_are_taken_out_in_one_go_and_each_kind_is_said_once() -> None:
    text = " ".join(text.replace("<>", secret) for _, text, secret in SECRETS.values() if "\n" not in secret)
    clean, kinds = redact(f"{text} {text}")
    assert not find(clean)
    assert len(kinds) == len(set(kinds))
    for _, _, secret in SECRETS.values():
        assert secret not in clean


def test_of_secrets_that_overlap_nothing_is_left() -> None:
    clean, kinds = redact("see https://me:password=abc12@tail99z for more")
    assert (clean, kinds) == ("see https://me:[redacted: connection-string] for more", ("connection-string",))


ASCII = st.characters(min_codepoint=9, max_codepoint=126)
PIECES = st.one_of(
    st.text(ASCII, max_size=12), st.sampled_from([t.replace("<>", s) for _, t, s in SECRETS.values()])
)


@given(st.lists(PIECES, max_size=5).map("".join))
def test_what_was_redacted_has_no_secret_and_the_rest_is_as_it_was(text: str) -> None:
    found = find(text)
    assert all(a.end <= b.start for a, b in pairwise(found))
    clean, kinds = redact(text)
    assert (clean == text) == (not found) == (not kinds)
    for finding in found:
        assert text[finding.start : finding.end]


@given(st.lists(PIECES, max_size=5).map("".join))
def test_the_quick_look_never_hides_a_secret(text: str) -> None:
    found = find(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(secrets, "hinted", bool)
        assert find(text) == found


@pytest.mark.parametrize(("kind", "pattern"), FORMS, ids=[kind for kind, _ in FORMS])
@given(data=st.data())
def test_every_secret_with_a_form_of_its_own_is_found(
    kind: Kind, pattern: re.Pattern[str], data: st.DataObject
) -> None:
    text = data.draw(st.from_regex(pattern, fullmatch=True, alphabet=ASCII))
    assert find(f"({text})")
    assert find(f"({text})")[0].kind in (kind, Kind.GENERIC)


# Values


def test_values_lose_what_is_secret_by_name_or_by_look() -> None:
    secret = SECRETS["github"][2]
    value = {
        "Password": "x",
        "db-passwd": 1234,
        "apiKey": "k",
        "tokens": 5,
        "token": None,
        "passwordless": True,
        "headers": [{"Authorization": "whatever"}, {"X-Note": f"use {secret}"}],
        secret: "as a name",
    }
    clean, kinds = redact_value(value)
    assert clean == {
        "Password": "[redacted: password]",
        "db-passwd": "[redacted: password]",
        "apiKey": "[redacted: api-key]",
        "tokens": 5,
        "token": None,
        "passwordless": True,
        "headers": [
            {"Authorization": "[redacted: bearer-token]"},
            {"X-Note": "use [redacted: github-token]"},
        ],
        "[redacted: github-token]": "as a name",
    }
    assert set(kinds) == {Kind.PASSWORD, Kind.API_KEY, Kind.BEARER, Kind.GITHUB}
    assert redact_value(clean) == (clean, ())


def test_a_value_without_secrets_is_as_it_was() -> None:
    value = {"a": [1, 2.5, None, True, "text"], "b": {"c": "d"}}
    assert redact_value(value) == (value, ())


# What is allowed


def test_what_is_allowed_is_found_only_where_it_is_not() -> None:
    kind, text, secret = SECRETS["github"]
    whole = text.replace("<>", secret)
    here = Allowed("made up for a test", literal=secret, paths=("tests/*",))
    assert find(whole, [here], "tests/a.py") == []
    assert [finding.kind for finding in find(whole, [here], "src/a.py")] == [kind]
    assert find(whole, [Allowed("all of them are made up", pattern="ghp_[a-zA-Z0-9]+")]) == []


@pytest.mark.parametrize(
    "make",
    [
        lambda: Allowed("", literal="x"),
        lambda: Allowed("why"),
        lambda: Allowed("why", literal="x", pattern="y"),
        lambda: Allowed("why", pattern="("),
    ],
)
def test_an_allowance_needs_a_reason_and_just_one_form(make: Callable[[], Allowed]) -> None:
    with pytest.raises(BadInput):
        make()


def test_the_sources_of_this_project_have_no_secrets() -> None:
    texts = [path for folder in ("src", "examples") for path in sorted((ROOT / folder).rglob("*.*"))]
    found = [
        f"{path}: {finding.kind} {text[finding.start : finding.end]!r}"
        for path in [*texts, *ROOT.glob("*.md")]
        if path.suffix in {".py", ".toml", ".md", ".sql"}
        for text in [path.read_text()]
        for finding in find(text)
    ]
    assert found == []


# Time

MARK = "-----{} PRIVATE KEY-----"
HOSTILE = (
    *("-----BEGIN ", MARK.format("BEGIN"), MARK.format("END"), "A" * 15 + " " + MARK.format("END")),
    *("://:", "://u:" + "p" * 30, "token=", "token=$", 'token="', "secret:", "pwd: ", "token" + " " * 20),
    *("bearer ", "authorization: bearer ", "eyJ", "eyJaaaaaaaaaa.", "xoxb-", "ghp_", "AKIA", "sk-"),
    *("QUJD", "\n", "a", "a.", "'", "\\n"),
)


def _seconds(text: str) -> float:
    def once() -> float:
        began = time.process_time()
        find(text)
        return time.process_time() - began

    return min(once() for _ in range(2))


@pytest.mark.parametrize("piece", HOSTILE)
def test_twice_the_text_takes_no_more_than_thrice_the_time(piece: str) -> None:
    whole = (piece * (MEBI // len(piece) + 1))[:MEBI]
    short, long = _seconds(whole[: MEBI // 8]), _seconds(whole[: MEBI // 4])
    assert long < 3 * short + 0.01
