"""``postroom copy`` that is killed in the middle, and given again."""

from __future__ import annotations

import re
import resource
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from port_verbs import a_message, register
from shells import Shell

from postroom.store import records as r
from postroom.store.copying.copy import copy
from postroom.store.sqlite.file import open_file
from postroom.store.transact import transact

pytestmark = pytest.mark.long

MANY = 25_000
"""Messages: three durable steps of a copy, and as many of remembered ids on a server."""

AT_ONCE = 1000
BODY = b'{"n": 1234567890123456789012345678901234567890}'


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stopped store with very many messages, which stays as it is."""
    path = tmp_path_factory.mktemp("many") / "a.db"
    with closing(open_file(path, create=True)) as store:
        register(store, "worker/a", bound=MANY)
        for _ in range(0, MANY, AT_ONCE):
            transact(store, [r.Send(a_message(body=BODY)) for _ in range(AT_ONCE)])
    return path


@pytest.fixture
def urls(direction: str, many: Path, tmp_path: Path, request: pytest.FixtureRequest) -> tuple[str, str]:
    """Where a copy is from and where it goes to."""
    file, target = f"sqlite:///{many}", f"sqlite:///{tmp_path}/b.db"
    if direction == "file to file":
        return file, target
    url: str = request.getfixturevalue("postgres_url")
    if direction == "file to server":
        return file, url
    copy(file, url)
    return url, target


def killed(source: str, target: str, when: str) -> None:
    """The command in a process of its own, killed as soon as it has told something."""
    words = [sys.executable, "-m", "postroom", "copy", "--from", source, "--to", target]
    with subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        heard = any(when in line for line in process.stderr)
        process.kill()
        assert heard, "it ended without telling that"


def _copied(told: str) -> list[int]:
    """How many messages were there after each step."""
    return [int(n.replace(",", "")) for n in re.findall("copied (.*) of .* messages", told)]


@pytest.mark.parametrize("direction", ["file to server", "server to file", "file to file"])
@pytest.mark.parametrize(
    ("when", "there"),
    [
        ("inboxes", 0),
        ("copied 10,000 of 25,000 messages", 10_000),
        ("copied 25,000 of 25,000 messages", MANY),
        ("compared 10,000 of 25,000 messages", MANY),
        ("compared 25,000 of 25,000 ids", MANY),
    ],
)
def test_a_copy_that_is_killed_goes_on_where_it_was(
    when: str, there: int, direction: str, urls: tuple[str, str], shell: Shell, tmp_path: Path
) -> None:
    source, target = urls
    killed(source, target, when)
    assert shell.error("status", "--store", target, code=5) == "store_unavailable"
    assert shell.run("copy", "--from", source, "--to", target, "--json") == 0
    done = msgspec.json.decode(shell.out)
    found, line = done["found"]["messages"], shell.err.splitlines()[0]
    assert re.fullmatch(
        f"going on with the copy begun at [-0-9]+T[:0-9]+Z: {found:,} of 25,000 messages are there", line
    )
    assert found in (there, min(there + 10_000, MANY))  # it may have gone on a little before it was dead
    assert _copied(shell.err) == [n for n in (10_000, 20_000, MANY) if n > found]
    assert "compared 25,000 of 25,000 messages" in shell.err
    assert shell.json("verify", "--deep", "--store", target)["accepted"] == MANY
    assert not list(tmp_path.glob("*.copying*"))


@pytest.mark.parametrize("direction", ["file to server"])
def test_a_copy_that_is_killed_again_and_again_comes_to_its_end(urls: tuple[str, str], shell: Shell) -> None:
    for n in (10_000, 20_000, MANY):
        killed(*urls, f"copied {n:,} of 25,000 messages")
    assert shell.run("copy", "--from", urls[0], "--to", urls[1]) == 0
    assert "copied 25,000 of 25,000 messages" not in shell.err
    assert shell.json("verify", "--deep", "--store", urls[1])["accepted"] == MANY


@pytest.mark.parametrize("direction", ["file to file"])
def test_a_copy_that_has_no_room_goes_on_when_there_is_some(urls: tuple[str, str], shell: Shell) -> None:
    words = [sys.executable, "-m", "postroom", "copy", "--from", urls[0], "--to", urls[1]]

    def little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4_500_000, resource.RLIM_INFINITY))

    done = subprocess.run(
        words, check=False, capture_output=True, text=True, timeout=50, preexec_fn=little_room
    )
    assert done.returncode == 5, done.stderr
    there = _copied(done.stderr)[-1]
    assert there < MANY
    assert shell.run("copy", "--from", urls[0], "--to", urls[1]) == 0
    assert f"{there:,} of 25,000 messages are there" in shell.err
    assert shell.json("verify", "--deep", "--store", urls[1])["accepted"] == MANY


@pytest.mark.parametrize("direction", ["file to server"])
def test_a_source_that_was_used_since_is_told_in_one_line(
    urls: tuple[str, str], shell: Shell, tmp_path: Path
) -> None:
    source = f"sqlite:///{tmp_path}/used.db"
    shell.json("pair", "t", "--manager", "m", "--worker", "w", "--store", source)
    killed(source, urls[1], "inboxes")
    shell.json("send", "worker/w", "--type", "t", "--body", "1", "--store", source)
    words = ("copy", "--from", source, "--to", urls[1])
    assert shell.error(*words, code=3) == "conflict"
    assert "has changed since" in shell.err
    assert "begin anew with: --anew" in shell.err
    assert shell.run(*words, "--anew") == 0
    assert "going on" not in shell.err
    assert shell.json("verify", "--deep", "--store", urls[1])["accepted"] == 1
