"""E121: files that are something else than JSON lines, told by how they begin, with the way out of each."""

from __future__ import annotations

import csv
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from typing import TYPE_CHECKING

from pydantic_core import from_json

from phi3v_data.media.impostors import format_by_magic, looks_like
from phi3v_data.validate.decode import BOM
from phi3v_data.validate.rule import Rule

if TYPE_CHECKING:
    from phi3v_data.validate.rule import Problem

__all__ = ["NotJsonLines", "not_json_lines"]

_GOOD = (
    '{"id": "a", "source": "s", "conversations": [{"images": ["a.jpg"], "user": "What is it?", "assistant": "A cat."}]}'
)


class NotJsonLines(Rule):
    """The file is no JSON lines, but something else."""

    code = "E121"
    slug = "not-json-lines"
    message = "the file is {kind}, not JSON lines; no line was read"
    hint = "Each line must be one JSON object: make the file with a JSON library, or see: phi3v-data convert --help"
    bad = "image,question,answer\na.jpg,What is it?,A cat."
    good = _GOOD


_UNPACK = "Unpack it, and validate what is in it."
_SHEET = "Save the sheet as CSV; then: phi3v-data convert csv --source TABLE.csv --out_dir DIR"
_SAVE = "Save it as JSON lines with the library that made it, as with Dataset.to_json of datasets, and validate those."
_UTF_16 = "Save it as UTF-8, as with: iconv -f UTF-16 -t UTF-8 FILE > NEW"
_VIDEO = "Videos become records with: phi3v-data convert ucf101 --source FOLDER --out_dir DIR"
_IMAGE = "Images belong in the images folder: name the file of records, or the folder of the dataset."
_FETCH = "The download failed, or the site wants a login: open the file in an editor, and fetch it anew."
_BINARY = {  # by the first bytes
    b"PAR1": ("a Parquet file", "Name it .parquet, and its rows are read."),
    b"PK\x03\x04": ("a ZIP archive", _UNPACK),
    b"Rar!\x1a\x07": ("a RAR archive", _UNPACK),
    b"7z\xbc\xaf\x27\x1c": ("a 7z archive", _UNPACK),
    b"\x1f\x8b": ("compressed twice", "Unpack it once more, with gunzip."),
    b"%PDF-": ("a PDF document", NotJsonLines.hint),
    b"GIF8": ("a GIF image", _IMAGE),
    b"SQLite format 3\0": ("a SQLite database", NotJsonLines.hint),
    b"\xd0\xcf\x11\xe0": ("an Excel workbook or another document of old Office", _SHEET),
    b"ARROW1\0\0": ("an Arrow file", _SAVE),
    b"\xff\xff\xff\xff": ("an Arrow stream", _SAVE),
    b"\x89HDF\r\n": ("an HDF5 file", _SAVE),
    b"\x93NUMPY": ("a NumPy array", _SAVE),
    b"\x80\x03": ("a Python pickle", _SAVE),
    b"\x80\x04": ("a Python pickle", _SAVE),
    b"\x80\x05": ("a Python pickle", _SAVE),
    b"\x1a\x45\xdf\xa3": ("a video (Matroska or WebM)", _VIDEO),
}
_TEXT = {  # by what `looks_like` says
    "a Git LFS pointer": "Fetch the file that it stands for: git lfs pull",
    "a web page": _FETCH,
    "an SVG drawing": _IMAGE,
    "a server's answer in XML": NotJsonLines.hint,
}
_TABLE = "Convert it, named .csv or, with tabs, .tsv: phi3v-data convert csv --source FILE --out_dir DIR"
_TAR = (257, b"ustar")
_IN_BOXES = (4, b"ftyp")
_PICTURES = (b"ftypavif", b"ftypheic", b"ftypheix", b"ftypmif1")
_ZIP, _OF_SHEETS = b"PK\x03\x04", re.compile(rb"\[Content_Types\]\.xml|xl/workbook\.xml")
_HEAD_OF_TEXT = 512
_ROWS = 5
_DELIMITERS = {",": "a table (CSV)", "\t": "a table (TSV)", ";": "a table (CSV, with semicolons)"}
_YAML = re.compile(rb"---\s*$|- |[\w-]+:(\s|$)")


