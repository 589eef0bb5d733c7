"""The command as a process of its own: what it loads, and how it ends when its reader is gone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec

COSTLY = (
    "trio", "anyio", "cattrs", "attrs", "prometheus_client", "rich", "http", "starlette", "anycorn",
    "difflib", "dataclasses", "tomllib", "email", "asyncio", "shutil",
)  # fmt: skip


def postroom(
    folder: Path, *words: str, stdin: bytes = b"", environ: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "postroom", *words],
        cwd=folder,
        input=stdin,
        capture_output=True,
        check=False,
        timeout=50,
        env={**os.environ, **(environ or {})},
    )


def paired(folder: Path) -> None:
    assert postroom(folder, "pair", "t", "--manager", "m", "--worker", "w").returncode == 0


def test_a_poll_loads_no_event_loop_no_metrics_and_nothing_for_terminals(tmp_path: Path) -> None:
    paired(tmp_path)
    program = (
        "import sys; from postroom.console.main import main; code = main(['poll', 'worker/w', '--json']);"
        f"print(*[name for name in {COSTLY!r} if name in sys.modules]); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert (done.returncode, done.stderr) == (4, "")
    assert done.stdout == '{"messages":[]}\n\n'


def test_a_poll_whose_reader_is_gone_releases_what_it_claimed_and_is_quiet(tmp_path: Path) -> None:
    paired(tmp_path)
    sent = postroom(tmp_path, "send", "worker/w", "--type", "t", "--body", "-", "--json", stdin=b"1")
    id: str = msgspec.json.decode(sent.stdout)["id"]
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "postroom", "poll", "worker/w"],
            cwd=tmp_path,
            stdout=write_end,
            stderr=subprocess.PIPE,
            check=False,
            timeout=50,
        )
    finally:
        os.close(write_end)
    assert (done.returncode, done.stderr) == (1, b"")
    shown = msgspec.json.decode(postroom(tmp_path, "show", id, "--json").stdout)
    assert (shown["state"], shown["attempts"]) == ("ready", 0)


def test_a_full_disk_under_standard_output_is_one_line(tmp_path: Path) -> None:
    paired(tmp_path)
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "postroom", "inbox", "list"],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            timeout=50,
        )
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1


def test_json_is_utf_8_and_text_is_escaped_where_the_locale_cannot_hold_it(tmp_path: Path) -> None:
    paired(tmp_path)
    ascii_only = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    body = '"größe"'.encode()
    words = ("send", "worker/w", "--type", "t", "--body", "-", "--json")
    assert postroom(tmp_path, *words, stdin=body, environ=ascii_only).returncode == 0
    peeked = postroom(tmp_path, "inbox", "peek", "worker/w", environ=ascii_only)
    assert (peeked.returncode, peeked.stderr) == (0, b"")
    assert b"gr\\xf6\\xdfe" in peeked.stdout
    polled = postroom(tmp_path, "poll", "worker/w", "--json", environ=ascii_only)
    assert msgspec.json.decode(polled.stdout)["messages"][0]["body"] == "größe"
