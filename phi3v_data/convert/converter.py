"""The converter contract: what a dataset's author writes, and all that the engine asks of it.

A converter lists sources and turns one source into examples. It opens no output file, numbers nothing and
starts no process: ids, paths, shards, workers, resume and rejects are the engine's.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from phi3v_data.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from phi3v_data.convert.sources import HubFile
    from phi3v_data.errors import SourceError

__all__ = ["Converter", "Example", "Image", "Options", "RawTurn", "Reject", "Source"]


_LONGEST_TEXT = 500


class Options(BaseModel):
    """Base of a converter's options: every field becomes a flag and a part of the plan's identity.

    Attributes:
        local: Names of the fields that say where things are on this machine: workers get them, and neither the plan's
            identity nor the manifest does.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    local: ClassVar[frozenset[str]] = frozenset()

    def refuse(self, *names: str, why: str) -> None:
        """Refuse options that would change nothing for this source, rather than ignore them.

        Raises:
            UsageError: One of them was given.
        """
        for name in names:
            if name in self.model_fields_set:
                raise UsageError(f"--{name} has no meaning for this source, for {why}: leave it out")


OptionsT = TypeVar("OptionsT", bound=Options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One piece of raw data: a video, a page, a row.

    Args:
        path: Where it is below the root, with '/'; unique within its split, and the order of the plan.
        name: Stem of its images below `images/<split>/`; unique within its split.
        size: Bytes, so that a changed source changes the plan.
        group: Scene, document or image set it shares with other sources.
        label: Its class, where there is one; counted in the manifest.
        data: JSON that `convert` needs besides the path.
    """

    path: str
    name: str
    size: int = 0
    group: str | None = None
    label: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """Raw data that gives no record, and why; `source` is its path below the root."""

    source: str
    split: str | None = None
    code: str
    message: str

    def __post_init__(self) -> None:
        """Cut what quotes the data at length: a reject is read by a person."""
        for name in ("source", "message"):
            text = getattr(self, name)
            if len(text) > _LONGEST_TEXT:
                object.__setattr__(self, name, text[: _LONGEST_TEXT - 1] + "…")

    @classmethod
    def because(cls, error: SourceError, source: str, split: str | None) -> Reject:
        """Return the reject that an error makes of raw data."""
        return cls(source=source, split=split, code=error.code, message=error.message)

    def to_line(self) -> bytes:
        """Return the reject as one line of `rejects.jsonl`."""
        text = json.dumps(asdict(self), ensure_ascii=False)
        return text.encode("utf-8", "backslashreplace") + b"\n"


@dataclass(frozen=True, slots=True)
class Image:
    """An encoded picture: its bytes, and the file suffix that says its format."""

    data: bytes
    suffix: str = ".jpg"


@dataclass(frozen=True, slots=True, kw_only=True)
class RawTurn:
    """A turn whose images are still bytes; the same `Image` object in two turns is written once."""

    user: str
    assistant: str | None = None
    images: Sequence[Image] = ()
    answers: Sequence[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """What becomes one record: its turns, what the record carries besides, and its class, unless the source has it."""

    turns: Sequence[RawTurn]
    system: str | None = None
    metadata: Mapping[str, Any] | None = None
    label: str | None = None


class Converter(ABC, Generic[OptionsT]):
    """Base of every converter.

    Args:
        options: The validated options.
        root: Folder that holds the raw data; only read.

    Attributes:
        name: Name on the command line, start of the output's file names, `source` of every record.
        version: Changes whenever the same input and options give other bytes.
        options_type: The options model.
        default_source: What is converted when no `--source` is given.
        files: Which files of a repository on the hub, or of a folder of Parquet files, this converter reads: patterns
            for whole paths, in which `*` matches '/' too; the first that matches any is taken. Without patterns a
            repository has to hold one archive.
        file_option: The option, a list of paths below the root, that names which of the files to read; with it
            `--source` may itself be a file that fits `files`, and its folder is the root.
        shared: JSON found while listing that every `convert` needs, such as the list of classes; the engine
            carries it to every worker.
        known_classes: Records per class of each split, where the source counts them and no source has a label.
    """

    name: ClassVar[str]
    version: ClassVar[str]
    options_type: ClassVar[type[Options]] = Options
    default_source: ClassVar[HubFile | None] = None
    files: ClassVar[tuple[str, ...]] = ()
    file_option: ClassVar[str | None] = None

    def __init__(self, options: OptionsT, root: Path) -> None:
        self.options = options
        self.root = root
        self.shared: dict[str, Any] = {}
        self.known_classes: dict[str, dict[str, int]] = {}

    @abstractmethod
    def sources(self) -> Mapping[str, Iterable[Source | Reject]]:
        """List the sources of every split, in any order; the mapping's order is the order of the splits.

        Raises:
            UsageError: The root is not laid out as this converter expects.
        """

    @abstractmethod
    def convert(self, source: Source) -> Iterable[Example]:
        """Turn one source into its examples; a deterministic function of the source, options and `shared`.

        Raises:
            SourceError: The source cannot be converted; it becomes a reject.
        """

    @classmethod
    def write_sample(cls, folder: Path) -> None:
        """Write a small sample of the raw data this converter reads, made on the spot, into a new or empty folder.

        Raises:
            UsageError: This converter has no sample.
        """
        raise UsageError(f"the converter {cls.name!r} has no embedded sample")
