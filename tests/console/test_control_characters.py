"""A store and files full of what terminals obey; no command lets any of it through.

The commands are found by walking the table and every parser, so a new one cannot be forgotten: it
fails here until it has been given its arguments.
"""

from __future__ import annotations

import io
import json
import logging
import os
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hostile_words import HIDDEN_ID, HOSTILE, IN_FILES, STORE, assert_harmless, judge
from prove.inputs.command_lines import run
from prove.inputs.material import BROKEN

from postroom.console.main import COMMANDS
from postroom.console.parsing import Parser
from postroom.mailbox import threads
from postroom.mailbox.desk import Desk
from postroom.mailbox.ids import IdMaker, id_text
from postroom.mailbox.threads import Thread
from postroom.store.errors import PostroomError
from postroom.store.records import (
    Activate,
    Answer,
    Control,
    InboxSpec,
    NewMessage,
    OpenSession,
    Operation,
    Put,
    Register,
    Send,
    Session,
    Settle,
    Switch,
    Verdict,
    Write,
)
from postroom.store.sqlite.file import FileStore, open_file
from postroom.store.transact import transact

ALONE = {
    "serve": "it serves until it is stopped",
    "bench": "it measures for minutes",
    "simulate": "it looks into no store, and takes seconds",
}
"""Commands that are not run to their end here; what they refuse is looked at all the same."""


class Hostile:
    """A store whose every text that data can reach is hostile. The store itself does not look at them."""

    def __init__(self, path: Path, sender: str = HOSTILE) -> None:
        self._sender = sender
        self.store: FileStore = open_file(path, create=True)
        self._ids = IdMaker(self.store.clock, Random(7))
        Desk(self.store, self._ids).pair("t", "m", "w")
        self.waiting = [self._send(str(n)) for n in range(9)]
        self.dead = [self._ended(Verdict.DEAD) for _ in range(9)]
        self.retried = self._ended(Verdict.RETRY)
        self.acked = self._ended(Verdict.ACK)
        self._others()

    def apply(self, *operations: Operation) -> list[Answer]:
        answers = transact(self.store, operations)
        assert not [answer for answer in answers if isinstance(answer, PostroomError)], answers
        return answers

    def _message(self, n: str, recipient: str = "worker/w") -> NewMessage:
        return NewMessage(
            self._ids.new(),
            recipient,
            self._sender,
            HOSTILE,
            json.dumps({HOSTILE.replace("\0", ""): [HOSTILE.replace("\0", "")]}).encode(),
            correlation_id=HOSTILE,
            causation_id=HOSTILE,
            dedup_key=HOSTILE + n,
            headers=json.dumps({HOSTILE: HOSTILE}).encode(),
        )

    def _send(self, n: str) -> str:
        message = self._message(n)
        self.apply(Send(message))
        return id_text(message.id)

    def _ended(self, verdict: Verdict) -> str:
        desk = Desk(self.store, self._ids)
        message = self._message(os.urandom(4).hex(), "manager/m")
        self.apply(Send(message))
        (delivery,) = desk.poll("manager/m", lease=600)
        assert delivery.id == message.id
        self.apply(
            Settle(message.id, delivery.fence, verdict, reason=HOSTILE, error=HOSTILE, delay_us=10**12)
        )
        return id_text(message.id)

    def _others(self) -> None:
        """A pause key, a session, an activation and records with hostile names."""
        (session,) = self.apply(OpenSession(HOSTILE, "poll", HOSTILE, 10**10))
        assert isinstance(session, Session)
        self.apply(
            Control("worker/w", Switch.PAUSE, HOSTILE),
            Control("worker/w", Switch.RESUME, HOSTILE),
            Activate(HOSTILE, session.id),
            Put((Write(HOSTILE, HOSTILE, HOSTILE, HOSTILE.encode()),)),
            Put((threads.THREADS.write("worker/w", Thread("worker/w", HIDDEN_ID, HIDDEN_ID, 0), 0),)),
        )


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hostile:
    """The store, closed again, for commands open it themselves."""
    monkeypatch.chdir(tmp_path)
    made = Hostile(tmp_path / "post.db")
    made.store.close()
    return made


def polled() -> tuple[str, str]:
    """The id and fence of a message that was just claimed."""
    seen = run(("--store", STORE, "--json", "poll", "worker/w", "--lease", "600"))
    assert_harmless("poll", seen.out)
    (message,) = json.loads(seen.out)["messages"]
    return message["id"], str(message["fence"])


def test_a_poll_for_people_and_for_shells_is_harmless(hostile: Hostile) -> None:
    judge("poll", "worker/w", "--max", "2")


