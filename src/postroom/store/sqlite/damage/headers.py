"""Putting the header of a damaged store right, which says the same in every store."""

from __future__ import annotations

from msgspec import Struct, field

from .. import db, opening, verifying
from .image import Image
from .pages import APPLICATION, CHOSEN, OURS, VERSION, header_faults, mended_header


class Header(Struct):
    """What was wrong with a header; ``foreign`` where it is right but not as postroom writes it."""

    found: list[str] = field(default_factory=list[str])
    mended: list[str] = field(default_factory=list[str])
    doubtful: list[str] = field(default_factory=list[str])
    foreign: bool = False


def mend(image: Image) -> Header:
    """Put the header in an image right. One that is unusual, but fits the file, is left as it is."""
    result = Header()
    page, length = image.page(1), image.path.stat().st_size
    faults = header_faults(page[:68] + OURS + page[72:], length)
    if faults and set(faults) <= CHOSEN and _sound(image):
        return Header(found=faults, foreign=True)
    result.found += faults
    result.mended += faults
    if faults:
        image.put(1, mended_header(page, length))
    _mend_names(image, result)
    _mend_schema(image, result)
    return result


def _sound(image: Image) -> bool:
    try:
        with image.reading() as conn:
            return verifying.verify(conn, deep=True).ok
    except verifying.UNREADABLE:
        return False


def _mend_names(image: Image, result: Header) -> None:
    """What the file says it is has to be what its tables are."""
    try:
        with image.reading() as conn:
            fitting, stated = opening.schema_of(conn), conn.pragma("user_version")
    except verifying.UNREADABLE:
        return
    if not fitting:
        return
    page = bytearray(image.page(1))
    if int.from_bytes(page[APPLICATION], "big") == opening.UNFINISHED_ID:
        raise opening.unfinished()
    if bytes(page[APPLICATION]) != OURS:
        result.found.append("its header is wrong: the application id")
        result.mended.append(result.found[-1])
        page[APPLICATION] = OURS
    if stated != fitting:
        result.found.append(f"its header is wrong: schema version {stated}, but its tables are of {fitting}")
        # A newer postroom may have changed something else than tables.
        newer = opening.SCHEMA_VERSION < stated < opening.UNLIKELY
        (result.doubtful if newer else result.mended).append(result.found[-1])
        page[VERSION] = fitting.to_bytes(4, "big")
    image.put(1, bytes(page))


def _mend_schema(image: Image, result: Header) -> None:
    """Put the one wrong statement of the schema right: it is the same in every store of a version."""
    try:
        conn = db.connect(str(image.path))
    except verifying.UNREADABLE:
        return
    try:
        conn.pragma("writable_schema", True)  # what cannot be understood is passed over then
        right = opening.schema_rows(conn.pragma("user_version"))
        there = conn.execute(opening.SCHEMA_NUMBERED).fetchall()
        odd = [row for row in there if row[:-1] not in right]
        missing = right - {row[:-1] for row in there}
        if len(odd) == len(missing) == 1:
            values = [None if value is None else value.decode() for value in missing.pop()]
            change = "UPDATE sqlite_schema SET type = ?, name = ?, tbl_name = ?, sql = ? WHERE rowid = ?"
            conn.execute(change, (*values, odd[0][-1]))
            result.found.append(f"the schema is wrong: {values[0]} {values[1]}")
            result.mended.append(result.found[-1])
    except verifying.UNREADABLE:
        return  # more than a statement is damaged: whoever copies the rows comes upon it
    finally:
        conn.close()
