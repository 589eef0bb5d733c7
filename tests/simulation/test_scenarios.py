"""Scenario files: what comes with postroom can be loaded, and what is wrong is named by its key."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from postroom.simulation.options import expand
from postroom.simulation.planning import FAILING, FAULTS, UNTOUCHED, plan
from postroom.simulation.scenario import Scenario, checked, load, names
from postroom.store.errors import BadInput


def test_every_scenario_that_comes_along_can_be_loaded() -> None:
    assert {"calm", "faults"} <= set(names())
    for name in names():
        assert load(name).about


def test_the_scenario_of_faults_has_every_kind_of_fault() -> None:
    weights = load("faults").faults.weights
    assert sorted(kind for kind, weight in weights.items() if weight) == sorted(FAULTS)


WRONG = (
    ("[fleet]\nnodes = 0\n", "fleet.nodes"),
    ("[fleet]\nnodes = 'two'\n", "fleet.nodes"),
    ("[fleet]\nnodes = [3, 2]\n", "fleet.nodes"),
    ("[fleet]\nnodes = [1, 2, 3]\n", "fleet.nodes"),
    ("[fleet]\nwheels = 4\n", "fleet"),
    ("[load]\njobs = -1\n", "load.jobs"),
    ("[load]\nseconds = [nan, 1.0]\n", "load.seconds"),
    ("[faults]\namount = 2\n", "faults.weights"),
    ("[faults.weights]\nearthquake = 1\n", "faults.weights.earthquake"),
    ("[faults.weights]\ncrash = -1\n", "faults.weights.crash"),
    ("patience = 0\n", "patience"),
    ("about = 3\n", "about"),
)


@pytest.mark.parametrize(("text", "key"), WRONG)
def test_a_wrong_value_is_named_by_its_key(text: str, key: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(BadInput) as caught:
        load(str(file))
    assert caught.value.what.endswith(f": {key}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["[fleet\n", "\x00"])
def test_a_file_that_is_no_toml_is_refused_in_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(BadInput, match="is not TOML") as caught:
        load(str(tmp_path / "mine.toml"))
    assert "\n" not in str(caught.value)


def test_a_scenario_that_is_not_there_is_answered_with_those_that_are() -> None:
    with pytest.raises(BadInput) as caught:
        load("nowhere")
    assert "calm, faults" in caught.value.do


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(BadInput, match="cannot read"):
        load(str(tmp_path / "mine.toml"))


def test_a_range_gives_each_seed_its_own() -> None:
    scenario = checked({"fleet": {"nodes": [1, 3]}}, "mine")
    assert {len(expand("mine", scenario, seed).nodes) for seed in range(30)} == {1, 2, 3}


def test_an_empty_scenario_has_a_fleet_and_no_faults() -> None:
    assert expand("mine", Scenario(), 1).faults == ()


def test_a_kind_without_weight_never_comes() -> None:
    faults = plan(Random(1), {"crash": 1, "busy": 0}, 50, 2.0, ["node-1"])
    assert {fault.kind for fault in faults} == {"crash"}


def test_every_operation_of_the_port_fails_or_has_a_reason_not_to() -> None:
    assert not set(FAILING) & UNTOUCHED.keys()
    for kind in ("refuse-reading", "fail-after"):
        drawn = plan(Random(2), {kind: 1}, 400, 2.0, ["node-1"])
        assert {fault.method for fault in drawn} <= set(FAILING)
    drawn = plan(Random(3), {"fail-after": 1}, 1000, 2.0, ["node-1"])
    assert {fault.method for fault in drawn} == set(FAILING)
