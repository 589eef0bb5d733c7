"""What a task takes of others: read, and proven to be what was kept."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

from ..rules.standing import Artifact
from .paths import Unsafe, read_file


class NoInput(Exception):
    """An input that is not there any more, or not what it was."""


def read_inputs(inputs: Mapping[str, Artifact]) -> dict[str, str]:
    """The texts of inputs by the names of their blanks, such as ``input.x``. Raises ``NoInput``.

    Bytes that are no text are replaced; such a file is better opened under the name that
    ``paths_of`` tells.
    """
    return {f"input.{name}": _text(name, artifact) for name, artifact in inputs.items()}


def paths_of(inputs: Mapping[str, Artifact]) -> dict[str, str]:
    """Where the inputs are that are files, as variables such as ``POSTROOM_INPUT_X``."""
    return {
        f"POSTROOM_INPUT_{name.upper().replace('-', '_')}": artifact.path
        for name, artifact in inputs.items()
        if artifact.path
    }


def _text(name: str, artifact: Artifact) -> str:
    if not artifact.path:
        return artifact.text
    try:
        raw = read_file(artifact.path, artifact.size)
    except OSError as error:
        raise NoInput(f"input {name} cannot be read: {error.strerror or error}") from error
    except Unsafe as error:
        raise NoInput(f"input {name} cannot be read: {error}") from error
    if len(raw) != artifact.size or sha256(raw).hexdigest() != artifact.sha256:
        raise NoInput(f"input {name} is not what it was when it was kept")
    return raw.decode(errors="replace")
