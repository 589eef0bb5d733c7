"""What a task leaves for others: files, the end of its words, or a JSON block in them, kept apart."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from ....mailbox.codec import canonical
from ....store.errors import BadInput
from ..allowed import Allowed
from ..plan import Output, OutputKind
from ..record.files import sync_folder
from ..rules.standing import Artifact
from .leaving import leaving_end
from .paths import Unsafe, read_inside

MOST_BYTES = 1 << 20
FENCE, JSON_FENCE = "```", "```json"
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


class NoOutput(Exception):
    """An output that a task declares and did not leave."""


def collect(
    outputs: Sequence[Output],
    said: Sequence[str],
    folder: str,
    shelf: Path,
    allowed: Sequence[Allowed] = (),
) -> tuple[Artifact, ...]:
    """The outputs of a task that has been done in ``folder``. Raises ``NoOutput``, and ``OSError``.

    ``said`` are the words of each part of it. Files and JSON are durable under ``shelf`` when this
    returns; summaries go into the record, without what looks like a secret and is not ``allowed``.
    """
    return tuple(_collected(output, said, folder, shelf, allowed) for output in outputs)


def in_record(name: str, kind: str, text: str) -> Artifact:
    """An output that is kept in the record of its task itself."""
    raw = text.encode()
    return Artifact(name, kind, len(raw), sha256(raw).hexdigest(), "", text)


def _collected(
    output: Output, said: Sequence[str], folder: str, shelf: Path, allowed: Sequence[Allowed]
) -> Artifact:
    if not NAME.fullmatch(output.name):
        raise NoOutput(f"output {output.name} has a name that no file can have")
    if output.kind is OutputKind.SUMMARY:
        return in_record(output.name, output.kind, leaving_end("".join(said), allowed).rstrip("\n"))
    raw = _file(output, folder) if output.kind is OutputKind.FILE else _json(output, said)
    if len(raw) > MOST_BYTES:
        raise NoOutput(f"output {output.name} is larger than 1 MiB")
    kept = _keep(raw, shelf, output.name)
    return Artifact(output.name, output.kind, len(raw), sha256(raw).hexdigest(), str(kept))


def _file(output: Output, folder: str) -> bytes:
    try:
        return read_inside(folder, output.path, MOST_BYTES)
    except FileNotFoundError as error:
        raise NoOutput(f"output {output.name} is missing: there is no file {output.path}") from error
    except OSError as error:
        raise NoOutput(f"output {output.name}: {output.path}: {error.strerror or error}") from error
    except Unsafe as error:
        raise NoOutput(f"output {output.name}: {error}") from error


def _json(output: Output, said: Sequence[str]) -> bytes:
    """The last fenced block of JSON in all that was said, or else the whole of what was said last."""
    text = last_block("".join(said))
    if text is None:
        text = next((words for words in reversed(said) if words.strip()), "")
    if not text.strip():
        raise NoOutput(f"output {output.name} is missing: nothing was said, so no JSON")
    try:
        return canonical(text)
    except BadInput as error:
        raise NoOutput(f"output {output.name} is missing: its words hold no strict JSON: {error}") from error


def last_block(text: str) -> str | None:
    """What is in the last fenced block of JSON that has an end; None without one."""
    found: str | None = None
    begun: list[str] | None = None
    for line in text.splitlines():
        mark = line.strip()
        if begun is None:
            begun = [] if mark == JSON_FENCE else None
        elif mark == FENCE:
            found, begun = "\n".join(begun), None
        else:
            begun.append(line)
    return found


def _keep(raw: bytes, shelf: Path, name: str) -> Path:
    """Put a file on the shelf, whole or not at all."""
    shelf.mkdir(parents=True, exist_ok=True)
    kept, coming = shelf / name, shelf / f".{name}.coming"
    coming.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(coming, flags, 0o600), "wb") as file:  # noqa: PTH123  # it is open already
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())
    coming.replace(kept)
    sync_folder(shelf)
    return kept
