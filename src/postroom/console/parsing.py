"""Arguments: argparse, with every complaint as one ``BadInput`` that names the nearest known word."""

from __future__ import annotations

import argparse
import math
import os
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import takewhile
from typing import Any, NoReturn

from msgspec import Struct

from ..store.errors import BadInput

Subparsers = argparse._SubParsersAction  # pyright: ignore[reportPrivateUsage]  # it has no public name

SHARED_HELP = "Everywhere: --store URL, --json, --debug, --help."


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was most likely meant, if any is near."""
    from difflib import get_close_matches  # only a mistake pays for it

    return next(iter(get_close_matches(word, list(known), 1, 0.5)), None)


def meant(word: str, known: Iterable[str], otherwise: str) -> str:
    """What to do about an unknown word: the nearest known one, or else a hint."""
    near = nearest(word, known)
    return f"did you mean {near}?" if near else otherwise


class Formatter(argparse.HelpFormatter):
    """Help that knows its width by itself: argparse loads a module for it, and for every command."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_width())


def _width() -> int:
    columns = os.environ.get("COLUMNS", "")
    if columns.isdigit():
        return max(40, int(columns) - 2)
    try:
        return max(40, os.get_terminal_size(1).columns - 2)
    except OSError:
        return 98  # not a terminal


class Parser(argparse.ArgumentParser):
    """An argument parser that raises ``BadInput`` where argparse would print and exit."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("allow_abbrev", False)
        options.setdefault("epilog", SHARED_HELP)
        options.setdefault("formatter_class", Formatter)
        super().__init__(**options)
        # A value, not an option: -1e5 is JSON too, and -Infinity is refused better by who reads JSON.
        self._negative_number_matcher = re.compile(r"-(\.?\d|Infinity$)")

    def error(self, message: str) -> NoReturn:
        """Turn argparse's words into what, why and what to do."""
        what, separator, why = message.partition(": ")
        if not separator:
            what, why = message, "the command line does not say what is needed"
        raise BadInput(what, why, f"see: {self.prog} --help")

    def parse_known_args(  # type: ignore[override]  # the overloads differ only in the namespace's type
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """Parse, and refuse what is left over here, where the known options are at hand.

        An unknown option comes first: a misspelled ``--body`` is no missing ``--body``.
        """
        if self._subparsers is None:
            for word in takewhile(lambda word: word != "--", args or ()):
                if word.startswith("--") and word.partition("=")[0] not in self._option_string_actions:
                    self._refuse(word)
        parsed, left = super().parse_known_args(args, namespace)
        if left:
            self._refuse(left[0])
        return parsed, left

    def _refuse(self, word: str) -> NoReturn:
        hint = f"see: {self.prog} --help"
        if word.startswith("-"):
            option = word.partition("=")[0]
            raise BadInput(
                f"unknown option {option}",
                f"{self.prog} has no such option",
                meant(option, self._option_string_actions, hint),
            )
        raise BadInput(f"unexpected argument {word}", f"{self.prog} takes no more", hint)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        known = [str(choice) for choice in action.choices]
        name = "/".join(action.option_strings) or action.metavar or action.dest
        raise BadInput(
            f"{name}: unknown value {value}",
            f"known are {', '.join(known)}",
            meant(str(value), known, f"see: {self.prog} --help"),
        )


class Shared(Struct):
    """The options that every command takes, wherever they stand on the line."""

    store: str | None = None
    as_json: bool = False
    debug: bool = False


def take_shared(words: Sequence[str]) -> tuple[Shared, list[str], BadInput | None]:
    """Take the shared options out of a command line, up to ``--``.

    No option of ours takes a value that begins with ``--``, so the place does not matter. The error
    comes last and not as an exception, because how it is shown depends on the rest of the line.
    """
    shared, rest = Shared(), list[str]()
    error = _not_text(words)
    left = iter(words)
    for word in left:
        if word == "--":
            rest += [word, *left]
        elif word == "--json":
            shared.as_json = True
        elif word == "--debug":
            shared.debug = True
        elif word == "--store" or word.startswith("--store="):
            value = word.partition("=")[2] if "=" in word else next(left, "")
            if not value or value.startswith("--"):
                error = BadInput(
                    "--store without a URL", "it takes one", "for example --store sqlite:///work.db"
                )
            shared.store = value
        else:
            rest.append(word)
    return shared, rest, error


def _not_text(words: Sequence[str]) -> BadInput | None:
    """The fault of the first word that is no UTF-8: such bytes reach Python as halves of characters."""
    for word in words:
        if not word.isascii() and any("\ud800" <= char <= "\udfff" for char in word):
            return BadInput("an argument is not UTF-8", f"it reads {word[:60]!r}", "give it as UTF-8")
    return None


def number(low: float, high: float) -> Callable[[str], float]:
    """A type for a finite number of seconds within bounds."""

    def seconds(text: str) -> float:
        value = float(text)
        if not (math.isfinite(value) and low <= value <= high):
            raise argparse.ArgumentTypeError(f"{text} is not between {low:g} and {high:g}")
        return value

    return seconds


def whole(low: int, high: int) -> Callable[[str], int]:
    """A type for a whole number within bounds."""

    def integer(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not between {low} and {high}")
        return value

    return integer


def assignments(given: Iterable[str]) -> dict[str, str]:
    """What several ``--set K=V`` set. Raises ``BadInput`` for one of another form."""
    settings: dict[str, str] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise BadInput(f"--set {text}", "it takes the form K=V", "for example --set out=/tmp/release")
        settings[key] = value
    return settings
