"""Several processes on one file: waking, settling under load, starting, sharing work."""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
import time

import msgspec

from ..store.records import Delivery, InboxSpec, Register
from ..store.transact import transact_one
from .figures import Pairs, milliseconds
from .ground import INBOX, fresh_store
from .idle import POSTROOM
from .load import pad_for
from .partner import Partner
from .parts import opened_desk
from .rows import Measured, Params

NOTHING_TO_DO = 4
FULL_RATE_GAP = 0.005


def wake(params: Params) -> Measured:
    """From ``send`` in one process to the hands of another that waits: the slower of two kinds."""
    return _wakes(params)


def wake_unheard(params: Params) -> Measured:
    """The same where nobody rings, so that each waiter has to look by itself."""
    return _wakes(params, "notify=off")


def _wakes(params: Params, setting: str = "") -> Measured:
    pulled = _wake(params, "waits-by-pull", setting)
    acted = _wake(params, "waits-as-actor", setting)
    return Measured(
        max(milliseconds(pulled, 0.5), milliseconds(acted, 0.5)),
        {
            "poll_p50_ms": milliseconds(pulled, 0.5),
            "poll_p99_ms": milliseconds(pulled, 0.99),
            "actor_p50_ms": milliseconds(acted, 0.5),
            "actor_p99_ms": milliseconds(acted, 0.99),
        },
    )


def _wake(params: Params, part: str, setting: str) -> list[float]:
    """Pauses are long and uneven, so that every waiter has backed off and none can guess."""
    url = fresh_store(params, part)
    if setting:
        url += f"&{setting}"
    rng = random.Random(3)
    pad = pad_for(params.body_bytes)
    samples: list[float] = []
    with opened_desk(url) as desk, Partner(part, {"url": url, "inbox": INBOX}) as partner:
        partner.hear()
        end = time.perf_counter() + params.seconds / 2
        while time.perf_counter() < end or not samples:
            time.sleep(rng.uniform(0.05, 0.15))
            body = msgspec.json.encode({"pad": pad, "serial": time.monotonic_ns()})
            desk.send(INBOX, "Job", body, sender="operator/bench")
            samples.append(int(partner.hear()) / 1e9)
    return samples


def ack_contended(params: Params) -> Measured:
    """``ack`` by a process that has just opened the file, while another commits all the time."""
    url = fresh_store(params, "contended")
    held = _hold_some(url, min(1000, 20 + int(params.seconds / FULL_RATE_GAP / 2)))
    settings = _pump(params, url, INBOX, params.seconds + 60)
    acks: list[float] = []
    with Partner("keeps-busy", settings) as partner:
        partner.hear()
        partner.tell("go")
        time.sleep(min(1.0, params.seconds / 4))
        end = time.perf_counter() + params.seconds
        while held and time.perf_counter() < end:
            acks.append(_ack_afresh(url, held.pop()))
            time.sleep(FULL_RATE_GAP)
    return Measured(
        milliseconds(acks, 0.99),
        {"p50_ms": milliseconds(acks, 0.5), "max_ms": max(acks) * 1000, "samples": len(acks)},
    )


def _hold_some(url: str, count: int) -> list[Delivery]:
    """Messages that are claimed and wait for their ack."""
    with opened_desk(url) as desk:
        transact_one(desk.store, Register((InboxSpec("bench/pulled"),)))
        for _ in range(count):
            desk.send("bench/pulled", "Job", b"{}", sender="operator/bench")
        return desk.poll("bench/pulled", max=count, lease=600.0)


def _ack_afresh(url: str, delivery: Delivery) -> float:
    with opened_desk(url) as desk:
        began = time.perf_counter()
        desk.ack(delivery.id, delivery.fence)
        return time.perf_counter() - began


def poll_start(params: Params) -> Measured:
    """A whole ``postroom poll`` of an empty inbox, above an interpreter that does nothing."""
    url = fresh_store(params, "start")
    nothing = [sys.executable, "-P", "-c", "pass"]
    poll = [sys.executable, "-P", "-c", POSTROOM, "--store", url, "poll", INBOX]
    _timed(poll, NOTHING_TO_DO)
    above: list[float] = []
    whole: list[float] = []
    end = time.perf_counter() + params.seconds
    while time.perf_counter() < end or len(above) < 3:
        bare = _timed(nothing, 0)
        whole.append(_timed(poll, NOTHING_TO_DO))
        above.append(whole[-1] - bare)
    return Measured(
        statistics.median(above) * 1000,
        {"whole_p50_ms": milliseconds(whole, 0.5), "samples": len(above)},
    )


def _timed(command: list[str], expected: int) -> float:
    began = time.perf_counter()
    ended = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    taken = time.perf_counter() - began
    if ended.returncode != expected:
        raise RuntimeError(f"exit code {ended.returncode} instead of {expected}: {command[4:]}")
    return taken


def two_processes(params: Params) -> Measured:
    """Turns a second of two processes on one store together, against one process alone."""
    return processes(params, 2)


def many_processes(params: Params) -> Measured:
    """The same for as many as the run has clients."""
    return processes(params, params.clients)


def processes(params: Params, count: int) -> Measured:
    """Turns a second of ``count`` processes on one store together, against one process alone."""
    share = params.seconds / params.rounds / 2
    pairs = Pairs()
    urls = iter([fresh_store(params, f"shared{n}") for n in range(2 * params.rounds)])
    pairs.measure(
        params.rounds,
        lambda: together(params, next(urls), 1, share),
        lambda: together(params, next(urls), count, share),
    )
    return Measured(pairs.ratio, {"one_per_s": pairs.baseline, f"{count}_per_s": pairs.subject})


def together(params: Params, url: str, count: int, seconds: float) -> float:
    """Each process is its own load: its own actor, its own senders."""
    partners = [Partner("keeps-busy", _pump(params, url, f"bench/pump-{n}", seconds)) for n in range(count)]
    handled = 0
    try:
        for partner in partners:
            partner.hear()
        for partner in partners:
            partner.tell("go")
        handled = sum(int(partner.hear()) for partner in partners)
    finally:
        for partner in partners:
            partner.end()
    return handled / seconds


def _pump(params: Params, url: str, inbox: str, seconds: float) -> dict[str, str]:
    return {
        "url": url,
        "inbox": inbox,
        "seconds": str(seconds),
        "senders": str(params.senders),
        "body_bytes": str(params.body_bytes),
    }
