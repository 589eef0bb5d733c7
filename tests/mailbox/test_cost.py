"""What the pull commands pay before they do anything, and how a real process waits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import Random

from postroom.mailbox.desk import Desk
from postroom.mailbox.ids import IdMaker
from postroom.store.clock import SystemClock
from postroom.store.urls import open_store

HEAVY = (
    "trio",
    "cattrs",
    "attr",
    "prometheus_client",
    "rich",
    "http",
    "asyncio",
    "ssl",
    "difflib",
    "hypothesis",
)

POLLS = """
import sys
from random import Random
from postroom.mailbox.desk import Desk
from postroom.mailbox.ids import IdMaker
from postroom.mailbox.views import delivery_view
from postroom.store.clock import SystemClock
from postroom.store.urls import open_store
desk = Desk(open_store(sys.argv[1], create=False), IdMaker(SystemClock(), Random()))
print("ready", flush=True)
found = desk.poll("worker/w", wait=float(sys.argv[2]))
for got in found:
    desk.ack(got.id, got.fence, b'"heard"')
print(len([delivery_view(got) for got in found]), *[name for name in sys.argv[3:] if name in sys.modules])
"""


def _polling(url: str, wait: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", POLLS, url, str(wait), *HEAVY]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_poll_loads_nothing_heavy(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/postroom.db"
    desk = Desk(open_store(url, create=True), IdMaker(SystemClock(), Random()))
    desk.pair("t", "m", "w")
    desk.store.close()
    with _polling(url, 0.0) as process:
        assert process.communicate()[0].split() == ["ready", "0"]


def test_a_process_that_waits_hears_what_another_one_sends(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/postroom.db"
    desk = Desk(open_store(url, create=True), IdMaker(SystemClock(), Random()))
    desk.pair("t", "m", "w")
    with _polling(url, 50.0) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        desk.send("worker/w", "task", b"1", sender="manager/m")
        (reply,) = desk.poll("manager/m", wait=50.0)
        assert reply.body == b'"heard"'
        assert process.communicate()[0].split() == ["1"]
    desk.store.close()
