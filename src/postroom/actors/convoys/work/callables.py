"""Tasks that are Python functions."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from ..words import nearest

Function = Callable[..., Any]


class UnknownCall(Exception):
    """A ``module:function`` that names nothing callable. ``do`` is a hint, or empty."""

    def __init__(self, what: str, do: str = "") -> None:
        super().__init__(what)
        self.do = do


@contextmanager
def importable_from(folder: Path) -> Generator[None]:
    """Let modules of ``folder`` be imported, after all others, so that none can be hidden by them."""
    entry = str(folder.absolute())
    sys.path.append(entry)
    try:
        yield
    finally:
        sys.path.remove(entry)


def resolve(call: str) -> Function:
    """The function that ``module:function`` names. Raises ``UnknownCall``."""
    module_name, separator, name = call.partition(":")
    if not (separator and name.isidentifier() and all(map(str.isidentifier, module_name.split(".")))):
        raise UnknownCall(f"{call!r} is not of the form module:function")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise UnknownCall(f"there is no module {error.name}", "modules beside the file are found") from error
    except (Exception, SystemExit) as error:  # a user's module may raise anything
        raise UnknownCall(f"importing {module_name} raised {type(error).__name__}: {error}") from error
    function: object = getattr(module, name, None)
    if function is None:
        functions = [key for key, value in vars(module).items() if callable(value) and key[0] != "_"]
        raise UnknownCall(f"module {module_name} has no {name}", nearest(name, functions))
    if not callable(function):
        raise UnknownCall(f"{call} is not a function but a {type(function).__name__}")
    return cast(Function, function)
