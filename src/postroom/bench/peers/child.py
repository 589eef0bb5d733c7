"""The entry of a process that measures one round of one way: ``-m postroom.bench.peers.child NAME PARAMS``.

The interpreter keeps its own switch interval here, for postroom as for all others.
"""

from __future__ import annotations

import sys

import msgspec

from ..rows import Params
from .field import way_named


def main(arguments: list[str]) -> int:
    name, params = arguments
    ran = way_named(name).run(msgspec.json.decode(params, type=Params))
    sys.stdout.write(msgspec.json.encode(ran).decode() + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
