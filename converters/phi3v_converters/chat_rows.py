"""Rows of chats in JSON files of one's own: what the importers of every such format have in common."""

from __future__ import annotations

import json
from abc import abstractmethod
from functools import cached_property, partial
from itertools import zip_longest
from pathlib import Path  # noqa: TC003 -- pydantic reads it
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from phi3v_converters.carried_images import IMAGE_KEYS, CarriedImages, images_of
from phi3v_converters.carved import CarvedConverter
from phi3v_converters.chat_carried import carried_by
from phi3v_converters.chat_files import check_named, find_rows, is_parquet, json_files, refuse_both
from phi3v_converters.chat_refusals import refuse_masked, refuse_row, refuse_tool_calls
from phi3v_converters.chat_turns import Message, make_chat, place_images, split_at_tags, text_of
from phi3v_converters.local_folders import LocalFolderOptions
from phi3v_converters.splits import in_order, split_in_path
from phi3v_data.convert.converter import Example, RawTurn, Reject, Source
from phi3v_data.convert.json_rows import json_rows, read_row
from phi3v_data.convert.parquet_files import shard_name
from phi3v_data.errors import SourceError, UsageError
from phi3v_data.export.rows import CARRIED
from phi3v_data.lines import MAX_LINE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from phi3v_converters.carried_images import CarriedImage
    from phi3v_converters.chat_turns import Chat
    from phi3v_data.convert.json_rows import JsonRow

__all__ = ["ChatConverter", "ChatOptions"]

_LONGEST = MAX_LINE // 2  # a record has paths and keys beside its texts


class ChatOptions(LocalFolderOptions):
    """Which rows are read, where their images are, and what becomes of places for images within a text."""

    annotations: list[str] = Field(
        default=[], description="Files of rows, below the source  [default: all its *.parquet, or *.json and *.jsonl]"
    )
    image_dir: Path | None = Field(
        default=None,
        description="Folder where the paths of images begin  [default: the source, or else where the file of rows is, "
        "or images/ in one of them]",
    )
    inner_tags: Literal["reject", "number"] = Field(
        default="reject",
        description='An image within a text: reject the row, or number it, writing "image 2" there.',
    )
    val_fraction: float = Field(
        default=0, ge=0, lt=1, description="Part carved off as val, where the files' names say nothing but train."
    )


