"""What looks like a secret and is none, as a person has said and why."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

from attrs import frozen

from ...store.errors import BadInput

LONGEST_PATTERN = 200


@frozen
class Allowed:
    """What looks like a secret and is none: a literal text or a regular expression, and why.

    ``paths`` are globs of the files in which that holds; without any, it holds everywhere. Raises
    ``BadInput`` without a reason, unless exactly one of ``literal`` and ``pattern`` is there, and for a
    pattern that is none, is longer than 200 characters, or would allow everything.
    """

    reason: str
    literal: str = ""
    pattern: str = ""
    paths: tuple[str, ...] = ()

    def __attrs_post_init__(self) -> None:
        if not self.reason.strip():
            raise BadInput("an allowed secret without a reason", "nobody could judge it later", "say why")
        if bool(self.literal) == bool(self.pattern):
            raise BadInput("an allowed secret is a literal or a pattern", "one of the two", "give just one")
        if self.pattern and (why := fault_of_pattern(self.pattern)):
            raise BadInput(f"the pattern {self.pattern[:60]!r}", why, "write a regular expression")

    def covers(self, text: str, path: str) -> bool:
        """Whether this text, found in the file ``path``, is allowed."""
        there = not self.paths or any(fnmatchcase(path, glob) for glob in self.paths)
        return there and re.search(self.pattern or re.escape(self.literal), text) is not None


def fault_of_pattern(pattern: str) -> str:
    """What is wrong with a regular expression that is to say which texts are no secrets; or nothing."""
    if len(pattern) > LONGEST_PATTERN:
        return f"has {len(pattern)} characters, at most {LONGEST_PATTERN} are taken"
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return f"is no regular expression: {error}"
    return "matches the empty text, so it would allow everything" if compiled.search("") else ""
