"""What a file says looks like a secret and is none."""

from __future__ import annotations

from ..allowed import Allowed, fault_of_pattern
from ..blanks import Path
from . import keys
from .faults import Faults
from .parts import pick
from .shapes import Table, fitting, table_of

FORMS = ("literal", "pattern")
LONGEST_TOGETHER = 16 * 1024
"""Characters of all of them: they go along with each message that asks for work."""


def read_allowed(value: object, path: Path, faults: Faults) -> tuple[Allowed, ...]:
    """The ``allow`` of the table ``[secrets]``. Blanks are not filled in: a pattern may look like one."""
    items = fitting(value, keys.SECRETS, path, faults).get("allow", ())
    found = [_allowed(item, (*path, "allow", n), faults) for n, item in enumerate(items)]
    allowed = tuple(each for each in found if each is not None)
    size = sum(len(text) for each in allowed for text in _texts(each))
    if size > LONGEST_TOGETHER:
        faults.add(
            (*path, "allow"), f"has {size} characters, at most {LONGEST_TOGETHER} are taken", "write patterns"
        )
    return allowed


def _allowed(item: object, path: Path, faults: Faults) -> Allowed | None:
    kept = fitting(item, keys.ALLOWED, path, faults)
    table = table_of(item)
    if table is None:
        return None
    pick(table, FORMS, path, faults)
    if "reason" not in table:
        faults.add(path, "has no reason", "say why this is no secret")
    if "pattern" in kept and (why := fault_of_pattern(kept["pattern"])):
        faults.add((*path, "pattern"), why, "write a shorter or more exact one")
    return _made(kept) if not faults.touch(path) else None


def _texts(allowed: Allowed) -> tuple[str, ...]:
    return allowed.reason, allowed.literal, allowed.pattern, *allowed.paths


def _made(kept: Table) -> Allowed:
    return Allowed(kept["reason"], kept.get("literal", ""), kept.get("pattern", ""), kept.get("paths", ()))
