"""E4xx: the images that records name."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from phi3v_data.image_folder import ImageFolder, UnsafePath, are_plain, path_fault
from phi3v_data.validate.rule import Problem, Rule, quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from phi3v_data.formats.images import ImageStore
    from phi3v_data.media.checks import BadImage
    from phi3v_schemas import Record

__all__ = [
    "EmptyImageFile",
    "FolderMissing",
    "ImageChecker",
    "ImageLevel",
    "ImageMissing",
    "ImageTooLarge",
    "ImageTruncated",
    "ImageUnreadable",
    "NoImage",
    "UnsafeImagePath",
]

ImageLevel = Literal["none", "exists", "header"]
"""How closely images are looked at: not at all, whether they are there, or their header and their end."""

_REMEMBERED = 65_536


class ImageMissing(Rule):
    """There is no such image."""

    code = "E401"
    slug = "image-missing"
    message = "the image {path} is not in {folder}"
    hint = "Paths are relative to the images folder: name another with --images_dir, or add the file."
    bad = '"images": ["train/cta.jpg"], where there is only images/train/cat.jpg'
    good = '"images": ["train/cat.jpg"]'


class UnsafeImagePath(Rule):
    """The path must not be opened."""

    code = "E402"
    slug = "image-path-unsafe"
    message = "the image path {path} {fault}"
    hint = "Write paths relative to the images folder, with '/', such as \"train/cat.jpg\"."
    bad = '"images": ["../cat.jpg"], "images": ["/data/cat.jpg"] or "images": ["train\\\\cat.jpg"]'
    good = '"images": ["train/cat.jpg"]'


class EmptyImageFile(Rule):
    """The image file has no bytes."""

    code = "E403"
    slug = "image-empty"
    message = "the image {path} {fault}"
    hint = "The step that wrote it failed: make the image again."
    bad = "images/cat.jpg of 0 bytes"
    good = "images/cat.jpg, a JPEG file"


class NoImage(Rule):
    """The file is something else than an image."""

    code = "E404"
    slug = "image-invalid"
    message = "the image {path} {fault}"
    hint = "Fetch or make the image again."
    bad = "images/cat.jpg that begins with <!DOCTYPE html>"
    good = "images/cat.jpg, a JPEG file"


class ImageTruncated(Rule):
    """The image file ends before the image does."""

    code = "E405"
    slug = "image-truncated"
    message = "the image {path} {fault}"
    hint = "The copy or download was cut off: fetch or make the image again."
    bad = "images/cat.jpg, the first half of a JPEG file"
    good = "images/cat.jpg, the whole file"


class ImageTooLarge(Rule):
    """The image has more pixels than is safe to decode."""

    code = "E406"
    slug = "image-too-large"
    message = "the image {path} {fault}"
    hint = "Scale it down: the model sees no more than a few thousand pixels a side."
    bad = "images/map.png of 20000x20000 pixels"
    good = "images/map.png of 2000x2000 pixels"


class FolderMissing(Rule):
    """The images folder is not there."""

    code = "E407"
    slug = "images-folder-missing"
    message = "there is no images folder {folder}; no image was checked"
    hint = "Name the folder with --images_dir, or pass --images none to leave images out."
    bad = "data/train.jsonl with images in its records and no data/images"
    good = "data/train.jsonl beside data/images"


class ImageUnreadable(Rule):
    """The operating system does not let the image be read."""

    code = "E408"
    slug = "image-unreadable"
    message = "the image {path} {fault}"
    hint = "Check the permissions of the file and its folders, and the disk."
    bad = "images/cat.jpg with mode 000"
    good = "images/cat.jpg with mode 644"


class ImageChecker:
    """Checks the images of the records of one images folder, each file once.

    Args:
        folder: The images folder.
        level: How closely to look.
    """

    def __init__(self, folder: Path, level: ImageLevel) -> None:
        self._folder = folder
        self._files = ImageFolder(folder)
        self._level = level
        self._look = _looker(level)
        self._folder_is_there: bool | None = None
        # What was found for each path, so that an image of many records is opened once; emptied when full.
        self._known: dict[str, tuple[type[Rule], str] | None] = {}

    def check(self, record: Record) -> list[Problem]:
        """Return what is wrong with the images of a record, which are in the folder."""
        problems: list[Problem] = []
        for index, turn in enumerate(record.conversations):
            if (paths := turn.images) and not (self._look is None and are_plain(paths)):
                problems += _check_turn(index, paths, self._fault, str(self._folder))
        return problems

    def check_held(self, record: Record, images: ImageStore) -> list[Problem]:
        """Return what is wrong with the images of a record, which are in the shard beside it."""
        problems: list[Problem] = []
        for index, turn in enumerate(record.conversations):
            judge = partial(self._judge_held, images)
            problems += _check_turn(index, turn.images or (), judge, "the shard, beside its record")
        return problems

    def folder_problem(self) -> Problem | None:
        """Return the problem of a missing images folder, once, after a record has needed the folder."""
        if self._folder_is_there is False:
            self._folder_is_there = None
            self._look = None
            return FolderMissing.problem(folder=self._folder)
        return None

    def _fault(self, path: str) -> tuple[type[Rule], str] | None:
        if path in self._known:
            return self._known[path]
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        fault = self._known[path] = self._judge(path)
        return fault

    def _judge_held(self, images: ImageStore, path: str) -> tuple[type[Rule], str] | None:
        if (fault := path_fault(path)) is not None:
            return UnsafeImagePath, fault
        if self._level == "none":
            return None
        return _try(partial(_look_at_held, images, self._level), path)

    def _judge(self, path: str) -> tuple[type[Rule], str] | None:
        if self._look is None:
            fault = path_fault(path)
            return None if fault is None else (UnsafeImagePath, fault)
        if self._folder_is_there is None:
            self._folder_is_there = self._folder.is_dir()
        try:
            file = self._files.locate(path)
        except UnsafePath as error:
            return UnsafeImagePath, error.fault
        if not self._folder_is_there:
            return None
        return self._look(file)


def _check_turn(
    turn: int, paths: Sequence[str], judge: Callable[[str], tuple[type[Rule], str] | None], folder: str
) -> Iterator[Problem]:
    for index, path in enumerate(paths):
        fault = judge(path)
        if fault is not None:
            rule, words = fault
            pointer = f"/conversations/{turn}/images/{index}"
            yield rule.problem(pointer=pointer, path=quote(path), fault=words, folder=folder)


def _looker(level: ImageLevel) -> Callable[[str], tuple[type[Rule], str] | None] | None:
    """Return the function that judges a file at a level; only now is a decoder's library imported."""
    if level == "none":
        return None
    from phi3v_data.media import checks

    return partial(_try, checks.check_exists if level == "exists" else checks.check_image)


def _look_at_held(images: ImageStore, level: ImageLevel, path: str) -> None:
    from phi3v_data.media.checks import EmptyImage

    if level != "exists":
        images.header(path)
    elif not images.read(path):
        raise EmptyImage(path, "is empty (0 bytes)")


def _try(check: Callable[[str], object], path: str) -> tuple[type[Rule], str] | None:
    """Return the rule that an image breaks, and the end of a sentence about it."""
    from phi3v_data.media.checks import BadImage

    try:
        check(path)
    except BadImage as error:
        return _rule_of(error), error.fault
    return None


def _rule_of(error: BadImage) -> type[Rule]:
    from phi3v_data.media import checks

    rules: dict[type[BadImage], type[Rule]] = {
        checks.MissingImage: ImageMissing,
        checks.UnreadableImage: ImageUnreadable,
        checks.EmptyImage: EmptyImageFile,
        checks.NotAnImage: NoImage,
        checks.TruncatedImage: ImageTruncated,
        checks.TooManyPixels: ImageTooLarge,
    }
    return rules[type(error)]
