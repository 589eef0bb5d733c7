"""One script of command lines for both engines, and what of their answers must be the same."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
from shells import Shell

CONVOY = """
[convoy]
name = "build"
[tasks.one]
command = "echo made"
[tasks.two]
depends_on = ["one"]
command = "exit 3"
"""
CHANGES_WITH_TIME = re.compile(
    r"\.(fence|epoch|since|started|expires|age|pid|bytes|at)$|_at$|_us$|seconds(\.\w+)?$"
)
IDS = re.compile(
    r"postroom_[0-9a-f]{16}_[\w-]{43}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b[0-9a-f]{12,64}\b"
)
TIMES = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?(Z|[+-]\d\d:?\d\d)?|\b\d+\.\d+ s\b"
    r"|\b\d+\.\d{2,}(e[-+]\d+)?\b|\b\d{10,}(\.\d+)?\b"
)


def differences(here: Any, there: Any, at: str = "") -> list[str]:
    """Where two answers are not the same."""
    one, other = dict(_inner(here)), dict(_inner(there))
    if type(here) is type(there) and one and one.keys() == other.keys():
        return [found for key in one for found in differences(one[key], other[key], f"{at}.{key}")]
    return [] if here == there else [f"{at}: {here!r} and {there!r}"]


def _inner(value: Any) -> Iterable[tuple[object, Any]]:
    if hasattr(value, "items"):
        items: Iterable[tuple[object, Any]] = value.items()
        return items
    return enumerate(value if hasattr(value, "append") else ())


class Typist:
    """Types commands at one store and keeps every answer, masked."""

    def __init__(self, shell: Shell, url: str, folder: Path) -> None:
        self._shell, self._url, self._folder = shell, url, folder
        self.said: list[tuple[str, int, Any]] = []

    def type(self, *words: str) -> Any:
        """One command that means something; its answer as it is. What is kept of it is masked."""
        code = self._shell.run(*words, "--store", self._url, "--json")
        assert code in (0, 1, 3, 4), self._shell.out
        answer = msgspec.json.decode(self._shell.out)
        self.said.append((self._plain(" ".join(words)), code, self.masked(answer)))
        return answer

    def lines(self, *words: str) -> None:
        """A command that answers one document in each line."""
        assert self._shell.run(*words, "--store", self._url) == 0
        self.said.append((self._plain(" ".join(words)), 0, self._plain(self._shell.out)))

    def masked(self, value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            inner = _inner(value)
            return {self._plain(str(name)): self.masked(one, f"{key}.{name}") for name, one in inner}
        if isinstance(value, list):
            return [self.masked(one, key) for _, one in _inner(value)]
        if isinstance(value, str):
            return self._plain(value)
        if isinstance(value, int | float) and not isinstance(value, bool) and CHANGES_WITH_TIME.search(key):
            return "TIME"
        return value

    def _plain(self, text: str) -> str:
        text = text.replace("/.postroom/runs/", "/runs/")  # beside a file, and here for a server
        text = text.replace(f"'{self._url}'", "STORE").replace(self._url, "STORE")
        return TIMES.sub("TIME", IDS.sub("ID", text.replace(str(self._folder), "HERE")))


def pull_mode(at: Typist) -> None:
    """Messages through all their states."""
    pair = ("t", "--manager", "m", "--worker", "w", "--max-iterations", "3")
    at.type("pair", *pair)
    at.type("pair", *pair)
    at.type("status")
    send = ("send", "worker/w", "--type", "task", "--from", "manager/m")
    first = at.type(*send, "--body", '{"n":1}', "--correlation", "t")["id"]
    at.type(*send, "--body", '{"n":1}', "--correlation", "t", "--id", first)
    at.type(*send, "--body", '{"n":2}', "--correlation", "t", "--id", first)
    at.type(*send, "--body", "2", "--dedup-key", "k", "--priority", "urgent")
    at.type(*send, "--body", "2", "--dedup-key", "k", "--priority", "urgent")
    at.type(*send, "--body", "3", "--delay", "1000", "--expires", "5000")
    for name in ("z", "\u00e9", "Z", "a", "_", "-", "0"):
        at.type("send", "x/y", "--type", "t", "--body", f'"{name}"', "--correlation", name, "--hold")
    at.type("send", "nobody/here", "--type", "t", "--body", "1")
    at.type("send", "any:worker", "--type", "t", "--body", "1")
    at.type("poll", "worker/nobody")
    (mail,) = at.type("poll", "worker/w")["messages"]
    at.type("extend", mail["id"], "--fence", str(mail["fence"]), "--lease", "100")
    at.type("nack", mail["id"], "--fence", str(mail["fence"]), "--reason", "no", "--dead")
    at.type("nack", mail["id"], "--fence", str(mail["fence"] + 1))
    (mail,) = at.type("poll", "worker/w")["messages"]
    at.type("ack", mail["id"], "--fence", str(mail["fence"]), "--reply", '{"ok":true}')
    at.type("ack", mail["id"], "--fence", str(mail["fence"]), "--reply", '{"ok":true}')
    at.type("show", mail["id"])
    at.type("show", "0197a3f0-0000-7000-8000-000000000000")
    (mail,) = at.type("poll", "any:worker")["messages"]
    at.type("nack", mail["id"], "--fence", str(mail["fence"]), "--delay", "500", "--reason", "later")
    at.type("show", mail["id"])
    at.type("poll", "worker/w")


def oversight(at: Typist) -> None:
    """Inboxes, dead letters and what is found in them."""
    at.type("inbox", "list")
    for verb in ("pause", "resume", "drain", "resume"):
        at.type("inbox", verb, "worker/w")
    at.type("inbox", "pause", "worker/w", "--key", "t")
    at.type("inbox", "show", "worker/w")
    at.type("inbox", "resume", "worker/w", "--key", "t")
    at.type("inbox", "peek", "worker/w")
    at.type("inbox", "peek", "x/y")
    at.type("inbox", "peek", "worker/w", "--state", "done")
    (dead,) = at.type("dead", "list")["messages"]
    at.type("dead", "show", dead["id"])
    at.type("dead", "requeue", dead["id"])
    (mail,) = at.type("poll", "worker/w")["messages"]
    at.type("nack", mail["id"], "--fence", str(mail["fence"]), "--dead", "--reason", "again")
    at.type("dead", "drop", "--all")
    at.type("search", "worker")
    at.type("search", "again")
    at.type("verify")
    at.type("verify", "--deep")
    at.type("inbox", "purge", "x/y")
    at.type("metrics")


def loops(at: Typist) -> None:
    """A task's two sides, their loop, and their waking."""
    at.type("heartbeat", "t", "--role", "manager")
    at.type("heartbeat", "t", "--role", "worker", "--thread-id", "thread-1")
    at.type("loop", "status", "t")
    at.type("loop", "criterion", "add", "t", "it works")
    at.type("loop", "notify", "t", "how far are you?")
    evidence = '{"checked":"it","how":"looked","result":"pass"}'
    at.type("loop", "evidence", "t", "--iteration", "1", "--evidence", evidence)
    at.type("loop", "continue", "t", "--iteration", "1", "--evidence", evidence)
    at.type("loop", "history", "t")
    at.type("loop", "cycle", "t")
    at.type("loop", "spend", "t", "tokens", "10")
    at.type("loop", "handoff", "t", "--role", "worker", "--summary", "half", "--next", "the rest")
    at.type("loop", "resume", "t")
    at.type("loop", "status", "t")
    at.type("wakeup", "plan", "t")
    at.type("wakeup", "dispatch", "t")
    at.type("autopilot", "start", "t")
    at.type("autopilot", "status", "t")
    at.type("autopilot", "stop", "t")
    at.type("reconcile")
    at.type("reconcile", "--apply")
    at.type("finish", "t")
    at.type("finish", "t", "--force", "--reason", "enough")
    at.type("status")
    made = at.type("token", "create", "laptop")
    at.type("token", "list")
    at.type("token", "rotate", made["id"])
    at.type("token", "revoke", made["id"])


def convoys(at: Typist, folder: Path) -> None:
    """A run that fails, and what people do about it."""
    (folder / "build.toml").write_text(CONVOY)
    at.type("plan", "build.toml")
    run = at.type("run", "build.toml")["run"]
    at.type("runs")
    at.type("status", run)
    at.type("dead", "list", "--run", run)
    at.type("dispute", "list", run)
    at.type("dead", "resolve", "two", "--run", run, "--text", "seen to")
    at.type("dead", "retry", "--run", run)
    at.type("retry", run, "two")
    (folder / "three.toml").write_text('[tasks.three]\ncommand = "true"\n')
    at.type("inject", run, "three.toml")
    at.type("cancel", run)
    at.type("allow", run, "seconds=10")
    at.lines("events", run, "--ndjson")
    at.type("export", run, str(folder / "run.out"))
    (folder / "run.out").unlink()
    at.type("verify", "--deep")
