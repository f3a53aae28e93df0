"""E1xx: the file and its lines, before anything is known of the record in them."""

from __future__ import annotations

from phi3v_data.validate.rule import Problem, Rule

__all__ = [
    "BlankLine",
    "ByteOrderMark",
    "EmptyFile",
    "FileUnreadable",
    "LineTooLong",
    "ShardDamaged",
]

_GOOD = '{"id": "a", "source": "s", "conversations": [{"user": "Hi?", "assistant": "Hello."}]}'
_OTHER = _GOOD.replace('"a"', '"b"').replace("Hi?", "So?")


class ByteOrderMark(Rule):
    """The file begins with a byte order mark."""

    code = "E103"
    slug = "byte-order-mark"
    message = "the file begins with a byte order mark, which JSON forbids"
    hint = "Save the file as UTF-8 without BOM."
    bad = "<bytes EF BB BF>" + _GOOD
    good = _GOOD


class BlankLine(Rule):
    """The line holds nothing."""

    code = "W104"
    slug = "blank-line"
    message = "blank line"
    hint = "Readers here pass over it, others stop at it: remove the line."
    bad = _GOOD + "\n\n" + _OTHER
    good = _GOOD + "\n" + _OTHER


class LineTooLong(Rule):
    """The line is longer than any record should be."""

    code = "E105"
    slug = "line-too-long"
    message = "the line is longer than {limit:,} bytes and was not read"
    hint = "Images belong in files, not in the text; and every record needs a line of its own, ended by \\n."
    bad = "a line of 40 MB"
    good = _GOOD


class EmptyFile(Rule):
    """The file holds no record."""

    code = "W106"
    slug = "empty-file"
    message = "the file holds no record"
    hint = "If it should hold records, run the step again that writes it; else remove it."
    bad = "a file of 0 bytes"
    good = _GOOD


class FileUnreadable(Rule):
    """The file or folder cannot be read."""

    code = "E107"
    slug = "file-unreadable"
    message = "{fault}"
    hint = "Check the path and its permissions."
    bad = "data/trian.jsonl, where there is only data/train.jsonl"
    good = "data/train.jsonl"

    @classmethod
    def because(cls, error: OSError) -> Problem:
        """Return the problem that the operating system tells of."""
        return cls.problem(fault=f"cannot be read: {error.strerror or error}")


class ShardDamaged(Rule):
    """A shard cannot be read to its end."""

    code = "E109"
    slug = "shard-damaged"
    message = "the shard {fault}"
    hint = "Fetch it again, or make it again: the records that came before were checked."
    bad = "ucf101_train-00000-of-00002.tar, of which the last megabyte is missing"
    good = "ucf101_train-00000-of-00002.tar as it was written"