def not_json_lines(head: bytes) -> Problem | None:
    """Return what a file is that holds no JSON at all, or None where its lines are worth reading one by one.

    Args:
        head: Its first 64 KB, or all of it.
    """
    lines = [line for line in head.removeprefix(BOM).split(b"\n") if line.strip()]
    is_text = lines and 0 not in lines[0] and any(map(_is_object, lines))
    if not is_text and (binary := _binary(head)) is not None:
        kind, hint = binary
        return NotJsonLines.problem(kind=kind, hint=hint)
    if not lines or any(_is_json_like(line) for line in lines):
        return None
    kind = looks_like(head[:_HEAD_OF_TEXT]).partition(",")[0]
    if kind in _TEXT and 0 not in head:
        return NotJsonLines.problem(kind=kind.replace("a server's answer in ", ""), hint=_TEXT[kind])
    if head.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return NotJsonLines.problem(kind="text in UTF-16", hint=_UTF_16)
    if 0 in head:
        return NotJsonLines.problem(kind="binary data", hint=_SAVE) if _is_binary(head) else None
    if len(lines) < 2:
        return None
    if (table := _table(lines)) is not None:
        hint = _TABLE.replace(" --out_dir", " --delimiter ';' --out_dir") if table == _DELIMITERS[";"] else _TABLE
        return NotJsonLines.problem(kind=table, hint=hint)
    return NotJsonLines.problem(kind="YAML" if _YAML.match(lines[0]) else "text")


def _binary(head: bytes) -> tuple[str, str] | None:
    """Return kind and hint of a file known by its first bytes, in which much may look like the beginning of a line."""
    offset, magic = _TAR
    if head[offset:].startswith(magic) and 0 in head[:offset]:
        return "a tar archive", "Name it .tar, if it is a shard of records and images; else unpack it."
    offset, magic = _IN_BOXES
    if head[offset:].startswith(magic) and not head[offset:].startswith(_PICTURES):
        return "a video (MP4 or QuickTime)", _VIDEO
    if head.startswith(_ZIP) and _OF_SHEETS.search(head):
        return "an Excel workbook or another document of Office", _SHEET
    if (image := format_by_magic(head)) is not None:
        return f"a {image} image", _IMAGE
    return next((told for magic, told in _BINARY.items() if head.startswith(magic)), None)


def _is_binary(head: bytes) -> bool:
    """Whether these are bytes of many values that are no text, and not a text with zeros in it."""
    text = head.replace(b"\0", b"").decode(errors="ignore")
    return len(text.encode()) + head.count(0) < len(head) or any(sign < " " and not sign.isspace() for sign in text)


def _is_object(line: bytes) -> bool:
    try:
        return type(from_json(line)) is dict
    except ValueError:
        return False


def _is_json_like(line: bytes) -> bool:
    """Whether a line begins as a record may, broken or not, or is JSON of another kind."""
    line = line.strip().removeprefix(BOM).lstrip()
    if line.startswith((b"{", b"[")):
        return True
    try:
        from_json(line)
    except ValueError:
        return False
    return True


def _table(lines: list[bytes]) -> str | None:
    """Return what kind of table the lines are: rows of as many cells each, two or more."""
    texts = [line.decode(errors="replace") for line in lines[:_ROWS]]
    for delimiter, kind in _DELIMITERS.items():
        try:
            widths = {len(row) for row in csv.reader(texts, delimiter=delimiter)}
        except csv.Error:  # a carriage return within a line
            return None
        if len(widths) == 1 and widths != {1}:
            return kind
    return None
