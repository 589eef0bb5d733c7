"""What secrets look like: one small finder for each kind. Every one of them is linear in the text.

Every repetition has a bound, and those that could be undone are possessive: a text made to slow them
down costs a constant for each of its characters, and no more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum

Span = tuple[int, int]


class Kind(StrEnum):
    """The kinds of secrets that are known."""

    AWS_KEY_ID = "aws-key-id"
    AWS_SECRET = "aws-secret"
    API_KEY = "api-key"
    BEARER = "bearer-token"
    PRIVATE_KEY = "private-key"
    CONNECTION = "connection-string"
    GITHUB = "github-token"
    PASSWORD = "password"
    SLACK = "slack-token"
    GENERIC = "generic-secret"


FORMS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    (
        Kind.AWS_KEY_ID,
        re.compile(r"(?<![A-Za-z0-9])A(?:KI|SI|GP|ID|RO|IP|NP|NV)A[A-Z0-9]{16}(?![A-Za-z0-9])"),
    ),
    (Kind.GITHUB, re.compile(r"(?<![A-Za-z0-9])(?:gh[pousr]_[A-Za-z0-9]{30,255}+|github_pat_\w{22,255}+)")),
    (Kind.SLACK, re.compile(r"(?<![A-Za-z0-9])xox[abeoprs](?:\.xox[bp])?-[A-Za-z0-9-]{10,255}+")),
    (Kind.SLACK, re.compile(r"hooks\.slack\.com/(?:services|workflows)/([A-Za-z0-9/_-]{16,255}+)")),
    (
        Kind.API_KEY,
        re.compile(
            r"(?<![A-Za-z0-9_-])(?:AIza[A-Za-z0-9_-]{30,60}+|(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,255}+"
            r"|sk-(?=[A-Za-z_-]{0,40}[0-9])[A-Za-z0-9_-]{20,255}+|glpat-[A-Za-z0-9_-]{20,255}+"
            r"|npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{40,512}+|hf_[A-Za-z0-9]{30,64}+)"
        ),
    ),
    (
        Kind.GENERIC,
        re.compile(
            r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,4096}+\.[A-Za-z0-9_-]{8,4096}+\.[A-Za-z0-9_-]{0,4096}+"
        ),
    ),
)
"""Secrets that are known by their own form; a group, if there is one, is the secret itself."""

_CONNECTION = re.compile(r"""://[^\s:/@'"<>]{0,128}+:([^\s/'"<>]{1,256})@""")
_SCHEME = re.compile(
    r"""(?i)(?<![a-z0-9])(authorization["']?\s{0,3}[:=]\s{0,3}["']?)?"""
    r"""(bearer|basic)\s{1,3}([A-Za-z0-9._~+/=-]{8,4096}+)"""
)

_PLACEHOLDER = re.compile(
    r"""[$%{<\[*(#]|\.\.\.|(?i:x{3,}|change|example|your|redacted|none$|null$|true$|false$)"""
)
"""The beginning of what stands where a secret is to be put in."""


def placeholder(value: str) -> bool:
    """Whether this stands for a secret and is none."""
    return _PLACEHOLDER.match(value) is not None


def by_form(text: str) -> Iterator[tuple[Kind, Span]]:
    """Secrets known by their own form."""
    for kind, pattern in FORMS:
        for match in pattern.finditer(text):
            yield kind, match.span(pattern.groups)


def connections(text: str) -> Iterator[Span]:
    """Passwords in addresses, between the user and the host."""
    for match in _CONNECTION.finditer(text):
        if not placeholder(match[1]):
            yield match.span(1)


def credentials(text: str) -> Iterator[Span]:
    """What follows ``Bearer`` or ``Basic``: in a header anything, elsewhere what is not like a word."""
    for match in _SCHEME.finditer(text):
        value = match[3]
        if placeholder(value):
            continue
        if match[1] or (len(value) >= 16 and any(c.isdigit() for c in value)):
            yield match.span(3)


# Private keys

