"""Store URLs: ``sqlite:///relative.db``, ``sqlite:////absolute.db``, ``postgresql://host/database``."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import BadInput
from .shown import SERVER_SCHEMES, is_remote, shown_url

if TYPE_CHECKING:
    from .clock import Clock
    from .postgres.engine import PostgresStore
    from .sqlite.file import FileStore

DEFAULT_URL = "sqlite:///.postroom/postroom.db"
SCHEME = "sqlite:///"


def store_path(url: str) -> Path:
    """The file that a URL names, relative to the current directory. Raises ``BadInput``."""
    if not url.startswith(SCHEME) or len(url) == len(SCHEME):
        raise BadInput(
            f"not the URL of a file: {shown_url(url)}",
            "it must begin with sqlite:///",
            f"for example {DEFAULT_URL}",
        )
    return Path(url.removeprefix(SCHEME))


def open_store(url: str, *, create: bool, clock: Clock | None = None) -> FileStore | PostgresStore:
    """Open the store a URL names; see ``open_file`` and ``open_postgres`` for what they refuse.

    A file that is created gets its ballast. On a server, ``clock`` is not used: its own decides.
    """
    if is_remote(url):
        return _open_postgres(url, create=create)
    return open_file_store(url, create=create, clock=clock)


def open_file_store(url: str, *, create: bool, clock: Clock | None = None) -> FileStore:
    """The same for a URL that names a file. Raises ``BadInput`` for any other."""
    path = store_path(url)
    from .sqlite.ballast import BALLAST_BYTES
    from .sqlite.file import open_file  # apsw is loaded only once a store is really opened

    return open_file(path, create=create, clock=clock, ballast=BALLAST_BYTES if create else 0)


def is_store(url: str) -> bool:
    """Whether a URL names a store at all, and not the HTTP address of one."""
    return url.startswith((SCHEME, *SERVER_SCHEMES))


def from_anywhere(url: str) -> str:
    """The same store as a URL that works from any directory, as it may be shown."""
    return f"{SCHEME}{store_path(url).absolute()}" if url.startswith(SCHEME) else shown_url(url)


def _open_postgres(url: str, *, create: bool) -> PostgresStore:
    with driver_wanted():
        from .postgres.engine import open_postgres
    return open_postgres(url, create=create)


@contextmanager
def driver_wanted() -> Generator[None]:
    """Import what needs the driver of PostgreSQL, an extra. Raises ``BadInput`` if it is not there."""
    try:
        yield
    except ImportError as error:
        raise BadInput(
            "PostgreSQL needs a package that is not installed",
            str(error),
            "install it with: pip install 'postroom[postgres]'",
        ) from error
