"""The comparison with peers: fair in its arithmetic, honest about what it could not measure."""

import io
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest

from postroom.bench.peers import chart, compare, field, report, ways
from postroom.bench.peers.child import main as child
from postroom.bench.peers.ways import Ran, Style, Unkept, Way
from postroom.bench.rows import Params
from postroom.console import bench
from postroom.console.parsing import Parser
from postroom.store.errors import BadInput

SVG = "{http://www.w3.org/2000/svg}"
LIBRARIES = ("persistqueue", "litequeue", "huey", "dbos", "sqlalchemy", "redis", "hiredis", "pykka")


def tiny(directory: Path, rounds: int = 1) -> Params:
    return Params(directory=str(directory), senders=4, seconds=0.1, rounds=rounds)


def never(params: Params) -> Ran:
    raise AssertionError("this way is only looked up by its name, in another process")


def made(peer: str, style: Style = Style.ONE, **changed: Any) -> Way:
    return Way(peer, style, "somehow", never, **changed)


def compared(given: list[Way], rates: dict[str, list[float]]) -> list[dict[str, Any]]:
    """The views of these ways, had their rounds had these rates; 0 for a round that failed."""
    rounds = {
        name: [Ran(round(rate), 1.0, "") if rate else None for rate in all] for name, all in rates.items()
    }
    return compare.views(given, rounds, {})


def test_a_share_is_the_median_of_the_rounds_against_our_own_of_the_same_style() -> None:
    given = [made("postroom"), made("postroom", Style.MANY), made("other"), made("other", Style.MANY)]
    views = compared(
        given,
        {
            "postroom, one producer": [100, 200, 400],
            "postroom, many producers": [1000, 1000, 1000],
            "other, one producer": [50, 50, 400],  # shares 0.5, 0.25 and 1.0
            "other, many producers": [2000, 3000, 4000],
        },
    )
    assert [view["of_postroom"] for view in views] == [1.0, 1.0, 0.5, 3.0]
    assert [view["per_s"] for view in views] == [200, 1000, 50, 3000]


def test_a_round_that_failed_counts_neither_for_nor_against() -> None:
    given = [made("postroom"), made("other")]
    views = compared(given, {"postroom, one producer": [100, 0, 100], "other, one producer": [0, 80, 50]})
    assert views[1]["of_postroom"] == 0.5
    assert views[1]["rounds_per_s"] == [80.0, 50.0]


def test_a_style_that_we_have_no_figure_for_has_no_share() -> None:
    views = compared([made("other", Style.BATCHED)], {"other, in batches": [10]})
    assert views[0]["of_postroom"] is None
    assert "-" in report.cells(views[0])


def rounds_of(given: list[Way], rounds: int, answers: Callable[[Way], tuple[Ran | None, str]]) -> Any:
    order: list[str] = []

    def measure(way: Way, params: Params) -> tuple[Ran | None, str]:
        order.append(way.peer)
        assert params.seconds == pytest.approx(9.0 / rounds)
        return answers(way)

    told: list[str] = []
    found = compare.in_rounds(given, Params(directory="", rounds=rounds), told.append, measure)
    return (*found, order, told)


def test_rounds_alternate_their_order() -> None:
    *_, order, _ = rounds_of([made("a"), made("b"), made("c")], 3, lambda way: (Ran(1, 1.0, ""), ""))
    assert order == [*"abc", *"cba", *"abc"]


def test_a_way_that_failed_is_not_tried_again_and_says_why() -> None:
    given = [made("a"), made("b")]
    rounds, notes, order, _ = rounds_of(
        given, 3, lambda way: (None, "broke") if way.peer == "b" else (Ran(1, 1.0, ""), "")
    )
    assert order.count("b") == 1
    assert notes == {"b, one producer": "failed: broke"}
    assert rounds["b, one producer"] == [None, None, None]


