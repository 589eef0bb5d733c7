"""Drivers that really wake: commands and webhooks, and how they misbehave."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import msgspec
import pytest
import trio

from postroom.actors.wakeups.commands import CommandDriver, words
from postroom.actors.wakeups.drivers import ByRole, Delivered, Order
from postroom.actors.wakeups.webhooks import WebhookDriver, check_url
from postroom.store.errors import BadInput

ORDER = Order("t1", "worker", "worker/w", "th {prompt} 7", "you have\tmail; $(rm -rf x)", "r-1")
LONG = 30.0


def test_a_template_is_filled_word_by_word_and_what_is_put_in_is_not_read_again() -> None:
    template = ["say", "--to={thread_id}", "{prompt}", "{role}/{task}/{address}/{receipt}", "{}", "{x}"]
    assert words(template, ORDER) == [
        "say", "--to=th {prompt} 7", "you have\tmail; $(rm -rf x)", "worker/t1/worker/w/r-1", "{}", "{x}",
    ]  # fmt: skip


async def test_exit_code_zero_is_sent_and_no_shell_reads_the_words(tmp_path: Path) -> None:
    script = "import sys, pathlib; pathlib.Path(sys.argv[1]).write_text(sys.argv[2])"
    driver = CommandDriver([sys.executable, "-c", script, str(tmp_path / "said"), "{prompt}"], timeout=LONG)
    assert await driver.wake(ORDER) is Delivered.SENT
    assert (tmp_path / "said").read_text() == ORDER.prompt


@pytest.mark.parametrize("command", [["false"], ["no-such-program-here"]])
async def test_any_other_end_is_failed_and_logged(
    command: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "postroom.wakeups"):
        assert await CommandDriver(command, timeout=LONG).wake(ORDER) is Delivered.FAILED
    assert "worker/w" in caplog.text


async def test_a_command_that_somebody_killed_may_have_had_its_effect(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "postroom.wakeups"):
        killed = CommandDriver(["sh", "-c", "kill -9 $$"], timeout=LONG)
        assert await killed.wake(ORDER) is Delivered.UNKNOWN
    assert "killed by signal 9" in caplog.text


async def test_a_command_that_hangs_is_ended_with_its_children_and_is_unknown(tmp_path: Path) -> None:
    """The children hold one end of a pipe open: what reads the other end sees when all are gone."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    script = f"trap '' TERM; sleep 600 > {pipe} & exec 3> {pipe}; wait"
    hung = CommandDriver(["sh", "-c", script], timeout=0.1, grace=0.1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, pipe.read_bytes)
        assert await hung.wake(ORDER) is Delivered.UNKNOWN


async def test_a_command_that_floods_is_read_and_ends_as_it_will() -> None:
    flood = CommandDriver(["sh", "-c", "head -c 8000000 /dev/zero"], timeout=LONG)
    assert await flood.wake(ORDER) is Delivered.SENT


async def test_a_command_that_never_stops_talking_is_ended() -> None:
    assert await CommandDriver(["yes"], timeout=0.1).wake(ORDER) is Delivered.UNKNOWN


async def test_a_child_in_the_background_keeps_nobody_waiting() -> None:
    driver = CommandDriver(["sh", "-c", "sleep 5 & exit 0"], timeout=LONG)
    assert await driver.wake(ORDER) is Delivered.SENT


# Webhooks


class Hook:
    """A server that answers all requests alike; with no answer it hangs, with an empty one it hangs up."""

    def __init__(self, answer: bytes | None) -> None:
        self.answer = answer
        self.heard = b""
        self.port = 0

    async def serve(self, stream: trio.SocketStream) -> None:
        async with stream:
            while b"\r\n\r\n" not in self.heard or not self.heard.endswith(b"}"):
                self.heard += await stream.receive_some(65536)
            if self.answer is None:
                await trio.sleep_forever()
            elif self.answer:
                await stream.send_all(self.answer)


@asynccontextmanager
async def hooked(answer: bytes | None) -> AsyncGenerator[Hook]:
    hook = Hook(answer)
    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, hook.serve, 0, host="127.0.0.1"))
        hook.port = listener.socket.getsockname()[1]
        yield hook
        nursery.cancel_scope.cancel()


def answering(status: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: 2\r\nLocation: /again\r\n\r\nok".encode()


def hook_driver(hook: Hook, timeout: float = LONG) -> WebhookDriver:
    return WebhookDriver(f"http://127.0.0.1:{hook.port}/wake?a=1", timeout=timeout)


@pytest.mark.parametrize(
    ("answer", "delivered"),
    [
        (answering("200 OK"), Delivered.SENT),
        (answering("204 No Content").replace(b"2\r\n", b"0\r\n")[:-2], Delivered.SENT),
        (answering("302 Found"), Delivered.UNKNOWN),
        (answering("404 Not Found"), Delivered.FAILED),
        (answering("429 Too Many"), Delivered.FAILED),
        (answering("500 Oops"), Delivered.UNKNOWN),
        (b"nonsense\r\n\r\n", Delivered.UNKNOWN),
        (b"", Delivered.UNKNOWN),
    ],
)
async def test_what_a_webhook_answers_decides(answer: bytes, delivered: Delivered) -> None:
    async with hooked(answer) as hook:
        assert await hook_driver(hook).wake(ORDER) is delivered


async def test_a_webhook_gets_the_order_as_json_with_its_receipt_as_the_key() -> None:
    async with hooked(answering("200 OK")) as hook:
        await hook_driver(hook).wake(ORDER)
    head, _, body = hook.heard.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /wake?a=1 HTTP/1.1\r\n")
    assert b"Idempotency-Key: r-1" in head
    assert msgspec.json.decode(body, type=Order) == ORDER


async def test_a_webhook_that_hangs_is_unknown() -> None:
    async with hooked(None) as hook:
        assert await hook_driver(hook, timeout=0.1).wake(ORDER) is Delivered.UNKNOWN


async def test_a_webhook_where_nobody_listens_is_failed() -> None:
    with trio.socket.socket() as free:
        await free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/"
        assert await WebhookDriver(url, timeout=LONG).wake(ORDER) is Delivered.FAILED


@pytest.mark.parametrize(
    "url",
    ["", "wake", "ftp://a/", "http://", "http://a:99999/", "http://a/\r\nX: y", "http://ä/", "http://[1"],
)
def test_what_is_no_web_address_is_bad_input(url: str) -> None:
    with pytest.raises(BadInput, match="webhook"):
        check_url(url)


# Who wakes which role


class Always:
    """A driver that answers always the same."""

    def __init__(self, answer: Delivered) -> None:
        self.answer = answer

    async def wake(self, order: Order) -> Delivered:
        await trio.lowlevel.checkpoint()
        return self.answer


async def test_each_role_has_its_own_driver_and_a_role_without_one_is_not_woken() -> None:
    drivers = ByRole({"worker": Always(Delivered.SENT)})
    assert await drivers.wake(ORDER) is Delivered.SENT
    assert await drivers.wake(msgspec.structs.replace(ORDER, role="manager")) is Delivered.FAILED
    assert drivers.roles == ["worker"]
