"""What a file is that should be an image and is none, from its first bytes."""

from __future__ import annotations

__all__ = ["format_by_magic", "looks_like"]

_MAGICS = {
    b"\x00\x05\x16\x07": "an AppleDouble file (._), which holds what macOS notes of the image, not the image itself",
    b"%PDF-": "a PDF document, not an image",
    b"PK\x03\x04": "a ZIP archive, not an image",
    b"\x1f\x8b": "compressed by gzip, not an image",
    b"\x28\xb5\x2f\xfd": "compressed by zstd, not an image",
    b"Rar!\x1a\x07": "a RAR archive, not an image",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive, not an image",
    b"\x1a\x45\xdf\xa3": "a video (Matroska or WebM), not an image",
    b"\x00\x00\x01\xba": "a video (MPEG), not an image",
    b"\x00\x00\x01\xb3": "a video (MPEG), not an image",
    b"version https://git-lfs": "a Git LFS pointer, not the image itself",
}
_WEB_PAGE = "a web page, not an image: the download failed"
_DRAWING = "an SVG drawing, which has no pixels until it is rendered"
_ANSWER = "a server's answer in {}, not an image: the download failed"
_TEXTS = {
    b"<!doctype html": _WEB_PAGE,
    b"<html": _WEB_PAGE,
    b"<head": _WEB_PAGE,
    b"<svg": _DRAWING,
    b"<!doctype svg": _DRAWING,
    b"<": _ANSWER.format("XML"),
    b"{": _ANSWER.format("JSON"),
    b"[": _ANSWER.format("JSON"),
}
_PICTURES_IN_BOXES = (b"avif", b"avis", b"heic", b"heix", b"hevc", b"mif1", b"msf1")


def format_by_magic(head: bytes) -> str | None:
    """Return which format with an end marker a file begins like, by Pillow's name."""
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    return "WEBP" if head[:4] == b"RIFF" and head[8:12] == b"WEBP" else None


def looks_like(head: bytes) -> str:
    """Return what a file that is no image seems to be: the end of a sentence.

    Args:
        head: Its first bytes, 512 or all.
    """
    for magic, words in _MAGICS.items():
        if head.startswith(magic):
            return words
    if head[4:8] == b"ftyp":
        return _in_boxes(head[8:12])
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "a video (AVI), not an image"
    if not head.strip(b"\0"):
        return "filled with zeros: the copy or download failed"
    return _as_text(head)


def _in_boxes(brand: bytes) -> str:
    """Tell HEIF pictures from videos, which share their container (ISO/IEC 14496-12)."""
    if brand in _PICTURES_IN_BOXES:
        return "a HEIF or AVIF picture, which Pillow does not read here: make it a JPEG or PNG file"
    return "a video (MP4 or QuickTime), not an image"


def _as_text(head: bytes) -> str:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(b"<?xml") or text.startswith(b"<!--"):
        text = next((text[text.index(mark) :] for mark in (b"<svg", b"<html", b"<!doctype") if mark in text), text)
    for beginning, words in _TEXTS.items():
        if text.startswith(beginning):
            return words
    if head.isascii() and b"\0" not in head:
        return "text, not an image"
    return "not an image in a format Pillow knows"
