"""Evidence as people and programs write it: JSON, read strictly."""

from __future__ import annotations

from typing import Any, TypeGuard

import msgspec
from msgspec import Struct

from ...mailbox.codec import strict
from ...mailbox.envelope import check_text
from ...store.errors import BadInput
from .records import Evidence, Result

MOST, LINE = 50, 4000
ADVERSARIAL = "adversarial"
"""The kind of a check that tries to break the work: it has to name the failure that it looked for."""


class Written(Struct, frozen=True, forbid_unknown_fields=True):
    """One check as it is written; without ``kind`` its kind is what was checked."""

    checked: str
    how: str
    result: Result
    kind: str | None = None
    failure_mode: str | None = None

    def evidence(self) -> Evidence:
        """The checked record. Raises ``BadInput``."""
        kind = self.checked if self.kind is None else self.kind
        for name, text in (("checked", self.checked), ("how", self.how), ("kind", kind)):
            check_text(name, text, LINE)
        if self.failure_mode is not None:
            check_text("failure_mode", self.failure_mode, LINE)
        elif kind == ADVERSARIAL:
            raise BadInput(
                "adversarial evidence without a failure_mode",
                "such a check looks for one way to fail",
                'name it: {"failure_mode": "..."}',
            )
        return Evidence(kind, self.checked, self.how, self.result, self.failure_mode)


def read_evidence(text: str | bytes) -> tuple[Evidence, ...]:
    """One check as a JSON object, or several as an array. Raises ``BadInput``."""
    value = strict(text)
    items: list[Any] = value if _is_array(value) else [value]
    if not 1 <= len(items) <= MOST:
        raise BadInput(f"{len(items)} pieces of evidence", f"1 to {MOST} are taken", "give fewer")
    try:
        return tuple(one.evidence() for one in msgspec.convert(items, list[Written]))
    except msgspec.ValidationError as error:
        raise BadInput(
            "not evidence",
            str(error),
            'write {"checked": ..., "how": ..., "result": "pass", "fail" or "unknown"}',
        ) from error


def _is_array(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def missing(required: tuple[str, ...], given: tuple[Evidence, ...]) -> list[str]:
    """The required kinds of which there is no evidence, whatever it showed."""
    there = {one.kind for one in given}
    return [kind for kind in required if kind not in there]


def not_passed(required: tuple[str, ...], given: tuple[Evidence, ...]) -> list[str]:
    """What keeps this evidence from being a proof, in words; the last check of each kind decides."""
    last = {one.kind: one for one in given}
    wrong = [f"no {kind} evidence" for kind in missing(required, given)]
    wrong += [f"{one.kind} evidence is {one.result}" for one in last.values() if one.result != Result.PASS]
    return wrong if given else [*wrong, "no evidence"] if not required else wrong
