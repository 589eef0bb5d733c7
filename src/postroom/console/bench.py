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


def add_parser(subparsers: Subparsers[Parser]) -> None:
    """The arguments of ``bench``."""
    parser = subparsers.add_parser(
        "bench",
        help="measure postroom against raw SQLite on this disk",
        description="Measure the table of figures; ends within 4 minutes. Exit code 1 if a row"
        " could not be measured.",
    )
    parser.add_argument("--only", action="append", metavar="ROW", help="this row; may be repeated")
    parser.add_argument("--senders", type=whole(1, 10_000), default=200, metavar="N", help="in flight (200)")
    parser.add_argument(
        "--body-bytes", type=whole(32, 1_000_000), default=220, metavar="N", help="of a body (220)"
    )
    parser.add_argument(
        "--seconds", type=number(0.1, 120.0), default=9.0, metavar="S", help="load of a row (9)"
    )
    parser.add_argument("--compare", metavar="OLD.json", help="show what changed since that run")
    parser.add_argument("--directory", default=".", help="where the files go: a real disk (.)")
    parser.add_argument("--out", default=DOCUMENT, help=f"where the JSON goes ({DOCUMENT})")


def command(args: argparse.Namespace, out: TextIO) -> int:
    """Run, print and write. Raises ``BadInput`` before anything runs if an argument is wrong."""
    from ..bench import report
    from ..bench.run import run  # the rows load trio and the whole runtime

    rows, params = _rows(args.only), _params(args)
    old = _old_rows(args.compare) if args.compare else None

    def heard(view: dict[str, Any]) -> None:
        if not args.json:
            out.write(report.line(view) + "\n")
            out.flush()

    if not args.json:
        out.write(report.heading() + "\n")
    document = run(rows, params, heard)
    text = msgspec.json.format(msgspec.json.encode(document), indent=2).decode()
    _write(Path(args.out), text)
    if args.json:
        out.write(text + "\n")
    else:
        lines = [report.LEGEND, *report.circumstances(document["conditions"]), f"JSON: {args.out}"]
        if old is not None:
            lines += ["", f"against {args.compare}:", *report.comparison(document["rows"], old)]
        out.write("\n".join(lines) + "\n")
    return 1 if any(view["value"] is None for view in document["rows"]) else 0


def _rows(only: list[str] | None) -> list[Row]:
    from ..bench.table import ROWS, row_named

    return [row_named(name) for name in only] if only else list(ROWS)


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
