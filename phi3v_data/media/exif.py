"""The orientation in Exif data, which are a TIFF file without a picture (CIPA DC-008, TIFF 6.0 section 2)."""

from __future__ import annotations

import struct

from phi3v_data.media.header_facts import Doubt

__all__ = ["exif_orientation"]

_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_ORIENTATION = 0x0112
_SHORT = 3
_ENTRY = 12
_SIZES = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8)
"""Bytes of a value of each type, from 1 to 12."""


def exif_orientation(exif: bytes) -> int:
    """Return the orientation, 0 where there is none.

    Args:
        exif: From the mark of the byte order on.

    Raises:
        Doubt: The data are damaged, or say it twice.
    """
    order = _ORDERS.get(exif[:4])
    if order is None:
        raise Doubt
    try:
        return _in_directory(exif, order)
    except struct.error:
        raise Doubt from None


def _in_directory(exif: bytes, order: str) -> int:
    (start,) = struct.unpack_from(f"{order}L", exif, 4)
    (entries,) = struct.unpack_from(f"{order}H", exif, start)
    entry = struct.Struct(f"{order}HHLL")
    found: list[int] = []
    values = 0
    for at in range(start + 2, start + 2 + entries * _ENTRY, _ENTRY):
        tag, kind, count, place = entry.unpack_from(exif, at)
        if not 0 < kind < len(_SIZES):
            raise Doubt
        size = count * _SIZES[kind]
        values += size
        if size > 4 and (place + size > len(exif) or values > len(exif)):  # a broken value may hide all behind it
            raise Doubt
        if tag == _ORIENTATION:
            if (kind, count) != (_SHORT, 1):
                raise Doubt
            found += struct.unpack_from(f"{order}H", exif, at + 8)
    if len(found) > 1:
        raise Doubt
    return found[0] if found else 0
