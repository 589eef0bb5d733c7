"""All kinds of input together: which one comes next, and what becomes of it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from .bodies import Foreign, Values
from .command_lines import CommandLines, Processes
from .files import Files
from .judging import Area, Hung, Wrong, bounded
from .names import Ids, Names, Places
from .sends import Lines, Post, Sends, Words
from .typed import Typed

SHARES: dict[str, float] = {
    "foreign JSON": 30,
    "values": 14,
    "names": 16,
    "ids": 8,
    "places": 6,
    "typed bodies": 8,
    "sends": 5,
    "lines of sends": 4,
    "words of the desk": 4,
    "files": 5,
    "command lines": 3.97,
    "processes": 0.03,
}
"""How much of the amount each kind gets; the dear ones get little."""


@contextmanager
def opened() -> Generator[dict[str, Area]]:
    """Every area by its name, in a folder in memory that is also the current one meanwhile."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        folder, before = Path(name, "a", "b"), Path.cwd()
        folder.mkdir(parents=True)
        (folder / "text.txt").write_text("no database\n" * 1000)
        with _only_ours():
            os.chdir(folder)
            (folder / "desk").mkdir()
            post, lines = Post(folder / "desk"), CommandLines()
            try:
                yield {
                    "foreign JSON": Foreign(),
                    "values": Values(),
                    "names": Names(),
                    "ids": Ids(),
                    "places": Places(),
                    "typed bodies": Typed(),
                    "sends": Sends(post),
                    "lines of sends": Lines(post),
                    "words of the desk": Words(post),
                    "files": Files(folder),
                    "command lines": lines,
                    "processes": Processes(),
                }
            finally:
                post.close()
                lines.close()
                os.chdir(before)


@contextmanager
def _only_ours() -> Generator[None]:
    """No setting of whoever runs this."""
    before = {name: text for name, text in os.environ.items() if name.startswith("POSTROOM_")}
    for name in before:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(before)


def pick(rng: Random) -> str:
    """The kind of the next input."""
    return rng.choices(list(SHARES), list(SHARES.values()))[0]


def attempt(area: Area, rng: Random) -> str | None:
    """Try one input; what went wrong, or None."""
    try:
        with bounded():
            area.attempt(rng)
    except Wrong as error:
        return str(error)
    except Hung:
        return "it took too long"
    except Exception as error:  # noqa: BLE001  # whatever a parser lets out is what is looked for
        return f"{type(error).__name__}: {error!s:.300}"
    return None
