"""A convoy's folder may hold the store, whose locks end if its files are opened and closed once more."""

from __future__ import annotations

from pathlib import Path

import pytest

from postroom.actors.convoys.work.changes import look_at
from postroom.actors.convoys.work.paths import Unsafe, open_here, read_inside
from postroom.store.sqlite.file import open_file


def test_what_postroom_has_open_is_neither_looked_at_nor_read(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    store = open_file(tmp_path / "post.db", create=True)
    try:
        assert {"post.db", "post.db-wal", "post.db-shm"} <= {path.name for path in tmp_path.iterdir()}
        look = look_at(str(tmp_path), ())
        with pytest.raises(Unsafe, match="in use by postroom itself"):
            read_inside(str(tmp_path), "post.db", 10)
    finally:
        store.close()
    assert "mine.txt" in look.seen
    assert not {"post.db", "post.db-wal", "post.db-shm"} & look.seen.keys()


def test_files_that_were_closed_again_are_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("mine")
    found = path.stat()
    assert (found.st_dev, found.st_ino) not in open_here()
    with path.open():
        assert (found.st_dev, found.st_ino) in open_here()
    assert read_inside(str(tmp_path), "mine.txt", 10) == b"mine"
