"""The one way to read a dataset back: its splits, their records by iteration or by index, and its images."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from phi3v_data.errors import CannotRun, DataError
from phi3v_data.formats.record_file import BadRecord, BadShard, Sample
from phi3v_data.image_folder import ImageFolder
from phi3v_data.layout import IMAGES, data_files, missing_shards, parse_name, read_manifest
from phi3v_data.split import Split

if TYPE_CHECKING:
    from PIL import Image

    from phi3v_schemas import Finding

__all__ = ["BadRecord", "BadShard", "Dataset", "Sample", "Split"]


class Dataset:
    """A dataset on disk, as JSON lines, WebDataset or Parquet, or one file of records.

    Args:
        path: The dataset's folder, or a file of records.
        split: The only split to see; for a single file, what its split is called.
        images_dir: Folder of the images; by default `images` beside the JSONL files.

    Raises:
        CannotRun: There is nothing at `path`.
    """

    def __init__(self, path: str | Path, *, split: str | None = None, images_dir: str | Path | None = None) -> None:
        self.path = Path(path)
        self._only = split
        if not self.path.exists():
            raise CannotRun(f"there is no dataset at {self.path}")
        folder = self.path if self.path.is_dir() else self.path.parent
        self.images = ImageFolder(Path(images_dir) if images_dir is not None else folder / IMAGES)

    @property
    def splits(self) -> list[str]:
        """The names of the splits, in the manifest's order, or in order of file name where there is none.

        Raises:
            CannotRun: The folder holds no file of records.
            DataError: The manifest cannot be used, a file it names or a shard is missing, or there is no such
                split.
        """
        return list(self._files)

    def files(self, split: str) -> list[Path]:
        """Return the files of a split, in the order of its records.

        Raises:
            DataError: There is no such split, or as `splits`.
        """
        try:
            return list(self._files[split])
        except KeyError:
            known = ", ".join(self._files)
            raise DataError(f"{self.path} has no split {split!r}; it has {known}") from None

    def split(self, name: str) -> Split:
        """Return the records of a split; nothing is read yet.

        Raises:
            DataError: There is no such split.
        """
        return Split(self.files(name), self.images)

    @cached_property
    def _files(self) -> dict[str, list[Path]]:
        if self.path.is_dir():
            return _folder_files(self.path, self._only)
        return {self._only or parse_name(self.path).split: [self.path]}

    def image_path(self, relative: str) -> Path:
        """Return the file of the images folder that a record's image path names; it need not exist.

        Raises:
            UnsafePath: The path is absolute, leaves the folder by '..' or a link, or is otherwise refused.
        """
        return self.images.path(relative)

    def open_image(self, relative: str) -> Image.Image:
        """Open an image of the images folder; its pixels are read when first used, and the caller closes it.

        Images of WebDataset and Parquet stand beside their records: `Split.load` hands them out, for any format.

        Raises:
            UnsafePath: As `image_path`.
            BadImage: There is no such image, or it cannot be read as one.
        """
        return self.images.open(relative)

    def check_manifest(self) -> list[Finding]:
        """Hold the folder against its manifest: sums, counts, missing and extra files.

        Returns:
            The findings; empty for a single file, which has no manifest.
        """
        from phi3v_data.validate.manifest import check_folder

        return check_folder(self.path) if self.path.is_dir() else []


def _folder_files(folder: Path, only: str | None) -> dict[str, list[Path]]:
    """Return the files of each split, as the manifest lists them or as their names say."""
    manifest = read_manifest(folder)
    files: dict[str, list[Path]] = {}
    if manifest is not None:
        for entry in manifest.files:
            files.setdefault(entry.split, []).append(folder / entry.path)
    else:
        for path in data_files(folder):
            files.setdefault(parse_name(path).split, []).append(path)
    if not files:
        raise CannotRun(f"{folder} holds no JSONL file and no shard")
    if only is not None:
        if only not in files:
            raise DataError(f"{folder} has no split {only!r}; it has {', '.join(files)}")
        files = {only: files[only]}
    _refuse_missing(folder, [path for paths in files.values() for path in paths])
    return files


def _refuse_missing(folder: Path, paths: list[Path]) -> None:
    missing = [path.name for path in paths if not path.is_file()] + missing_shards(paths)
    if missing:
        raise DataError(f"{folder} lacks {', '.join(dict.fromkeys(missing))}; make the dataset again")
