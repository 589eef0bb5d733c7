"""``postroom bench``: measure the table of figures on this machine and this disk."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import msgspec

from ..store.errors import BadInput
from .parsing import Parser, Subparsers, number, whole

if TYPE_CHECKING:
    from ..bench.rows import Params, Row

DOCUMENT = ".postroom/bench.json"
PEERS_DOCUMENT = ".postroom/peers.json"
PICTURE = ".postroom/peers.svg"
SETS = ("kernel", "pull", "fleet", "convoys", "postgres", "scale")


def add_parser(subparsers: Subparsers[Parser]) -> None:
    """The arguments of ``bench``."""
    parser = subparsers.add_parser(
        "bench",
        help="measure postroom against raw SQLite on this disk",
        description="Measure the table of figures; ends within 4 minutes. Exit code 1 if a row"
        " could not be measured.",
    )
    parser.add_argument(
        "--only", action="append", metavar="NAME", help="this row, or with --peers this peer; may be repeated"
    )
    parser.add_argument(
        "--set", choices=SETS, default="kernel", dest="rows",
        help="which table: pull is wake plans and HTTP, the last four take half an hour (kernel)",
    )  # fmt: skip
    parser.add_argument(
        "--peers", action="store_true", help="compare with other queues: pip install 'postroom[peers]'"
    )
    parser.add_argument(
        "--postgres", metavar="URL", help="the server for postgres and scale (one of its own, while it runs)"
    )
    parser.add_argument(
        "--held-seconds", type=number(1.0, 3600.0), default=600.0, metavar="S", help="of pg_held (600)"
    )
    parser.add_argument(
        "--fill-seconds", type=number(0.1, 7200.0), default=45.0, metavar="S", help="to fill a store (45)"
    )
    parser.add_argument("--senders", type=whole(1, 10_000), default=200, metavar="N", help="in flight (200)")
    parser.add_argument(
        "--body-bytes", type=whole(32, 1_000_000), default=220, metavar="N", help="of a body (220)"
    )
    parser.add_argument(
        "--seconds", type=number(0.1, 120.0), default=9.0, metavar="S", help="load of a row (9)"
    )
    parser.add_argument("--compare", metavar="OLD.json", help="show what changed since that run")
    parser.add_argument("--directory", default=".", help="where the files go: a real disk (.)")
    parser.add_argument("--out", help=f"where the JSON goes ({DOCUMENT}; with --peers {PEERS_DOCUMENT})")
    parser.add_argument(
        "--picture", default=PICTURE, metavar="FILE", help=f"where the SVG of --peers goes ({PICTURE})"
    )


def command(args: argparse.Namespace, out: TextIO) -> int:
    """Run, print and write. Raises ``BadInput`` before anything runs if an argument is wrong."""
    return _peers(args, out) if args.peers else _rows_of_ours(args, out)


def _rows_of_ours(args: argparse.Namespace, out: TextIO) -> int:
    from ..bench import report
    from ..bench.run import run, served  # the rows load trio and the whole runtime

    rows, params = _rows(args.only, args.rows), _params(args)
    old = _old_rows(args.compare) if args.compare else None
    path = args.out or DOCUMENT

    def heard(view: dict[str, Any]) -> None:
        if not args.json:
            out.write(report.line(view) + "\n")
            out.flush()

    if not args.json:
        out.write(report.heading() + "\n")
    with served(rows, params, args.postgres) as placed:
        document = run(rows, placed, heard)
    text = msgspec.json.format(msgspec.json.encode(document), indent=2).decode()
    _write(Path(path), text)
    if args.json:
        out.write(text + "\n")
    else:
        lines = [report.LEGEND, *report.circumstances(document["conditions"]), f"JSON: {path}"]
        if old is not None:
            lines += ["", f"against {args.compare}:", *report.comparison(document["rows"], old)]
        out.write("\n".join(lines) + "\n")
    return 1 if any(view["value"] is None for view in document["rows"]) else 0


def _peers(args: argparse.Namespace, out: TextIO) -> int:
    from ..bench.peers import chart, compare, field, report

    if args.compare:
        raise BadInput("cannot compare peers with an old run", "shares are of one run", "leave out --compare")
    ways, params = field.chosen(args.only or ()), _params(args)

    def heard(line: str) -> None:
        if not args.json:
            out.write(line + "\n")
            out.flush()

    document = compare.compare(ways, params, heard)
    text = msgspec.json.format(msgspec.json.encode(document), indent=2).decode()
    picture = chart.chart(document["ways"], compare.STYLES, report.captions(document)).rstrip()
    lines = report.circumstances(document)
    _write(Path(args.out or PEERS_DOCUMENT), text)
    _write(Path(args.picture), picture)
    if args.json:
        out.write(text + "\n")
    else:
        files = f"JSON: {args.out or PEERS_DOCUMENT}, picture: {args.picture}"
        out.write("\n".join([*report.table(document["ways"]), *lines, files]) + "\n")
    return 1 if any(view["note"].startswith("failed") for view in document["ways"]) else 0


def _rows(only: list[str] | None, named: str) -> list[Row]:
    from ..bench.table import SETS, row_named

    return [row_named(name) for name in only] if only else list(SETS[named])


def _params(args: argparse.Namespace) -> Params:
    from ..bench.rows import Params

    directory = Path(args.directory).absolute()
    if not directory.is_dir():
        raise BadInput(f"{directory} is no directory", "the files of a run go there", "create it")
    return Params(
        directory=str(directory),
        senders=args.senders,
        body_bytes=args.body_bytes,
        seconds=args.seconds,
        held_seconds=args.held_seconds,
        fill_seconds=args.fill_seconds,
    )


def _old_rows(path: str) -> list[dict[str, Any]]:
    what, do = f"cannot compare with {path}", "name a file that bench wrote"
    try:
        document = msgspec.json.decode(Path(path).read_bytes(), type=dict[str, Any])
        return msgspec.convert(document["rows"], list[dict[str, Any]])
    except OSError as error:
        raise BadInput(what, error.strerror or str(error), do) from error
    except (msgspec.MsgspecError, KeyError) as error:
        raise BadInput(what, "it is not the JSON of a run", do) from error


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    except OSError as error:
        why = error.strerror or str(error)
        raise BadInput(f"cannot write {path}", why, "choose another with --out") from error
