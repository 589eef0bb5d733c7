"""Typed messages on the wire: attrs classes through cattrs, anything JSON as it is."""

from __future__ import annotations

from typing import Any, TypeVar

from attrs import has
from cattrs import BaseValidationError, Converter, StructureHandlerNotFoundError, transform_error
from cattrs.errors import CattrsError
from msgspec import Struct

from ..mailbox import codec
from ..store.errors import BadInput

T = TypeVar("T", bound=type)
NAME = "__postroom_type__"


def message(name: str) -> Any:
    """A class decorator: the name under which messages of this class travel."""

    def decorate(cls: T) -> T:
        setattr(cls, NAME, name)
        return cls

    return decorate


def type_name(kind: type) -> str:
    """The name on the wire: the one given by ``@message``, else that of the class."""
    name: str = kind.__dict__.get(NAME, kind.__name__)
    return name


class Wire(Struct, frozen=True):
    """Turns typed values into canonical bodies and back. ``converter`` may have hooks of yours."""

    converter: Converter

    def encode(self, value: object) -> bytes:
        """The canonical body of a value. Raises ``BadInput``."""
        return codec.encode(self.converter.unstructure(value))

    def decode(self, body: bytes, kind: Any) -> Any:
        """A value of this kind from a body. Raises ``BadInput`` naming each wrong place."""
        data = codec.decode(body)
        if kind is Any or kind is object:
            return data
        try:
            return self.converter.structure(data, kind)
        except BaseValidationError as error:
            places = "; ".join(transform_error(error, path="$"))
            raise _unfit(places) from error
        except StructureHandlerNotFoundError:  # the handler's fault, not the body's
            raise
        except (CattrsError, AttributeError, TypeError, ValueError, KeyError) as error:
            raise _unfit(f"{type(error).__name__}: {error}") from error

    def empty(self, kind: type) -> Any:
        """The first state of an actor: its class called without arguments."""
        if not has(kind):
            raise TypeError(f"{kind.__name__} is no attrs class, so it cannot be an actor's state")
        return kind()


def _unfit(why: str) -> BadInput:
    return BadInput("the body does not fit", codec.one_line(why, 400), "look at its sender")


def make_wire() -> Wire:
    """A wire with the standard conversions."""
    return Wire(Converter())