def test_settling_is_harmless(hostile: Hostile) -> None:
    send = {"to": "manager/m", "type": "x", "correlation": "c", "body": HOSTILE.replace("\0", "")}
    sends = json.dumps(send).encode()
    for words, stdin in (
        (("ack",), b""),
        (("ack", "--send", "-"), sends),
        (("nack", "--reason", "why"), b""),
        (("nack", "--dead"), b""),
        (("extend",), b""),
    ):
        id, fence = polled()
        judge(words[0], id, "--fence", fence, *words[1:], stdin=stdin)
    id, fence = polled()
    judge("nack", id, "--fence", fence, "--reason", HOSTILE.replace("\0", ""), codes=(2,))
    judge("ack", id, "--fence", fence, "--reply", f'"{HOSTILE}"', codes=(2,))
    judge("ack", id, "--fence", fence, "--send", "-", stdin=HOSTILE.encode(), codes=(2,))
    judge("ack", id, "--fence", fence, "--reply", "1", codes=(2,))  # to a sender that has no address
    judge("ack", id, "--fence", "1", codes=(3,))


def test_looking_is_harmless(hostile: Hostile, tmp_path: Path) -> None:
    store = open_file(tmp_path / "post.db", create=False)
    transact(store, [Register((InboxSpec(HOSTILE),))])  # no verb takes such a name, but a store might
    store.close()
    for id in (hostile.waiting[0], hostile.dead[0], hostile.retried, hostile.acked):
        judge("show", id)
    judge("inbox", "list")
    judge("inbox", "show", "worker/w")
    judge("inbox", "peek", "worker/w")
    judge("inbox", "peek", "manager/m", "--state", "dead")
    judge("dead", "list")
    judge("dead", "list", "manager/m")
    judge("dead", "show", hostile.dead[0])
    judge("status")
    judge("verify", "--deep")
    judge("doctor", codes=(0, 1))
    judge("repair", codes=(0, 1, 2, 3))


def test_deciding_is_harmless(hostile: Hostile) -> None:
    for verb in ("pause", "resume", "drain", "resume", "purge"):
        judge("inbox", verb, "worker/w")
    judge("inbox", "pause", "worker/w", "--key", HOSTILE.replace("\0", ""), codes=(2,))
    judge("inbox", "resume", "worker/w", "--key", HOSTILE.replace("\0", ""))
    judge("send", "worker/w", "--type", "x", "--body", json.dumps(HOSTILE.replace("\0", "")))
    judge("pair", "t", "--manager", "m", "--worker", "w")
    for id in hostile.dead[:3]:
        seen = run(("--store", STORE, "dead", "requeue", id))
        assert_harmless("requeue", seen.out + seen.err)
        judge("dead", "requeue", id, codes=(3,))
    judge("dead", "drop", "--all")


def test_looping_is_harmless(hostile: Hostile) -> None:
    word = HOSTILE.replace("\0", "")
    judge("heartbeat", "t", "--role", "worker")
    judge("heartbeat", "t", "--role", "worker", "--thread-id", word, codes=(2,))
    judge("loop", "start", "t", "--max-iterations", "9")
    evidence = '{"checked": "a", "how": "b", "result": "pass"}'
    judge("loop", "evidence", "t", "--iteration", "1", "--evidence", json.dumps({word: word}), codes=(2,))
    judge("loop", "evidence", "t", "--iteration", "1", "--evidence", evidence)
    judge("loop", "continue", "t", "--iteration", "1", "--evidence", evidence)
    for verb, *more in (("add",), ("accept", "--reason", word)):
        judge("loop", "criterion", verb, "t", word, *more, codes=(2,))
    judge("loop", "spend", "t", "tokens", "1")
    judge("loop", "resume", "t", "--add", f"{word}=1", codes=(2,))
    for line in (("loop", "permit", "t"), ("loop", "forbid", "t"), ("search",)):
        judge(*line, word, codes=(2,))
    judge("loop", "ack", "t", "blocked", "--role", "worker", "--text", word, codes=(2,))
    judge("loop", "nudge", "t", word, codes=(2,))
    judge("loop", "notify", "t", word, codes=(2,))
    judge("loop", "handoff", "t", "--role", "worker", "--summary", word, "--next", "n", codes=(2,))
    judge("loop", "decide", "t", "wait", "--reason", word, codes=(2,))
    judge("loop", "status", "t")
    judge("loop", "history", "t")
    judge("loop", "cycle", "t", codes=(4,))
    judge("search", "t")
    judge("finish", "t", codes=(1,))
    judge("reconcile", "--stuck", "0")


def test_waking_is_harmless(hostile: Hostile) -> None:
    word = HOSTILE.replace("\0", "")
    judge("wakeup", "plan", "t")
    receipt = json.loads(run(("--store", STORE, "--json", "wakeup", "dispatch", "t")).out)["receipt"]
    judge("wakeup", "dispatch", "t")
    sent = ("--role", "worker", "--status", "sent", "--thread-id", word)
    judge("wakeup", "record", "t", "--receipt", receipt, *sent, "--reason", word, codes=(2,))
    judge("wakeup", "record", "t", "--receipt", word, *sent, codes=(1, 2, 3))
    judge("wakeup", "rotate", "t", "--role", "worker", "--from", "x", "--to", word, codes=(2, 3))
    judge("wakeup", "join", "t", "--role", "worker", "--messages", "2")
    judge("wakeup", "join", word, "--role", "worker", "--messages", "2", codes=(1, 2))
    judge("wakeup", "drive", codes=(1, 2))
    judge("autopilot", "start", "t")
    judge("autopilot", "status", "t")
    judge("autopilot", "stop", "t")


