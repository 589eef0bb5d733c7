"""How the records and messages of convoys are written: short, as most of what a task may have it has not."""

from __future__ import annotations

from typing import Any

from cattrs import Converter

from ..wire import Wire
from .messages import Said


def convoy_wire() -> Wire:
    """A wire that leaves out what is as it is by default, and takes any reply of those who pull."""
    converter = Converter(omit_if_default=True)
    structure = converter.get_structure_hook(Said)

    def said(value: Any, kind: type[Said]) -> Said:
        return structure(value, kind) if isinstance(value, dict) else Said(output=value)

    converter.register_structure_hook(Said, said)
    return Wire(converter)
