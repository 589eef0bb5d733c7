"""TOML: settings and convoys, read from a folder of their own."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from random import Random

from postroom.actors.convoys.plan import Convoy
from postroom.actors.convoys.spec.reading import read_convoy
from postroom.console.settings import Settings, load
from postroom.store.errors import BadInput

from . import material
from .judging import demand

SETTINGS = b"""\
# settings
store = "sqlite:///jobs/post.db"
lease = 30.5
listen = "127.0.0.1:9465"
inboxes = ["worker/a", "worker/b"]
"""
CONVOY = b"""\
[convoy]
name = "release"
concurrency = 3

[input]
version = "1.0"
count = 3

[tasks.build]
command = ["true", "{{input.version}}", "{{ convoy.folder }}"]
retries = 2
timeout = 10.5
env = { LANG = "C", "A_B" = '''x''' }

[tasks.test]
call = "json:dumps"
depends_on = ["build"]
[tasks.test.arguments]
obj = { n = 1, list = [1, 2.5, true] }

[[tasks.wrong]]
"""
PIECES = (
    "1979-05-27T07:32:00Z", "1979-05-27", "07:32:00", "2024-13-45", "inf", "nan", "-inf", "0x" + "f" * 40,
    "1e400", "9" * 400, "9" * 5000, "0b2",
    "[" * 1000, "[" * 200 + "]" * 200, "{a=" * 1000, "[[" * 50, "a.a.a.a", "a" + ".a" * 2000, '"a".b',
    '"""', "'''", '"\\u0000"', '"\\ud800"',
    '"\\U00110000"', "\\x1b", "lease", "store", "[tasks.build]", "[tasks.build.env]", "[convoy]",
    "tasks = 3", "[]", "[.]", "= 1", "x = 1", "# \x1b",
    '"" = "x"', '"a=b" = "x"', '"a\\u0000b" = "x"', '"\\u001b[2J" = 1', "{{input.x}}",
    "{{input.version}}", "\r", "\x00", "\ufeff",
)  # fmt: skip
HOSTILE = (
    "-n",
    "../../..",
    "/",
    "~",
    "*",
    "\\u0000",
    "\\u001b[2J",
    "x" * 5000,
    "",
    "{{input.none}}",
    "{{convoy.folder}}",
    "--",
    "\\u202e",
)


class Files:
    """Bent files; a file that is taken says what TOML says it says."""

    def __init__(self, folder: Path) -> None:
        self._settings, self._convoy = folder / "settings", folder / "convoys"
        for place in (self._settings, self._convoy):
            place.mkdir()
        self._where = folder

    def attempt(self, rng: Random) -> None:
        if rng.random() < 0.6:
            (self._settings / "postroom.toml").write_bytes(_bent(rng, SETTINGS))
            self._judge(self._load(rng))
        else:
            right = CONVOY if rng.random() < 0.1 else CONVOY.replace(b"[[tasks.wrong]]\n", b"")
            (self._convoy / "release.toml").write_bytes(_bent(rng, right))
            self._judge(self._read(rng))

    def _load(self, rng: Random) -> Callable[[], object]:
        environ = {}
        if rng.random() < 0.3:
            key = rng.choice(("LEASE", "STORE", "LISTEN", "INBOXES", "NOTHING"))
            environ = {f"POSTROOM_{key}": material.word(rng, rng.choice(("1.5", *material.NUMBERS)))}
        return lambda: check_settings(load(environ=environ, folder=self._settings))

    def _read(self, rng: Random) -> Callable[[], object]:
        settings = {} if rng.random() < 0.8 else {material.word(rng, "version"): material.text(rng)}
        return lambda: check_convoy(read_convoy(self._convoy / "release.toml", settings))

    def _judge(self, call: Callable[[], object]) -> None:
        try:
            call()
        except BadInput as error:  # the console makes one plain line of it: see command lines
            demand(0 < len(str(error)) <= 2_000_000, "an error without an end", len(str(error)))


def _bent(rng: Random, right: bytes) -> bytes:
    kind = rng.random()
    if kind < 0.35:
        return material.bent(rng, right)
    if kind < 0.95:
        lines = right.decode().split("\n")
        at = rng.randrange(len(lines))
        key, equals, _ = lines[at].partition(" = ")
        if kind < 0.6 and equals:
            lines[at] = (
                f'{key} = "{rng.choice(HOSTILE)}"' if rng.random() < 0.5 else f"{key} = {rng.choice(PIECES)}"
            )
        elif kind < 0.75:
            lines[at] = rng.choice(PIECES)
        else:
            lines[at:at] = rng.choice(
                ((lines[at],), (rng.choice(PIECES),), (f"x{rng.randrange(9)} = {rng.choice(PIECES)}",))
            )
        return "\n".join(lines).encode("utf-8", "surrogatepass")
    return material.noise(rng).encode("utf-8", "surrogatepass")


def check_settings(settings: Settings) -> None:
    demand(0.001 <= settings.lease <= 86400, "a lease was taken", settings)
    demand("\0" not in settings.store, "a store was taken", settings)


def check_convoy(convoy: Convoy) -> None:
    ids = {task.id for task in convoy.tasks}
    demand(1 <= convoy.concurrency <= 64 and 0 < len(convoy.name) <= 128, "a head was taken", convoy)
    for task in convoy.tasks:
        demand(bool(task.work.call) != bool(task.work.command), "a task was taken", task)
        demand(0 <= task.retry.retries <= 100 and 0 < task.timeout <= 604_800, "a task was taken", task)
        demand(set(task.depends_on) <= ids - {task.id}, "a dependency was taken", task)
        words = (*task.work.command, task.cwd, *task.env, *task.env.values())
        demand(not any("\0" in word for word in words), "NUL was taken", task)
        demand(all(key and "=" not in key for key in task.env), "a variable was taken", task)
        demand(os.path.isabs(task.cwd), "a folder was taken", task)  # noqa: PTH117  # it is a text