def test_what_is_not_installed_is_listed_and_not_begun() -> None:
    given = [made("a", packages=("no-such-package",)), made("b", server="no-such-server")]
    _, notes, order, told = rounds_of(given, 1, lambda way: (Ran(1, 1.0, ""), ""))
    assert order == []
    assert notes["a, one producer"] == "not installed: pip install 'postroom[peers]'"
    assert notes["b, one producer"] == "no server: no-such-server is not on the path"
    assert told == ["round 1 of 1"]


def test_every_way_has_its_own_name_and_every_style_one_of_ours() -> None:
    names = [way.name for way in field.WAYS]
    assert len(set(names)) == len(names)
    assert {way.style for way in field.WAYS if way.peer == field.US} == set(Style)
    assert all(field.way_named(name).name == name for name in names)


def test_a_server_is_named_with_the_version_that_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = tmp_path / "some-server"
    server.write_text("#!/bin/sh\necho Some server v=7.1.2 bits=64\n")
    server.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    way = made("a", packages=("msgspec",), server="some-server")
    assert field.missing(way) == ""
    assert field.versions(way) == f"{field.installed('msgspec')} with server 7.1.2"
    assert field.versions(made("a", packages=("no-such-package",), server="some-server")) == ""


def test_our_own_ways_are_measured_with_any_peer() -> None:
    assert {way.peer for way in field.chosen(["pykka"])} == {"postroom", "pykka"}
    assert field.chosen([]) == list(field.WAYS)
    with pytest.raises(BadInput, match="choose from postroom, persist-queue"):
        field.chosen(["kafka"])


def test_the_libraries_are_not_imported_to_know_the_field() -> None:
    code = "import sys, postroom.console.bench, postroom.bench.peers.field; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert not set(LIBRARIES) & set(done.stdout.split())


