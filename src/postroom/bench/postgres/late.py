"""Rows of modules that need psycopg, or much else, and are imported only when they are measured."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from ..rows import Measured, Params


def late(module: str, name: str, *arguments: object) -> Callable[[Params], Measured]:
    """The function of a module beside this one; with ``arguments``, what it makes of them."""

    def measure(params: Params) -> Measured:
        found = getattr(import_module(f".{module}", __package__), name)
        measured: Measured = (found(*arguments) if arguments else found)(params)
        return measured

    return measure
