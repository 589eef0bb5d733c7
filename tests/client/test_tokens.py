"""Tokens: where they come from, and that nobody sees them."""

from __future__ import annotations

from pathlib import Path

import pytest
from client_places import Gateway

from postroom.client import Client
from postroom.client.secrets import Secret, find_token
from postroom.store.errors import BadInput, Refused

CANARY = "postroom_0123456789abcdef_canary"


def a_file(folder: Path, text: str, mode: int = 0o600) -> Path:
    file = folder / "token"
    file.write_text(text)
    file.chmod(mode)
    return file


def found(*args: object) -> str | None:
    secret = find_token(*args)  # type: ignore[arg-type]  # as each test gives them
    return None if secret is None else secret.reveal()


def test_a_token_is_given_or_in_a_file_or_in_the_environment(tmp_path: Path) -> None:
    file = a_file(tmp_path, CANARY + "\n")
    assert found(CANARY, None, "other") == CANARY
    assert found(None, file, "other") == CANARY
    assert found(None, None, CANARY) == CANARY
    assert found(None, None, None) is None
    with pytest.raises(BadInput, match="leave one out"):
        found(CANARY, file, None)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622, 0o601])
def test_a_file_that_others_can_read_or_write_is_refused(mode: int, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="chmod 600") as caught:
        found(None, a_file(tmp_path, CANARY, mode), None)
    assert "canary" not in str(caught.value)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(BadInput):
            found(None, path, None)


@pytest.mark.parametrize(
    "text", ["", " ", f"{CANARY} {CANARY}", f"{CANARY}\nX-Evil: 1", "cänary", "x" * 5000]
)
def test_what_is_no_token_is_refused_and_not_shown(text: str, tmp_path: Path) -> None:
    for given in ((text, None, None), (None, a_file(tmp_path, text), None), (None, None, text)):
        with pytest.raises(BadInput) as caught:
            found(*given)
        assert "canary" not in str(caught.value)


def test_no_token_is_ever_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTROOM_TOKEN", CANARY)
    for client in (Client("http://127.0.0.1:1"), Client("http://127.0.0.1:1", token=CANARY)):
        assert "canary" not in repr(client) + repr(vars(client))
    assert repr(Secret(CANARY)) == str(Secret(CANARY)) == "<secret>"


def test_a_token_does_not_cross_a_network_in_clear_text() -> None:
    with pytest.raises(BadInput, match="clear text") as caught:
        Client("http://example.org", token=CANARY)
    assert "canary" not in str(caught.value)
    for url, insecure in (
        ("https://example.org", False),
        ("http://[::1]:9", False),
        ("http://a.example", True),
    ):
        Client(url, token=CANARY, insecure=insecure)


def test_a_store_url_takes_no_token(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="store URL"):
        Client(f"sqlite:///{tmp_path}/x.db", token=CANARY)


@pytest.mark.anyio
async def test_a_wrong_token_is_refused_and_not_shown(gateway: Gateway) -> None:
    async with gateway.client(token=CANARY) as client:
        with pytest.raises(Refused) as caught:
            await client.poll("worker/anna")
    assert caught.value.code == "unauthorized"
    assert "canary" not in f"{caught.value} {caught.value!r} {client!r}"


@pytest.mark.anyio
async def test_a_scoped_token_does_what_it_is_for_and_nothing_else(gateway: Gateway) -> None:
    text = await gateway.scoped(
        inboxes=["worker/anna", "client/*"], to=["manager/*"], verbs=["poll", "ack", "send"]
    )
    async with gateway.client(token=text) as client:
        assert await client.poll("worker/anna") == []
        assert (await client.send("manager/mo", "t", sender="worker/anna")).state == "accepted"
        for refused in (
            client.poll("worker/ben"),
            client.send("worker/ben", "t"),
            client.send("manager/mo", "t", sender="worker/ben"),
            client.extend("01890000-0000-4000-8000-000000000000", 1),
        ):
            with pytest.raises(Refused) as caught:
                await refused
            assert caught.value.code == "forbidden"
