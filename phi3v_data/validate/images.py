"""The images of records: each is looked at once, and what was seen is told of every record that names it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from phi3v_data.image_folder import ImageFolder, UnsafePath, path_fault
from phi3v_data.printable import quote
from phi3v_data.validate.image_rules import ImageMissing, UnsafeImagePath, fault_of
from phi3v_data.validate.look import UNSEEN, Look
from phi3v_data.validate.lookers import DecodeLooker, ExistsLooker, HeaderLooker
from phi3v_data.validate.near_names import NearNames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from PIL import Image

    from phi3v_data.formats.images import ImageStore
    from phi3v_data.validate.lookers import Looker
    from phi3v_data.validate.rule import Problem
    from phi3v_schemas import Record

__all__ = ["ImageChecker", "ImageLevel"]

ImageLevel = Literal["none", "exists", "header", "decode"]
"""How closely images are looked at: not at all, whether they are there, their header and end, or every pixel."""

_REMEMBERED = 65_536


class ImageChecker:
    """Checks the images of the records of one images folder, each file once.

    Args:
        folder: The images folder.
        level: How closely to look.
        num_crops: The most crops the model's image processor makes of an image.
        on_look: Is told of every image, in order and as often as records name it, with its path.
        likeness: Returns 64 bits that say what an RGB image looks like; asked at the level "decode".
    """

    def __init__(
        self,
        folder: Path,
        level: ImageLevel,
        *,
        num_crops: int = 16,
        on_look: Callable[[str, Look], object] | None = None,
        likeness: Callable[[Image.Image], int | None] | None = None,
    ) -> None:
        self.needs_folder = False
        """Whether a record has named an image, and the folder is not there; then no image is looked at."""
        self._folder = folder
        self._files = ImageFolder(folder)
        self._looker = _looker(level, num_crops, likeness)
        self._near_names = NearNames(str(folder))
        self._on_look = on_look
        self._folder_is_there: bool | None = None
        # What was seen under each path, so that an image of many records is opened once; emptied when full.
        self._known: dict[str, Look] = {}

    def check(self, record: Record, held: ImageStore | None = None) -> list[Problem]:
        """Return what is wrong with the images of a record.

        Args:
            record: The record.
            held: Its images, where they are in the shard beside it; None where they are in the folder.
        """
        problems: list[Problem] = []
        known = self._known if held is None else {}
        for turn, content in enumerate(record.conversations):
            for index, path in enumerate(content.images or ()):
                look = known.get(path)
                if look is None:
                    if len(known) >= _REMEMBERED:
                        known.clear()
                    look = known[path] = self._look(path) if held is None else self._look_at_held(held, path)
                if self._on_look is not None:
                    self._on_look(path, look)
                if look.faults:
                    problems += self._problems(f"/conversations/{turn}/images/{index}", path, look, held)
        return problems

    def _look(self, path: str) -> Look:
        looker = self._looker_with_folder()
        if looker is None:
            return _look_at_path(path)
        try:
            look = looker.glance(self._files.locate_name(path), path)
            return looker.study(self._files.locate(path), path) if look is None else look
        except UnsafePath as error:
            return Look(((UnsafeImagePath, error.fault),))

    def _looker_with_folder(self) -> Looker | None:
        """Return what looks at images; None where nothing is to be looked at."""
        if self._looker is not None and self._folder_is_there is None:
            self._folder_is_there = self._folder.is_dir()
            self.needs_folder = not self._folder_is_there
        return None if self.needs_folder else self._looker

    def _look_at_held(self, held: ImageStore, path: str) -> Look:
        look = _look_at_path(path)
        if look.faults or self._looker is None:
            return look
        from phi3v_data.media.checks import BadImage

        try:
            data = held.read(path)
        except BadImage as error:
            return Look((fault_of(error),))
        return self._looker.hold(data, path)

    def _problems(self, pointer: str, path: str, look: Look, held: ImageStore | None) -> Iterator[Problem]:
        folder = str(self._folder) if held is None else "the shard, beside its record"
        for rule, words in look.faults:
            hint = self._hint(path) if rule is ImageMissing and held is None else None
            yield rule.problem(pointer=pointer, hint=hint, path=quote(path), fault=words, folder=folder)

    def _hint(self, path: str) -> str | None:
        near = self._near_names.find(path)
        return near and f"The folder has {quote(near)}, which differs in case or in how accents are written."


def _looker(level: ImageLevel, num_crops: int, likeness: Callable[[Image.Image], int | None] | None) -> Looker | None:
    if level == "none":
        return None
    if level == "exists":
        return ExistsLooker()
    return HeaderLooker(num_crops) if level == "header" else DecodeLooker(num_crops, likeness)


def _look_at_path(path: str) -> Look:
    fault = path_fault(path)
    return UNSEEN if fault is None else Look(((UnsafeImagePath, fault),))
