from __future__ import annotations

import os
import socket
import stat
from pathlib import Path
from random import Random

import pytest
import trio
from gateways import do

from postroom.gateway.door import Door, socket_names
from postroom.gateway.serving import opened_gateway
from postroom.gateway.sockets import listen_unix
from postroom.store.clock import SystemClock
from postroom.store.errors import BadInput
from postroom.store.memory import MemoryStore
from postroom.store.records import InboxSpec, Register
from postroom.telemetry.listener import CannotListen
from postroom.telemetry.metrics import Metrics


def test_a_socket_is_its_owners_alone_and_goes_away(tmp_path: Path) -> None:
    path = tmp_path / "gate.sock"
    before = os.umask(0)
    os.umask(before)
    with listen_unix(path):
        assert stat.S_IMODE(path.lstat().st_mode) == 0o600
    assert not path.exists()
    assert os.umask(before) == before


def test_a_socket_that_nobody_listens_on_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "gate.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with listen_unix(path), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_a_socket_that_is_in_use_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "gate.sock"
    with listen_unix(path), pytest.raises(CannotListen, match="somebody listens there"), listen_unix(path):
        pass
    assert not path.exists()


def test_what_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    link = tmp_path / "link"
    link.symlink_to(path)
    for taken in (path, link, tmp_path):
        with pytest.raises(CannotListen, match="something else"), listen_unix(taken):
            pass
    assert path.read_text() == "mine"


def test_a_place_that_cannot_be_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(CannotListen, match="no such file"), listen_unix(tmp_path / "none" / "gate.sock"):
        pass
    with pytest.raises(BadInput, match="too long"), listen_unix(tmp_path / ("x" * 120)):
        pass


def test_a_file_that_took_the_sockets_place_is_not_removed_with_it(tmp_path: Path) -> None:
    path = tmp_path / "gate.sock"
    with listen_unix(path):
        path.unlink()
        path.write_text("mine")
    assert path.read_text() == "mine"


async def test_the_verbs_are_served_on_a_socket_without_a_token(tmp_path: Path) -> None:
    store = MemoryStore(SystemClock())
    do(store, Register((InboxSpec("worker/anna"),)))
    path = tmp_path / "gate.sock"
    body = b'{"inbox":"worker/anna"}'
    with listen_unix(path) as listener:
        door = Door(socket_names(), open=True)
        async with (
            opened_gateway(store, [(listener, door)], Metrics(store), rng=Random(1)),
            await trio.open_unix_socket(path) as stream,
        ):
            for host, status in ((b"localhost", b"200"), (b"evil.example", b"403")):
                await stream.send_all(
                    b"POST /v1/poll HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"
                    b"Content-Length: %d\r\n\r\n%s" % (host, len(body), body)
                )
                answer = await stream.receive_some()
                assert answer.startswith(b"HTTP/1.1 " + status)
