"""The header of a WebP file that holds one picture and nothing else (RFC 9649, 2.5 and 2.6)."""

from __future__ import annotations

import struct

from phi3v_data.media.header_facts import Doubt, Header

__all__ = ["parse_webp"]

_MOST = 0x3FFF  # 14 bits of width and height


def parse_webp(head: bytes, size: int) -> Header:
    """Read the header of a WebP file.

    Args:
        head: The file's first bytes.
        size: Bytes of the file.

    Raises:
        Doubt: It is cut short, animated, of the extended kind, or not plainly sound.
    """
    if len(head) < 30 or head[:4] != b"RIFF" or head[8:12] != b"WEBP":
        raise Doubt
    (whole,) = struct.unpack_from("<L", head, 4)
    (length,) = struct.unpack_from("<L", head, 16)
    if whole + 8 > size or whole != 12 + length + (length & 1):
        raise Doubt
    kind = head[12:16]
    if kind == b"VP8 ":
        return _lossy(head, length)
    if kind == b"VP8L":
        return _lossless(head)
    raise Doubt


def _lossy(head: bytes, length: int) -> Header:
    """Read a VP8 key frame's header (RFC 6386, 9.1)."""
    bits = int.from_bytes(head[20:23], "little")
    width, height = (side & _MOST for side in struct.unpack_from("<HH", head, 26))
    is_shown_key_frame = not bits & 1 and (bits >> 1) & 7 <= 3 and (bits >> 4) & 1
    if not is_shown_key_frame or bits >> 5 >= length or head[23:26] != b"\x9d\x01\x2a" or not (width and height):
        raise Doubt
    return Header(width, height, "WEBP", "RGB")


def _lossless(head: bytes) -> Header:
    """Read a VP8L header (RFC 9649, 3.4)."""
    (bits,) = struct.unpack_from("<L", head, 21)
    if head[20] != 0x2F or bits >> 29:
        raise Doubt
    has_alpha = bool(bits >> 28 & 1)
    width, height = (bits & _MOST) + 1, (bits >> 14 & _MOST) + 1
    return Header(width, height, "WEBP", "RGBA" if has_alpha else "RGB", has_alpha)