class ChatConverter(CarvedConverter[ChatOptions]):
    """Base of importers of chats: how one message reads is all that is left to write.

    Rows whose first image is the same are one group, and no carving parts them; rows without images stand alone. What a
    message says besides role and text is not kept.
    """

    options_type = ChatOptions
    files = ("*.parquet", "*.jsonl", "*.json")
    file_option: ClassVar[str | None] = "annotations"
    conversation_keys: ClassVar[tuple[str, ...]]
    """Columns that may hold the messages; the first that a row has is taken."""
    places_are_optional: ClassVar[bool] = False
    """Whether images without a place in any text belong to the first question."""

    @abstractmethod
    def message(self, entry: Mapping[str, Any]) -> Message:
        """Return a message of a row.

        Raises:
            SourceError: It is none.
        """

    def usual(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a row of another form in the usual one."""
        return row

    def sources(self) -> Mapping[str, Iterator[Source | Reject]]:
        """List the rows of every file, each of which is a split's by its name."""
        if (folder := self.options.image_dir) and not folder.is_dir():
            raise UsageError(f"--image_dir {folder} is no folder")
        named = self.options.annotations
        check_named(self.root, named)
        if parquet := self._parquet(named):
            return self.divide({split: partial(self._parquet_rows, found) for split, found in parquet.items()})
        files = find_rows(self.root, named)
        splits = in_order(map(split_in_path, files))
        return self.divide({split: partial(self._sources, split, files) for split in splits})

    def _parquet(self, named: Sequence[str]) -> dict[str, list[str]]:
        """Return the Parquet files to read, by split; none where the rows are in JSON."""
        chosen = list(filter(is_parquet, named))
        splits = self.parquet_files(chosen) if chosen or not named else {}
        if splits:
            others = [file for file in named if not is_parquet(file)] if named else json_files(self.root)
            refuse_both([file for files in splits.values() for file in files], others)
        return splits

    def convert(self, source: Source) -> Iterator[Example]:
        """Read a row again, and store its images."""
        file, row = source.data["file"], self._read(source)
        chat = self._chat(row)
        metadata = self._metadata(row, chat)
        if source.data.get("length", 0) > _LONGEST:
            _refuse_long(chat, metadata)
        finder = self._images(file)
        images = {
            image: self.store(finder.read(image), (image.path or f"image {number} of the row")[:200])
            for number, image in enumerate(dict.fromkeys(chat.images()), 1)
        }
        carried = carried_by(row)
        answers = carried.answers[: len(chat.turns)] if carried else []
        turns = [
            RawTurn(
                user=turn.user,
                assistant=turn.assistant,
                images=[images[image] for image in turn.images],
                answers=accepted,
            )
            for turn, accepted in zip_longest(chat.turns, answers)
        ]
        yield Example(turns=turns, system=chat.system, metadata=metadata or None)

    def _read(self, source: Source) -> Mapping[str, Any]:
        data = source.data
        if "row" not in data:
            return self.usual(read_row(self.root / data["file"], data["offset"], data["length"], data["digest"]))
        return self._parquet_row(data["file"], data["row"])

    def _parquet_row(self, file: str, row: int) -> Mapping[str, Any]:
        cells = {column: self.cell(file, row, column) for column in self.parquet(file).columns}
        return self.usual({column: cell for column, cell in cells.items() if cell is not None})

    @cached_property
    def _finders(self) -> dict[str, CarriedImages]:
        return {}

    def _images(self, file: str) -> CarriedImages:
        """Return what finds the images of a file's rows: the same for all files of a folder."""
        beside = file.rpartition("/")[0]
        if beside not in self._finders:
            given, tops = self.options.image_dir, (self.root, self.root / beside)
            around = dict.fromkeys(folder for top in tops for folder in (top, top / "images"))
            self._finders[beside] = CarriedImages(
                [given] if given else list(around), follow_links=self.options.follow_links
            )
        return self._finders[beside]

    def _sources(self, split: str, files: Mapping[str, str]) -> Iterator[Source | Reject]:
        """List the rows of a split's files, given with what their images are called."""
        for file, name in files.items():
            for row in json_rows(self.root / file, file, split) if split_in_path(file) == split else ():
                if isinstance(row, Reject):
                    yield row
                    continue
                try:
                    yield self._row_source(file, name, row)
                except SourceError as error:
                    yield Reject.because(error, row.place, split)

    def _parquet_rows(self, files: Sequence[str]) -> Iterator[Source]:
        """List the rows of Parquet files; what is wrong with one is said when it is converted."""
        for file in files:
            for row in range(self.parquet(file).num_rows):
                name = f"{shard_name(file)}/{row:09d}"
                group = self._parquet_group(file, row)
                yield Source(path=f"{file}/{row:09d}", name=name, group=group, data={"file": file, "row": row})

    def _parquet_group(self, file: str, number: int) -> str | None:
        try:
            row = self._parquet_row(file, number)
            return self._group(file, row, self._chat(row).images())
        except SourceError:
            return None

    def _row_source(self, file: str, name: str, row: JsonRow) -> Source:
        value, finder = self.usual(row.value), self._images(file)
        images = self._chat(value).images()
        return Source(
            path=f"{file}/{row.number:09d}",
            name=f"{name}/{row.number:09d}",
            size=sum(map(finder.size, images)),
            group=self._group(file, value, images),
            data={"file": file, "offset": row.offset, "length": row.length, "digest": row.digest},
        )

    def _group(self, file: str, row: Mapping[str, Any], images: Sequence[CarriedImage]) -> str | None:
        """Return the group that the row's record had when it was exported, or else its first image."""
        if (carried := carried_by(row)) and carried.group:
            return carried.group
        return self._images(file).identity(images[0]) if images else None

    def _chat(self, row: Mapping[str, Any]) -> Chat:
        refuse_row(row)
        images, messages = images_of(row), [*_system(row), *map(self._message, self._entries(row))]
        if self.places_are_optional and not any(map(_has_images, messages)):
            messages = _with_places(messages, len(images))
        return make_chat(place_images(messages, images), number_inner=self.options.inner_tags == "number")

    def _entries(self, row: Mapping[str, Any]) -> list[Any]:
        for key in self.conversation_keys:
            if isinstance(entries := row.get(key), list):
                return entries
        wanted = " or ".join(map(repr, self.conversation_keys))
        raise SourceError("no_conversation", f"the row has no list of messages: expected {wanted}")

    def _message(self, entry: object) -> Message:
        if not isinstance(entry, dict):
            raise SourceError("bad_message", f"a message is {str(entry)[:100]!r}, expected an object")
        refuse_tool_calls(entry)
        message = self.message(entry)
        if message.role == "assistant":
            refuse_masked(entry)
        return message

    def _metadata(self, row: Mapping[str, Any], chat: Chat) -> dict[str, Any]:
        """Return what else a row says, with the paths of its images, but not images themselves."""
        read = {"system", next(key for key in self.conversation_keys if isinstance(row.get(key), list)), *IMAGE_KEYS}
        metadata = {key: value for key, value in row.items() if key not in read}
        if carried := carried_by(row):
            added = {CARRIED, *(["id"] if row.get("id") == carried.id else [])}
            return {key: value for key, value in metadata.items() if key not in added} | carried.metadata
        if paths := [image.path for image in chat.images() if image.path is not None]:
            named = {key: row[key] for key in IMAGE_KEYS if row.get(key)} or {"images": paths}
            return metadata | (named if len(paths) == len(chat.images()) else {})
        return metadata


def _system(row: Mapping[str, Any]) -> list[Message]:
    """Return the system prompt that stands beside the messages, if there is one."""
    text = row.get("system")
    if text is None or text == "":
        return []
    return [Message("system", split_at_tags(text_of(text, "system")))]


def _has_images(message: Message) -> bool:
    return not all(isinstance(piece, str) for piece in message.pieces)


def _with_places(messages: Sequence[Message], count: int) -> list[Message]:
    """Return the messages with places before the text of the first question."""
    first = next((message for message in messages if message.role == "user"), None)
    return [
        Message(message.role, [*[None] * count, *message.pieces]) if message is first else message
        for message in messages
    ]


def _refuse_long(chat: Chat, metadata: Mapping[str, Any]) -> None:
    """Refuse what no reader would take as a record; a row may be longer, for the images in it."""
    texts = [chat.system, *((turn.user, turn.assistant) for turn in chat.turns), metadata]
    if len(json.dumps(texts, ensure_ascii=False).encode()) > _LONGEST:
        raise SourceError("too_large", f"the texts of the row have more than {_LONGEST:,} bytes")