@pytest.mark.parametrize("style", Style)
def test_our_own_ways_can_be_measured(
    style: Style, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = msgspec.json.encode(tiny(tmp_path)).decode()
    assert child([f"postroom, {style.value}", document]) == 0
    ran = msgspec.json.decode(capsys.readouterr().out, type=Ran)
    assert ran.jobs > 0
    assert ran.seconds > 0
    assert ran.durability == "WAL, FULL"


def test_side_by_side_counts_what_was_taken(tmp_path: Path) -> None:
    queue: list[bytes] = []
    bodies = ways.Bodies(tiny(tmp_path))

    def take() -> int:
        return len([queue.pop(0) for _ in range(min(len(queue), 10))])

    done, _ = ways.side_by_side(tiny(tmp_path), 2, lambda: lambda: queue.append(bodies.new()), take)
    assert done > 0
    assert queue == []


def test_a_peer_that_hands_a_job_out_twice_has_no_rate(tmp_path: Path) -> None:
    queue: list[bytes] = []

    def take() -> int:
        return 2 * len([queue.pop(0) for _ in range(min(len(queue), 1))])

    with pytest.raises(Unkept, match="jobs were put and"):
        ways.side_by_side(tiny(tmp_path), 1, lambda: lambda: queue.append(b""), take)


def test_a_producer_that_fails_is_not_passed_over(tmp_path: Path) -> None:
    def broken() -> object:
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        ways.side_by_side(tiny(tmp_path), 1, lambda: broken, lambda: 0)


def test_bodies_are_as_long_as_for_us(tmp_path: Path) -> None:
    bodies = ways.Bodies(tiny(tmp_path))
    assert len(bodies.new()) == len(bodies.text().encode()) == 220


@pytest.mark.parametrize(("level", "word"), [("NORMAL", "WAL, NORMAL"), ("FULL", "WAL, FULL")])
def test_durability_is_what_the_connection_answers(level: str, word: str, tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "any.db")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = " + level)
    assert ways.durability(db) == word
    db.close()


def view(peer: str, per_s: float | None, **changed: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"peer": peer, "style": Style.ONE.value, "how": "so", "version": "1"}
    made |= {"per_s": per_s, "of_postroom": 1.0, "rounds_per_s": [], "durability": "", "note": ""}
    return made | {"persistent": True} | changed


def bars(svg: str) -> list[tuple[str, float]]:
    root = ElementTree.fromstring(svg)
    rects: Iterable[ElementTree.Element] = root.iter(f"{SVG}rect")
    return [(r.get("class", ""), float(r.get("width", "0"))) for r in rects if r.get("rx")]


def test_the_picture_has_a_bar_for_each_way_the_quickest_first_a_decade_as_wide_as_any() -> None:
    views = [
        view("postroom", 1000),
        view("slow", 10),
        view("quick", 100_000, persistent=False),
        view("x", None),
    ]
    drawn = bars(chart.chart(views, compare.STYLES, ["here"]))
    assert [kind for kind, _ in drawn] == ["memory", "ours", "peer"]
    quick, ours, slow = (width for _, width in drawn)
    assert quick - ours == pytest.approx(ours - slow, abs=1.5)


def test_the_picture_escapes_what_it_is_told() -> None:
    svg = chart.chart([view("<b>&", 5)], compare.STYLES, ["</svg><script>"])
    words = [text.text for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]
    assert {"<b>&", "</svg><script>"} <= set(words)


def test_a_picture_of_nothing_is_still_a_picture() -> None:
    assert bars(chart.chart([], compare.STYLES, [])) == []


def test_the_table_has_medians_ranges_and_the_reason_for_what_is_missing() -> None:
    given = [view("a", 1234.5, rounds_per_s=[1000.0, 2000.0]), view("b", None, note="not installed")]
    heading, measured, absent = report.table(given)
    assert measured.split()[3:8] == ["1,234", "1,000", "to", "2,000", "1.00"]
    assert absent.endswith("not installed")
    assert heading.index("jobs/s") + len("jobs/s") == measured.index("1,234") + len("1,234")


def command(*arguments: str, json: bool = False) -> tuple[int, str]:
    parser = Parser(prog="postroom")
    bench.add_parser(parser.add_subparsers())
    args = parser.parse_args(["bench", "--peers", *arguments])
    args.json = json
    out = io.StringIO()
    return bench.command(args, out), out.getvalue()


def test_the_command_writes_table_document_and_picture_though_a_peer_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = made("absent", packages=("no-such-package",))
    ours = field.chosen(["postroom"])[1]
    monkeypatch.setattr(field, "WAYS", (ours, absent))
    files = ["--out", str(tmp_path / "p.json"), "--picture", str(tmp_path / "p.svg")]
    code, text = command("--seconds", "0.3", "--directory", str(tmp_path), *files)
    assert code == 0
    document = msgspec.json.decode((tmp_path / "p.json").read_bytes())
    assert [way["peer"] for way in document["ways"]] == ["postroom", "absent"]
    assert document["ways"][0]["per_s"] > 0
    assert document["conditions"]["rounds"] == 3
    assert "not installed: pip install 'postroom[peers]'" in text
    assert [kind for kind, _ in bars((tmp_path / "p.svg").read_text())] == ["ours"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.json", "p.svg"]


def test_a_comparison_of_peers_is_not_set_against_an_old_run() -> None:
    with pytest.raises(BadInput, match="shares are of one run"):
        command("--compare", "old.json")


def test_a_peer_that_fails_makes_the_command_fail_in_json_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(field, "WAYS", (made("broken"),))  # the process that measures knows no such way
    files = partial(str.format, str(tmp_path / "{}"))
    code, text = command(
        "--directory", str(tmp_path), "--out", files("o"), "--picture", files("p"), json=True
    )
    assert code == 1
    document = msgspec.json.decode(text)
    assert document == msgspec.json.decode((tmp_path / "o").read_bytes())
    assert document["ways"][0]["note"].startswith("failed: ")
