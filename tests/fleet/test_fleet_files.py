"""Fleet files: what is impossible is refused by the path of its key, and nothing is run."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest

from postroom.simulation.fleet import spreads
from postroom.simulation.fleet.arrivals import by_day, daily
from postroom.simulation.fleet.options import policy
from postroom.simulation.fleet.spec import Arrivals, Fleet, checked, load
from postroom.simulation.fleet.spreads import Skewed, draw
from postroom.store.errors import BadInput

EXAMPLES = Path(__file__).parents[2] / "examples" / "fleets"

BAD: tuple[tuple[dict[str, Any], str], ...] = (
    ({"fleet": {"pairs": 0}}, "fleet.pairs"),
    ({"fleet": {"pairs": 2.5}}, "fleet.pairs"),
    ({"fleet": {"days": -1}}, "fleet.days"),
    ({"fleet": {"days": float("nan")}}, "fleet.days"),
    ({"fleet": {"days": float("inf")}}, "fleet.days"),
    ({"fleet": {"workers_per_manager": 0}}, "fleet.workers_per_manager"),
    ({"fleet": {"color": "red"}}, "fleet"),
    ({"arrivals": {"tasks_per_day": -3}}, "arrivals.tasks_per_day"),
    ({"arrivals": {"day": [7, 25]}}, "arrivals.day"),
    ({"arrivals": {"day": [7]}}, "arrivals.day"),
    ({"arrivals": {"day": [9, 9], "night": 0}}, "arrivals"),
    ({"arrivals": {"follow_up": 1}}, "arrivals.follow_up"),
    ({"arrivals": {"burst": 0}}, "arrivals.burst"),
    ({"turns": {"worker": [600, 20]}}, "turns.worker"),
    ({"turns": {"worker": -5}}, "turns.worker"),
    ({"turns": {"worker": {"median": 0, "p90": 3}}}, "turns.worker.median"),
    ({"turns": {"worker": {"median": 30, "p90": 3}}}, "turns.worker"),
    ({"turns": {"worker": {"median": 30, "p90": 90, "most": 10}}}, "turns.worker"),
    ({"turns": {"slow": 1.5}}, "turns.slow"),
    ({"turns": {"slow_factor": 0}}, "turns.slow_factor"),
    ({"threads": {"lease": 60, "heartbeat": 120}}, "threads.lease"),
    ({"threads": {"crashes": -0.1}}, "threads.crashes"),
    ({"operators": {"lost": 0.5, "late": 0.5}}, "operators"),
    ({"operators": {"delay": "soon"}}, "operators.delay"),
    ({"dispatcher": {"torn": 2}}, "dispatcher.torn"),
    ({"prices": {"wake": -1}}, "prices.wake"),
    ({"prices": {"currency": "a\nb"}}, "prices.currency"),
    ({"patience": 0}, "patience"),
    ({"weather": {}}, "the file itself"),
)


@pytest.mark.parametrize(("table", "key"), BAD)
def test_an_impossible_number_is_refused_by_the_path_of_its_key(table: dict[str, Any], key: str) -> None:
    with pytest.raises(BadInput) as raised:
        checked(table, "f.toml")
    assert raised.value.what == f"f.toml: {key}"
    assert "\n" not in raised.value.why


def test_the_built_in_fleet_is_the_one_of_the_defaults() -> None:
    built_in = load(None)
    assert built_in.about
    for part in Fleet.__struct_fields__[1:]:
        assert getattr(built_in, part) == getattr(Fleet(), part)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_example_is_a_fleet_and_explained(path: Path) -> None:
    assert load(str(path)).about
    assert f"`{path.name}`" in (EXAMPLES / "README.md").read_text()


def test_there_are_four_examples() -> None:
    assert len(list(EXAMPLES.glob("*.toml"))) == 4


def test_every_key_is_explained() -> None:
    told = (EXAMPLES / "README.md").read_text()
    for part in Fleet.__struct_fields__[2:]:
        for name in getattr(Fleet(), part).__struct_fields__:
            assert f"{part}.{name}`" in told or f"`.{name}`" in told, f"{part}.{name}"


def test_a_file_that_is_not_there_or_no_toml_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("pairs =")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    for name in ("none.toml", "bad.toml", "bytes.toml", "."):
        with pytest.raises(BadInput):
            load(str(tmp_path / name))


def test_numbers_are_drawn_from_their_distribution() -> None:
    rng = Random(1)
    skewed = Skewed(100.0, 300.0, 20.0, 600.0)
    drawn = sorted(draw(rng, skewed) for _ in range(2000))
    assert drawn[0] >= 20
    assert drawn[-1] <= 600
    assert 90 < drawn[1000] < 110
    assert 250 < drawn[1800] < 350
    assert draw(rng, 7) == 7
    assert 3 <= draw(rng, (3.0, 5.0)) <= 5
    assert spreads.flaws("k", (5.0, 3.0), 0, 10)


def test_a_busy_time_may_run_past_midnight() -> None:
    night = Arrivals(day=(22.0, 4.0), night=0.5)
    assert by_day(night, 23)
    assert by_day(night, 3)
    assert not by_day(night, 12)
    assert daily(night) == 6 + 18 * 0.5
    assert daily(Arrivals(day=(0.0, 24.0))) == 24


@pytest.mark.parametrize(
    "text", ["", "fixed", "fixed:", "fixed:0s", "fixed:-1", "fixed:9999999", "lazy", "economy:1"]
)
def test_an_unknown_policy_is_bad_input(text: str) -> None:
    with pytest.raises(BadInput):
        policy(text)


def test_a_policy_reads_as_it_is_written() -> None:
    for text in ("economy", "backoff", "fixed:120s"):
        assert str(policy(text)) == text
