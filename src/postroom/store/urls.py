"""Store URLs: ``sqlite:///relative.db``, ``sqlite:////absolute.db``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .errors import BadInput

if TYPE_CHECKING:
    from .clock import Clock
    from .sqlite.file import FileStore

DEFAULT_URL = "sqlite:///.postroom/postroom.db"
SCHEME = "sqlite:///"


def store_path(url: str) -> Path:
    """The file that a URL names, relative to the current directory. Raises ``BadInput``."""
    if not url.startswith(SCHEME) or len(url) == len(SCHEME):
        raise BadInput(
            f"not a store URL: {url}", "it must begin with sqlite:///", f"for example {DEFAULT_URL}"
        )
    return Path(url.removeprefix(SCHEME))


def open_store(url: str, *, create: bool, clock: Clock | None = None) -> FileStore:
    """Open the store a URL names, a created one with its ballast; see ``open_file`` for what it refuses."""
    path = store_path(url)
    from .sqlite.ballast import BALLAST_BYTES
    from .sqlite.file import open_file  # apsw is loaded only once a store is really opened

    return open_file(path, create=create, clock=clock, ballast=BALLAST_BYTES if create else 0)
