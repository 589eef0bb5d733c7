"""The entry of every process that measures: ``-m postroom.bench.child row|part NAME PARAMS``.

A row answers with one JSON document on its last line. A part is a second process that a row needs,
such as one that waits for mail; it talks to its row in lines.
"""

from __future__ import annotations

import sys

import msgspec

from .conditions import SWITCH_INTERVAL
from .parts import PARTS
from .rows import Params
from .table import row_named


def main(arguments: list[str]) -> int:
    sys.setswitchinterval(SWITCH_INTERVAL)
    kind, name, params = arguments
    if kind == "row":
        measured = row_named(name).run(msgspec.json.decode(params, type=Params))
        sys.stdout.write(msgspec.json.encode(measured).decode() + "\n")
    else:
        PARTS[name](msgspec.json.decode(params, type=dict[str, str]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