_MARK = re.compile(r"-----(BEGIN|END) [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_BETWEEN = r"""(?:\s|\\[nrt]|["'|>+,])"""
_BODY = re.compile(
    rf"(?:{_BETWEEN}{{0,80}}+(?:[A-Z][A-Za-z-]{{2,20}}: [^\n\\]{{0,200}}+|[A-Za-z0-9+/=]{{16,}}+))+"
    rf"(?:{_BETWEEN}{{0,80}}+[A-Za-z0-9+/=]{{1,15}}+(?=\s*+\Z))?"
)
_WORD = re.compile(r"[A-Za-z0-9+/=]++")
LONGEST_KEY = 1 << 14


def private_keys(text: str) -> Iterator[Span]:
    """Private keys between their two lines, and those of which one line was cut off."""
    marks = list(_MARK.finditer(text))
    opened: re.Match[str] | None = None
    last = 0
    for number, mark in enumerate(marks):
        if mark[1] == "BEGIN":
            opened = mark
            following = marks[number + 1] if number + 1 < len(marks) else None
            if following is None or following[1] == "BEGIN" or following.start() - mark.end() > LONGEST_KEY:
                yield from _without_end(text, mark)
                opened = None
        elif opened is not None:
            if _WORD.search(text, opened.end(), mark.start()):
                yield opened.start(), mark.end()
            opened = None
        else:
            yield from _without_beginning(text, max(last, mark.start() - LONGEST_KEY), mark)
        last = mark.end()


def _without_end(text: str, mark: re.Match[str]) -> Iterator[Span]:
    body = _BODY.match(text, mark.end(), mark.end() + LONGEST_KEY)
    alone = text[mark.start() - 1 : mark.start()] in ("", "\n") and text[mark.end() : mark.end() + 1] in (
        "",
        "\n",
    )
    if body is not None or alone:
        yield mark.start(), body.end() if body else mark.end()


def _without_beginning(text: str, floor: int, mark: re.Match[str]) -> Iterator[Span]:
    start = mark.start()
    words = list(_WORD.finditer(text, floor, mark.start()))
    for back, word in enumerate(reversed(words)):
        if back and word.end() - word.start() < 16 and word.start():
            break
        start = word.start()
    if start < mark.start():
        yield start, mark.end()


# Names that are given a value

_ASSIGNED = re.compile(
    r"""(?ix)
    (?P<name> passw(?:or)?d | passphrase | pwd | secret | token | credential
            | (?:api|access|auth|signing|encryption|account|private|client)[_-]?key )
    (?P<rest> [a-z0-9_-]{0,32}+ )
    ["']? \s{0,8}+ (?: := | => | [:=] ) \s{0,8}+
    (?: " (?P<double> [^"\n\\]{4,256}+ ) (?: " | \Z | \n )
      | ' (?P<single> [^'\n\\]{4,256}+ ) (?: ' | \Z | \n )
      | (?P<bare> [^\s"'(){}\[\]<>,;&|`\\]{6,256}+ ) (?= [\s"'<,;&|`\\)}\]] | \Z ) )
    """
)
_WORDLIKE = re.compile(r"[A-Za-z_]++(?:[ ./:-][A-Za-z_]*+)*+\Z")
_AWS_SECRET = re.compile(r"[A-Za-z0-9/+]{40}=?\Z")
_AWS_NAME = re.compile(r"(?i)aws[a-z0-9_-]{0,24}\Z|secret[_-]?access[_-]?key")
_TOKENISH = re.compile(r"[A-Za-z0-9_./+=~:-]{16,}\Z")
_ENVIRONMENT = re.compile(r"[A-Z0-9_]+\Z")
_PASSWORDS = ("pas", "pwd")
_WORDS = frozenset({"password", "passwd", "passphrase", "secret", "token", "string", "optional", "required"})
"""What a table of names gives a password as its value."""


def assigned(text: str) -> Iterator[tuple[Kind, Span]]:
    """Values of names such as ``password`` or ``api_key``, if they look like what the name says."""
    place = 0
    while (match := _ASSIGNED.search(text, place)) is not None:
        group = match.lastgroup or ""
        kind = _kind(match, text, group)
        if kind is not None:
            yield kind, match.span(group)
        place = match.end(group) if kind is not None else match.start(group)


def _kind(match: re.Match[str], text: str, group: str) -> Kind | None:
    value, name = match[group], match["name"].lower()
    if placeholder(value):
        return None
    if _AWS_SECRET.match(value) and _AWS_NAME.search(text[max(0, match.start() - 24) : match.end("rest")]):
        return Kind.AWS_SECRET
    if name.startswith(_PASSWORDS):
        return Kind.PASSWORD if _is_password(match, value, group) else None
    if not _TOKENISH.match(value) or not _mixed(value):
        return None
    return Kind.API_KEY if name.endswith("key") else Kind.GENERIC


def _is_password(match: re.Match[str], value: str, group: str) -> bool:
    """In quotes, any one word; bare, as in a file of settings, or when it is no name and no number."""
    if value.lower() in _WORDS:
        return False
    if group != "bare":
        return " " not in value
    if _ENVIRONMENT.match(match["name"]) and match.start("bare") - match.end("rest") == 1:
        return True
    return not _WORDLIKE.match(value) and not value.isdecimal() and any(c.isalpha() for c in value)


def _mixed(value: str) -> bool:
    """Whether so many different characters, figures among them, are unlikely to be a name."""
    return len(set(value)) >= 8 and sum(c.isdigit() for c in value) >= 2 and any(c.isalpha() for c in value)


_HINTS = (
    *(
        "passw",
        "passphrase",
        "pwd",
        "secret",
        "token",
        "credential",
        "key",
        "bearer",
        "basic",
        "://",
        "-----",
        "eyj",
    ),
    *("akia", "asia", "agpa", "aida", "aroa", "aipa", "anpa", "anva", "ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
    *("github_pat_", "xox", "slack", "aiza", "sk_", "rk_", "pk_", "sk-", "glpat", "npm_", "pypi-", "hf_"),
)


def hinted(text: str) -> bool:
    """Whether there can be a secret in a text at all: most have none, and this is quick."""
    low = text.lower()
    return any(hint in low for hint in _HINTS)
