"""The arguments of ``postroom bench`` are checked before anything runs."""

import argparse
import io
from pathlib import Path

import pytest

from postroom.console import bench
from postroom.console.parsing import Parser
from postroom.store.errors import BadInput


def parsed(*arguments: str) -> argparse.Namespace:
    parser = Parser(prog="postroom")
    bench.add_parser(parser.add_subparsers())
    args = parser.parse_args(["bench", *arguments])
    args.json = False
    return args


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--only", "no_such_row"], "no row is called 'no_such_row'"),
        (["--senders", "0"], "--senders"),
        (["--seconds", "nan"], "--seconds"),
        (["--body-bytes", "5"], "--body-bytes"),
        (["--directory", "/no/such/place"], "/no/such/place is no directory"),
        (["--compare", "/no/such/run.json"], "cannot compare with /no/such/run.json"),
    ],
)
def test_a_wrong_argument_is_refused_in_words(arguments: list[str], complaint: str) -> None:
    with pytest.raises(BadInput) as raised:
        bench.command(parsed(*arguments), io.StringIO())
    assert complaint in raised.value.what


def test_a_file_that_is_no_run_cannot_be_compared_with(tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text('{"rows": 5}')
    with pytest.raises(BadInput, match="it is not the JSON of a run"):
        bench.command(parsed("--compare", str(other)), io.StringIO())