def test_tokens_are_harmless(hostile: Hostile) -> None:
    word = HOSTILE.replace("\0", "")
    judge("token", "create", word, codes=(2,))
    judge("token", "create", "bob", "--inbox", word, codes=(2,))
    judge("token", "create", "bob")
    judge("token", "list")
    made = _tokens()[0]
    judge("token", "rotate", made)
    judge("token", "revoke", made)


def _tokens() -> list[str]:
    """The ids of all tokens."""
    found = json.loads(run(("--store", STORE, "--json", "token", "list")).out)
    return [token["id"] for token in found["tokens"]]


def test_a_backup_and_its_restoring_are_harmless_whatever_the_files_are_called(hostile: Hostile) -> None:
    for n, word in enumerate(("\x1b[2J", "\u202ex", "a\nb")):
        path = f"{word}{n}.db"
        seen = run(("--store", STORE, "backup", path))
        assert_harmless("backup", seen.out + seen.err)
        assert Path(path).exists(), seen
        judge("backup", path, codes=(3,))
        judge("restore", path, "--force")
        judge("restore", path, codes=(5,))
        judge("copy", "--from", STORE, "--to", f"sqlite:///{path}", codes=(3,))
        judge("copy", "--from", f"sqlite:///{path}", "--to", f"sqlite:///{path}.copy", codes=(0, 3, 5))


def test_metrics_are_harmless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Hostile(tmp_path / "post.db", sender="operator/cli").store.close()  # roles of addresses are labels
    judge("metrics")


def test_hostile_settings_are_refused_in_one_plain_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = IN_FILES.encode("unicode_escape").decode().replace("\\x", "\\u00")
    for line in (
        f'"{text}" = 1',
        f'lease = "{text}"',
        f'inboxes = ["{text}"]',
        f"# {IN_FILES}",
        f'listen = "{text}"',
    ):
        Path("postroom.toml").write_text(line + "\n")
        for words in (("status",), ("serve",), ("metrics",)):
            for flags in ((), ("--json",)):
                seen = run((*flags, *words))
                assert seen.code in (2, 5), (line, seen)
                assert_harmless(line, seen.out + seen.err)


def leaves() -> list[tuple[str, ...]]:
    """Every command with every sub-command, from the table and the parsers themselves."""
    found: list[tuple[str, ...]] = []
    for name, about in COMMANDS.items():
        parser = Parser(prog="postroom", add_help=False)
        subparsers = parser.add_subparsers()
        module: Any = import_module(f"postroom.console.{about.module}")
        module.add_parser(subparsers)
        actions: list[Any] = subparsers.choices[name]._actions  # pyright: ignore[reportPrivateUsage]  # there is no public walk
        verbs: list[str] = []
        for action in actions:
            if type(action).__name__ == "_SubParsersAction":
                verbs += action.choices
        found += [(name, verb) for verb in verbs] or [(name,)]
    return found


@pytest.mark.parametrize("word", [HOSTILE.replace("\0", ""), BROKEN[-1]], ids=["hostile", "broken"])
def test_every_command_is_harmless_with_hostile_words(word: str, hostile: Hostile) -> None:
    for leaf in leaves():
        judge(*leaf, word, "--such-an-option-is-not-there", codes=(2,))
        judge(*leaf, f"--{word}", codes=(2,))
        judge(*leaf, f"--store={word}", "--such-an-option-is-not-there", codes=(2,))
        if leaf[0] not in ALONE:
            judge(*leaf, word, word, "--fence", word, codes=(1, 2, 3))


def test_the_help_of_every_command_is_harmless(hostile: Hostile) -> None:
    for leaf in leaves():
        seen = run((*leaf, "--help"))
        assert seen.code == 0
        assert_harmless(leaf, seen.out + seen.err)


def test_every_command_was_run_to_its_end_here() -> None:
    source = "".join(path.read_text() for path in Path(__file__).parent.glob(f"{Path(__file__).stem}*.py"))
    for leaf in leaves():
        words = ", ".join(f'"{word}"' for word in leaf)
        known = f"({words}" in source or leaf[0] in ALONE or leaf[0] == "poll" or leaf[0] == "inbox"
        assert known, f"no test runs {' '.join(leaf)}: give it its arguments here"


def test_what_is_logged_is_one_plain_line(hostile: Hostile) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logging.getLogger("postroom").addHandler(handler)
    try:
        judge("status")
    finally:
        logging.getLogger("postroom").removeHandler(handler)
    assert_harmless("logs", stream.getvalue())


def test_a_body_in_the_columns_for_a_shell_is_the_same_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    at = ("--store", STORE)
    assert run((*at, "pair", "t", "--manager", "m", "--worker", "w")).code == 0
    assert run((*at, "send", "worker/w", "--type", "x", "--body", '"\x9b\u202e\x7f"')).code == 0
    seen = run((*at, "poll", "worker/w"))
    assert_harmless("poll", seen.out)
    assert json.loads(seen.out.rstrip("\n").split("\t")[-1]) == "\x9b\u202e\x7f"
