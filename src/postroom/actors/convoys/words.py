"""Hints about words that nobody knows."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

MOST = 20
"""Known words that a hint lists."""


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint that names the known word most like ``word``, or else all of them if they are few."""
    words = list(known)
    near = get_close_matches(word, words, 1, 0.5)
    if near:
        return f"did you mean {near[0]}?"
    return f"known: {', '.join(words)}" if 0 < len(words) <= MOST else ""
