"""A process that plays episodes in a folder, which may be a small file system that only it can see."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from postroom.store.sqlite.damage import deep, doubts, wal

from . import acting, full, limits, losing
from .told import Order, Told

KINDS: dict[str, Callable[[Path, int], Told]] = {
    "full": full.run,
    "actors": acting.run,
    "limits": limits.run,
    "losing": losing.run,
}


LOADED_LATER = (deep, doubts, wal)
"""What the store loads only when it is needed: an ordinary user may not be allowed to read it then."""


def main() -> None:
    """Play what standard input orders; one line of JSON for each episode."""
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    folder = Path(order.folder)
    if order.size:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={order.size},mode=0777", "tmpfs", order.folder], check=True
        )
    if order.uid is not None:
        os.setgroups([])
        os.setgid(order.uid)
        os.setuid(order.uid)
    folder = folder / "room"
    folder.mkdir(mode=0o700)
    for kind, seed in order.episodes:
        told = KINDS[kind](folder, seed)
        sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
