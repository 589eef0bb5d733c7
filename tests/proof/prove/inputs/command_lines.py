"""Command lines through ``main`` in this process: exit codes, one document or one line, nothing raw."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import apsw

from postroom.console.main import COMMANDS, main
from postroom.console.render import UNSAFE

from . import material
from .judging import demand

CODES = frozenset({0, 1, 2, 3, 4, 5})
ID = "00000000-0000-4000-8000-000000000000"
NAME = "inputs.db"
STORE = ("--store", f"sqlite:///{NAME}")
PAIR = (*STORE, "pair", "t", "--manager", "m", "--worker", "w")
TIDY_EVERY = 50
NEVER = "--such-an-option-is-not-there"
"""Ends a line that would do more than parse: serve for ever, measure for minutes, look at the machine."""

TEMPLATES: tuple[tuple[str, ...], ...] = (
    ("send", "worker/w", "--type", "job", "--body", "{}"),
    ("send", "worker/w", "--type=job", '--body={"n":1}', "--from", "manager/m", "--priority", "high",
    "--correlation", "t"),
    ("send", "any:worker", "--type", "job", "--body", "-", "--delay", "1", "--expires", "60",
    "--max-attempts", "3"),
    ("send", "worker/w", "--type", "job", "--body", "1", "--dedup-key", "k", "--reply-to", "manager/m",
    "--id", ID, "--hold"),
    ("poll", "worker/w", "--max", "2", "--lease", "0.001"),
    ("ack", ID, "--fence", "1", "--reply", "{}"),
    ("ack", ID, "--fence", "1", "--send", "-"),
    ("nack", ID, "--fence", "1", "--delay", "1", "--reason", "why"),
    ("nack", ID, "--fence", "1", "--dead"),
    ("extend", ID, "--fence", "1", "--lease", "5"),
    ("show", ID),
    ("inbox", "list"),
    ("inbox", "show", "worker/w"),
    ("inbox", "peek", "worker/w", "--max", "3", "--state", "ready"),
    ("inbox", "pause", "worker/w", "--key", "k"),
    ("inbox", "resume", "worker/w"),
    ("inbox", "purge", "worker/w"),
    ("dead", "list", "worker/w", "--max", "3"),
    ("dead", "show", ID),
    ("dead", "requeue", "--all", "--inbox", "worker/w"),
    ("dead", "drop", ID, ID),
    ("pair", "t", "--manager", "m", "--worker", "w"),
    ("run", "convoy.toml", "--resume", "--set", "a=b", "--metrics", "127.0.0.1:1"),
    ("status",),
    ("verify", "--deep"),
    ("backup", "copy.db"),
    ("restore", "copy.db"),
    ("metrics",),
    ("--version",),
    ("--help",),
    *((name, "--help") for name in COMMANDS),
    *((name, NEVER) for name in COMMANDS),
)  # fmt: skip
STORES = ("sqlite:///inputs.db", "sqlite:///inputs.db", "sqlite:///none.db", "sqlite:///", "sqlite://x",
    "", "postgres://x", "sqlite:///.",
          "sqlite:///inputs.db/x", "sqlite:///\x1b[2J.db", "sqlite:///a\x00b", "sqlite:///" + "x" * 300,
          "sqlite:///a\nb/c.db", "sqlite:////dev/null",
          "sqlite:///text.txt", "sqlite:///\udcff.db", "sqlite:///%00", "sqlite:///?mode=ro", "--json",
          "\u202e")  # fmt: skip
ABSOLUTE = ("/", "/dev/null", "/dev/full", "/proc/self/mem", "/nonexistent/x")
DANGEROUS = ("--wait", "--out", "--directory")
"""Options whose value must not be made up: it would be waited for, or written to."""


class Seen(NamedTuple):
    """What a command left: its exit code, and what it wrote."""

    code: int
    out: str
    err: str


@contextmanager
def captured(stdin: bytes) -> Generator[tuple[io.BytesIO, io.StringIO]]:
    """Standard streams as a command finds them in a pipe."""
    before = sys.stdin, sys.stdout, sys.stderr
    raw, err = io.BytesIO(), io.StringIO()
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin))
    out = sys.stdout = io.TextIOWrapper(raw, encoding="utf-8", write_through=True)
    sys.stderr = err
    try:
        yield raw, err
    finally:
        sys.stdin, sys.stdout, sys.stderr = before
        out.detach()


def run(words: Sequence[str], stdin: bytes = b"") -> Seen:
    """Run a command line in this process."""
    with captured(stdin) as (raw, err):
        code = main(words)
    return Seen(code, raw.getvalue().decode("utf-8"), err.getvalue())


class CommandLines:
    """Bent command lines in the current folder, on the store that ``STORES`` begins with."""

    def __init__(self) -> None:
        self._attempts = 0
        demand(run(PAIR).code == 0, "no store can be made here")
        # Commands open the store themselves and a second handle is refused, so this one is bare.
        self._bare = apsw.Connection(NAME, flags=apsw.SQLITE_OPEN_READONLY)

    def close(self) -> None:
        self._bare.close()

    def attempt(self, rng: Random) -> None:
        words, stdin = line(rng), _stdin(rng)
        before = self._newest()
        seen = run(words, stdin)
        check_seen(words, seen)
        if seen.code:
            demand(self._newest() == before, "it failed, and something was stored", words, stdin, seen)
        for made in Path().glob("copy*.db*"):
            made.unlink()
        self._attempts += 1
        if self._attempts % TIDY_EVERY == 0:
            self._tidy()

    def _newest(self) -> object:
        return self._bare.execute("SELECT max(seq) FROM message").get

    def _tidy(self) -> None:
        for words in (("resume", "worker/w"), ("purge", "worker/w")):
            demand(run((*STORE, "inbox", *words)).code == 0, "the inbox is gone")
        demand(run((*STORE, "verify")).code == 0, "the store does not verify")


class Processes:
    """The same command lines, a process each: what only a real start can show."""

    def attempt(self, rng: Random) -> None:
        words = line(rng)
        code = "import sys; from postroom.console.main import main; sys.exit(main())"
        done = subprocess.run(
            [sys.executable, "-c", code, *map(os.fsencode, words)],
            input=_stdin(rng),
            capture_output=True,
            check=False,
            env={**os.environ, "LC_ALL": rng.choice(("C", "C.UTF-8", "POSIX"))},
            timeout=60,
        )
        out, err = done.stdout.decode("utf-8"), done.stderr.decode("utf-8")
        check_seen(words, Seen(done.returncode, out, err))


def check_seen(words: Sequence[str], seen: Seen) -> None:
    """The contract of every command: exit code, one document or one line, nothing a terminal obeys."""
    demand(seen.code in CODES, "an exit code that is none", words, seen)
    for stream in (seen.out, seen.err):
        found = UNSAFE.search(stream.replace("\n", "").replace("\t", ""))
        demand(found is None, "a raw control character", words, found and found[0], stream[:300])
    demand("Traceback" not in seen.out + seen.err, "a traceback", words, seen)
    shared = list(words[: words.index("--")] if "--" in words else words)
    as_json = "--json" in shared and not _is_value_of_store(shared)
    if as_json and (seen.code or not _is_help(words)):
        documents = seen.out.splitlines()
        demand(len(documents) == 1 and not seen.err, "not one document", words, seen)
        _check_document(words, seen, json.loads(documents[0]))
    elif seen.code not in (0, 4):
        demand(seen.err.count("\n") == 1 and seen.err.endswith("\n"), "not one line of error", words, seen)
        demand("failed unexpectedly" not in seen.err, "an internal error", words, seen)


def _check_document(words: Sequence[str], seen: Seen, document: Any) -> None:
    if seen.code in (0, 4):
        demand("error" not in document, "an error that is none", words, seen)
    elif "error" in document:
        demand(document["error"]["code"] != "internal", "an internal error", words, seen)


def _is_value_of_store(words: Sequence[str]) -> bool:
    """Whether the only ``--json`` was eaten by ``--store``."""
    places = [n for n, word in enumerate(words) if word == "--json"]
    return all(n and words[n - 1] == "--store" for n in places)


def _is_help(words: Sequence[str]) -> bool:
    return any(word in ("--help", "-h", "help") for word in words)


def line(rng: Random) -> list[str]:
    """A command line: one that is right with some words bent, doubled, dropped or moved; or noise."""
    kind = rng.random()
    if kind < 0.05:
        words = [material.text(rng) for _ in range(rng.randrange(5))]
    else:
        words = list(rng.choice(TEMPLATES))
        for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
            _bend(rng, words)
    words = [word for word in words if not word.startswith(DANGEROUS)]
    if words and any(name in words for name in ("serve", "bench", "doctor")):
        words.append(NEVER) if "--" not in words else words.insert(0, NEVER)
    if rng.random() < 0.85:
        words[0:0] = ["--store", rng.choice(STORES) if rng.random() < 0.2 else STORES[0]]
    if rng.random() < 0.5:
        words.insert(0, "--json")
    return [_harmless(word) for word in words]


def _bend(rng: Random, words: list[str]) -> None:
    at = rng.randrange(len(words)) if words else 0
    kind = rng.randrange(9)
    if kind <= 3 and words:
        words[at] = material.word(rng, words[at])
    elif kind == 4:
        words.insert(at, rng.choice((*material.OPTIONS, *material.WORDS, material.text(rng))))
    elif kind == 5:
        words[at:at] = words[at : at + 2]
    elif kind == 6:
        del words[at : at + 1]
    elif kind == 7 and words:
        words[at] = rng.choice((*material.NUMBERS, *material.IDS))
    else:
        rng.shuffle(words)


def _harmless(word: str) -> str:
    """What a process can be given at all; nothing outside this folder may be made or read."""
    word = os.fsdecode(word.replace("\0", "").encode("utf-8", "surrogatepass"))
    if "sqlite:////" in word and word != "sqlite:////dev/null":
        return "sqlite:///inputs.db"
    if word.startswith("/") and word not in ABSOLUTE:
        return word.lstrip("/") or "/"
    return word.replace("../", "__/")


def _stdin(rng: Random) -> bytes:
    return rng.choice(
        (
            b"",
            b"{}",
            b"\x00",
            b"\xff\xfe",
            b'{"to":"worker/w","type":"x","body":1}\n',
            b"[" * 1000,
            b"\xef\xbb\xbf{}",
        )
    )
