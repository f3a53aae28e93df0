"""What a video file's container says about itself: its kind, and whether the file was cut short.

Sources: RIFF and AVI (Microsoft; OpenDML for files of several RIFF chunks), ISO/IEC 14496-12 (boxes),
RFC 8794 and RFC 9559 (EBML, Matroska). A few bytes of a file are read, and every size in them is doubted.
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["container_kind", "cut_short", "matroska_duration"]

_MAX_STEPS = 100_000  # chunks or boxes looked at in one file; a longer walk is an attack, not a video
_MAX_INFO = 1 << 16  # bytes of a Matroska Info element
_MAX_SKIP = 1 << 36  # bytes; a seek much farther than any file is an error of its own

_FIRST_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp"})
_BOXES = _FIRST_BOXES | {
    b"moof",
    b"mfra",
    b"sidx",
    b"ssix",
    b"uuid",
    b"meta",
    b"udta",
    b"pdin",
    b"prft",
    b"emsg",
}
_MAGIC = {
    b"\x1a\x45\xdf\xa3": "matroska",
    b"OggS": "ogg",
    b"FLV\x01": "flv",
    b"\x30\x26\xb2\x75": "asf",
    b"\x00\x00\x01\xba": "mpeg",
    b"\x00\x00\x01\xb3": "mpeg",
    b"DKIF": "ivf",
    b"\x06\x0e\x2b\x34": "mxf",
    b".RMF": "rm",
}
_TS_PACKET = 188
_SEGMENT, _INFO = 0x18538067, 0x1549A966
_TIMESTAMP_SCALE, _DURATION = 0x2AD7B1, 0x4489


def container_kind(head: bytes) -> str | None:
    """Name the container that a file's first bytes announce.

    Args:
        head: The first 512 bytes, or all there are.

    Returns:
        "avi", "mp4" (the whole ISO family, QuickTime too), "matroska", "mpegts" and so on; None for anything
        else, such as text, an image or a playlist.
    """
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    if head[4:8] in _FIRST_BOXES:
        return "mp4"
    if _is_transport_stream(head):
        return "mpegts"
    return _MAGIC.get(head[:4])


def cut_short(path: Path) -> str | None:
    """Tell whether a container ends beyond the end of its file.

    AVI, the ISO family and Matroska write down how long they are; MPEG-TS and the rest cannot be judged.

    Returns:
        The fact in half a sentence, or None.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb", buffering=0) as file:
        size = file.seek(0, io.SEEK_END)
        walk = {"avi": _riff, "mp4": _boxes, "matroska": _segment}.get(container_kind(_read(file, 0, 512)) or "")
        return walk(file, size) if walk else None


def matroska_duration(path: Path) -> float | None:
    """Return the duration that a Matroska or WebM file declares, in seconds; None where it declares none."""
    with path.open("rb", buffering=0) as file:
        segment = _find(file, _SEGMENT, 0)
        info = segment and _find(file, _INFO, segment.start)
        if not info or info.size is None or info.size > _MAX_INFO:
            return None
        fields = _children(_read(file, info.start, info.size))
    ticks = _float(fields.get(_DURATION, b""))
    scale = int.from_bytes(fields.get(_TIMESTAMP_SCALE, b"")) or 1_000_000
    return ticks * scale / 1e9 if ticks and 0 < ticks < 1e15 else None


def _is_transport_stream(head: bytes) -> bool:
    """Find the sync byte twice, a packet apart; Blu-ray's packets open with four bytes of time code."""
    return any(
        head[start : start + 1] == b"\x47" and head[start + step : start + step + 1] == b"\x47"
        for start, step in ((0, _TS_PACKET), (4, _TS_PACKET + 4))
    )


def _riff(file: BinaryIO, size: int) -> str | None:
    """Walk the top-level RIFF chunks: one of AVI, then one of AVIX for every gigabyte or so."""
    position = 0
    for _ in range(_MAX_STEPS):
        head = _read(file, position, 8)
        if len(head) < 8 or head[:4] != b"RIFF":
            return None
        length = int.from_bytes(head[4:], "little")
        if length in (0, 0xFFFFFFFF):  # a recorder that was never closed: it states no length
            return None
        position += 8 + length
        if position > size:
            return _beyond("RIFF chunk", position - size)
        position += length % 2
    return None


def _boxes(file: BinaryIO, size: int) -> str | None:
    """Walk the top-level boxes; the index (moov) may stand before or behind the media data."""
    position, seen = 0, set()
    for _ in range(_MAX_STEPS):
        head = _read(file, position, 16)
        if len(head) < 8:
            break
        length, kind = _box(head, size - position)
        if length < 8 or kind not in _BOXES:  # some programs append what is no box; players pass it over
            break
        seen.add(kind)
        position += length
        if position > size:
            return _beyond(f"{kind.decode('latin-1')!r} box", position - size)
    if b"mdat" in seen and not seen & {b"moov", b"moof"}:
        return "the file is cut short: its index (the 'moov' box) is missing"
    return None


def _box(head: bytes, rest: int) -> tuple[int, bytes]:
    """Return a box's length in bytes and its type: 1 says that 64 bits follow, 0 that it runs to the end."""
    length, kind = struct.unpack(">I4s", head[:8])
    if length == 1:
        length = int.from_bytes(head[8:16]) if len(head) == 16 else 0
    return (rest if length == 0 else length), kind


def _segment(file: BinaryIO, size: int) -> str | None:
    """Compare the length of Matroska's Segment, which holds everything, with the file's."""
    segment = _find(file, _SEGMENT, 0)
    if segment is None or segment.size is None:
        return None
    end = segment.start + segment.size
    return _beyond("Matroska segment", end - size) if end > size else None


class _Element(NamedTuple):
    """One EBML element: where its content starts, and its length, None where it is not known."""

    id: int
    start: int
    size: int | None


def _find(file: BinaryIO, wanted: int, position: int) -> _Element | None:
    """Find an element among its siblings from a position on; it stands near the front."""
    for _ in range(64):
        element = _element(_read(file, position, 12), position)
        if element is None or element.id == wanted:
            return element
        if element.size is None or element.size > _MAX_SKIP:
            return None
        position = element.start + element.size
    return None


def _children(content: bytes) -> dict[int, bytes]:
    """Read the elements of a small master element into a table of their contents."""
    fields, position = {}, 0
    while (element := _element(content[position : position + 12], position)) and element.size is not None:
        position = element.start + element.size
        fields[element.id] = content[element.start : position]
    return fields


def _element(head: bytes, position: int) -> _Element | None:
    """Read an element's header from up to 12 bytes: an identifier of 1 to 4, a length of 1 to 8."""
    id_length = 9 - head[0].bit_length() if head else 9
    if id_length > 4 or len(head) <= id_length:
        return None
    size_length = 9 - head[id_length].bit_length()
    start = id_length + size_length
    if size_length > 8 or len(head) < start:
        return None
    size = int.from_bytes(head[id_length:start]) & ((1 << 7 * size_length) - 1)
    unknown = size == (1 << 7 * size_length) - 1
    return _Element(int.from_bytes(head[:id_length]), position + start, None if unknown else size)


def _float(content: bytes) -> float | None:
    """Read an EBML float of four or eight bytes."""
    form = {4: ">f", 8: ">d"}.get(len(content))
    return float(struct.unpack(form, content)[0]) if form else None


def _beyond(what: str, missing: int) -> str:
    return f"the file is cut short: its {what} ends {missing:,} bytes beyond the end of the file"


def _read(file: BinaryIO, position: int, length: int) -> bytes:
    file.seek(position)
    return file.read(length)
