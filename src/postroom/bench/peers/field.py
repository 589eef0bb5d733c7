"""Everyone who is measured, in the order of the table."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from shutil import which

from ...store.errors import BadInput
from . import (
    dbos_ways,
    huey_ways,
    litequeue_ways,
    persist_queue_ways,
    postroom_ways,
    pykka_ways,
    redis_ways,
)
from .ways import Way

US = "postroom"
WAYS: tuple[Way, ...] = (
    *postroom_ways.WAYS,
    *persist_queue_ways.WAYS,
    *litequeue_ways.WAYS,
    *huey_ways.WAYS,
    *dbos_ways.WAYS,
    *redis_ways.WAYS,
    *pykka_ways.WAYS,
)


def way_named(name: str) -> Way:
    """Raises ``StopIteration`` for a name that is in neither table."""
    for way in WAYS:
        if way.name == name:
            return way
    from .on_server import ON_SERVER  # needs psycopg, which the others do without

    return next(way for way in ON_SERVER if way.name == name)


def chosen(peers: Sequence[str]) -> list[Way]:
    """The ways of these peers and always our own; all for none. Raises ``BadInput`` for an unknown one."""
    known = list(dict.fromkeys(way.peer for way in WAYS))
    for peer in peers:
        if peer not in known:
            raise BadInput(
                f"no peer is called {peer!r}", "the field is fixed", f"choose from {', '.join(known)}"
            )
    return [way for way in WAYS if not peers or way.peer in {US, *peers}]


def missing(way: Way) -> str:
    """Why a way cannot be measured here, in a few words; empty if it can."""
    for package in way.packages:
        if not installed(package):
            return "not installed: pip install 'postroom[peers]'"
    if way.server and which(way.server) is None:
        return f"no server: {way.server} is not on the path"
    return ""


def installed(package: str) -> str:
    """Its version, or nothing."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def versions(way: Way) -> str:
    """What is measured, as it is installed; empty where it is not."""
    found = ", ".join(filter(None, map(installed, way.packages or (US,))))
    server = which(way.server) if way.server else None
    return f"{found} with server {_server_version(server)}" if found and server else found


def _server_version(server: str) -> str:
    """The version in what a server says of itself, such as ``Redis server v=7.0.15 sha=...``."""
    said = subprocess.run([server, "--version"], capture_output=True, text=True, check=True).stdout
    return next((word.removeprefix("v=") for word in said.split() if word.startswith("v=")), said.strip())
