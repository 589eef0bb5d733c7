"""Fleets of app threads on virtual time: what they keep, what they cost, and that nothing is lost."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from postroom.simulation.fleet import chart, report
from postroom.simulation.fleet.options import Options, options, policy
from postroom.simulation.fleet.running import Result, run
from postroom.simulation.fleet.spec import Fleet, checked

BUSY: dict[str, Any] = {
    "fleet": {"pairs": 2, "days": 0.01},
    "arrivals": {"tasks_per_day": 600, "day": [0, 24]},
    "turns": {"worker": [20, 90], "manager": [10, 30]},
    "dispatcher": {"crashes_per_day": 0},
}
"""A quarter of an hour in which a few tasks come."""

HARSH: dict[str, Any] = {
    **BUSY,
    "fleet": {"pairs": 3, "days": 0.008, "workers_per_manager": 2},
    "arrivals": {"tasks_per_day": 600, "day": [0, 24], "burst": 2, "follow_up": 0.3, "shared": 0.1},
    "turns": {"worker": [20, 200], "manager": [10, 40], "fails": 0.08},
    "threads": {"crashes": 0.08, "restart": [20, 300], "lease": 130, "heartbeat": 60},
    "operators": {
        "delay": [1, 60],
        "late": 0.1,
        "late_delay": [190, 900],
        "lost": 0.1,
        "fails": 0.1,
        "unsure": 0.1,
    },
    "dispatcher": {"crashes_per_day": 300, "restart": [1, 60]},
}
"""Everything goes wrong, often."""


def fleet(table: dict[str, Any], **size: float) -> Fleet:
    return checked({**table, "fleet": {**table.get("fleet", {}), **size}}, "test.toml")


def made(table: dict[str, Any], named: str = "economy", seed: int = 1, **size: float) -> Options:
    return options(fleet(table, **size), seed=seed, policy=policy(named))


def traced(wanted: Options) -> tuple[Result, bytes]:
    lines: list[bytes] = []
    result = run(wanted, lines.append)
    return result, b"".join(lines)


def test_a_seed_gives_one_trace_byte_for_byte() -> None:
    first, lines = traced(made(HARSH, seed=5, days=0.004))
    second, again = traced(made(HARSH, seed=5, days=0.004))
    assert lines == again
    assert first.trace_sha256 == second.trace_sha256
    assert len(lines.splitlines()) == first.events > 30
    assert run(made(HARSH, seed=6, days=0.004)).trace_sha256 != first.trace_sha256


def test_every_task_has_its_report_once_and_no_wake_is_needless_where_nothing_goes_wrong() -> None:
    calm = {**BUSY, "operators": {"late": 0, "lost": 0, "fails": 0, "unsure": 0}, "threads": {"crashes": 0}}
    result = run(made(calm))
    wakes = result.ledger.wakes
    assert result.clean, result.breaches
    assert result.ledger.tasks > 5
    assert wakes["useful"] > 5
    assert wakes["empty"] == wakes["lost"] == wakes["blocked"] == 0
    assert (result.noted.useful, result.noted.empty, result.noted.lost) == (wakes["useful"], 0, 0)


def test_an_idle_fleet_is_never_woken_under_economy() -> None:
    result = run(made({**BUSY, "arrivals": {"tasks_per_day": 0}}, days=0.02))
    assert result.clean
    assert result.ledger.wakes.total() == 0


@pytest.mark.parametrize("seed", range(2))
def test_nothing_is_lost_doubled_or_stuck_while_everything_goes_wrong(seed: int) -> None:
    result = run(made(HARSH, seed=seed))
    assert result.clean, result.breaches
    assert result.ledger.happened["process deaths"] > 0


def test_a_clock_wakes_for_nothing_what_economy_wakes_for_mail() -> None:
    economy, fixed = run(made(BUSY)), run(made(BUSY, "fixed:120s"))
    assert fixed.clean, fixed.breaches
    assert fixed.ledger.tasks == economy.ledger.tasks
    assert fixed.ledger.wakes["empty"] > 10 > economy.ledger.wakes["empty"]
    slow, quick = fixed.ledger.quantile(0.99), economy.ledger.quantile(0.99)
    assert slow is not None
    assert quick is not None
    assert quick < slow


def test_a_backoff_wakes_less_often_than_a_clock() -> None:
    idle = {**BUSY, "arrivals": {"tasks_per_day": 0}}
    backoff, fixed = run(made(idle, "backoff", days=0.02)), run(made(idle, "fixed:120s", days=0.02))
    assert 0 < backoff.ledger.wakes["empty"] < fixed.ledger.wakes["empty"] / 2


def test_a_thread_that_nobody_knows_yet_is_told_of_as_blocked_and_gets_its_mail_later() -> None:
    result = run(made({**BUSY, "threads": {"unassigned": 1, "assigned_after": 600}}))
    assert result.clean, result.breaches
    assert result.ledger.wakes["blocked"] > 0
    assert result.ledger.wakes["useful"] > 0


def test_what_was_made_to_go_wrong_warns_nobody(caplog: pytest.LogCaptureFixture) -> None:
    run(made(HARSH, seed=3, days=0.004))
    assert not caplog.records


def test_a_large_run_is_judged_at_its_end() -> None:
    wanted = msgspec.structs.replace(made(BUSY), thorough=False)
    result = run(wanted)
    assert result.clean, result.breaches
    assert report.view(result)["checked"] == "the end of the run"


def test_the_document_has_the_keys_of_the_contract() -> None:
    result = run(made(BUSY))
    document = report.document([result])
    for key in ("seed", "virtual_seconds", "events", "trace_sha256", "lost", "duplicate_effects"):
        assert key in document
    assert set(document["wakes"]) == {"useful", "empty", "lost", "blocked"}
    assert {"p50", "p99"} <= set(document["wake_latency_seconds"])
    assert document["policies"][0]["policy"] == "economy"
    prices = result.options.fleet.prices
    arrived = document["wakes"]["useful"] + document["wakes"]["empty"]
    assert document["cost"]["wakes"] == pytest.approx(arrived * prices.wake)


def test_a_picture_shows_every_policy() -> None:
    drawn = chart.chart([run(made(BUSY)), run(made(BUSY, "backoff"))])
    assert drawn.startswith("<svg")
    assert drawn.count("economy") >= 3
    assert drawn.count("backoff") >= 3
    assert drawn.count("<polyline") == 4
