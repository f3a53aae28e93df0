"""Records of datasets as the engine's raw data: a source is a record, and becomes the same record elsewhere."""

from __future__ import annotations

import hashlib
import shlex
from collections import Counter
from contextlib import suppress
from functools import cached_property
from pathlib import Path  # noqa: TC003 -- pydantic reads it
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from pydantic import Field

from phi3v_data.convert.converter import Converter, Options, Source
from phi3v_data.convert.kept import Kept
from phi3v_data.convert.pictures import image_reject
from phi3v_data.errors import DataError, SourceError
from phi3v_data.formats.images import named_images
from phi3v_data.formats.jsonl import JsonlFile
from phi3v_data.formats.kinds import open_record_file
from phi3v_data.formats.record_file import BadShard
from phi3v_data.fs import sha256_of
from phi3v_data.image_folder import UnsafePath
from phi3v_data.layout import MANIFEST, read_manifest
from phi3v_data.media.checks import BadImage, check_exists
from phi3v_data.reader import Dataset
from phi3v_data.validate.schema import read_record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from phi3v_data.convert.converter import Reject
    from phi3v_data.formats.record_file import RecordFile, Sample
    from phi3v_schemas import Manifest, Record

__all__ = ["RecordOptions", "Reshard", "origin"]


class RecordOptions(Options):
    """Which datasets the records come from."""

    local: ClassVar[frozenset[str]] = frozenset({"datasets", "images_dir"})

    datasets: list[Path] = Field(min_length=1)
    images_dir: Path | None = None


OptionsT = TypeVar("OptionsT", bound=RecordOptions)


class Reshard(Converter[OptionsT]):
    """The same records and images in another format."""

    name: ClassVar[str] = "reshard"
    version: ClassVar[str] = "1"
    options_type: ClassVar[type[Options]] = RecordOptions

    def __init__(self, options: OptionsT, root: Path) -> None:
        super().__init__(options, root)
        self._opened: dict[tuple[int, str, int], RecordFile] = {}

    @cached_property
    def datasets(self) -> list[Dataset]:
        """The datasets, in the order in which they were named."""
        return [Dataset(path, images_dir=self.options.images_dir) for path in self.options.datasets]

    def sources(self) -> Mapping[str, Iterator[Source | Reject]]:
        """List every record, in order."""
        self.shared["origins"] = [origin(dataset) for dataset in self.datasets]
        self.known_classes = self._class_counts()
        splits = dict.fromkeys(split for dataset in self.datasets for split in dataset.splits)
        return {split: self._of_split(split) for split in splits}

    def _class_counts(self) -> dict[str, dict[str, int]]:
        """Return the records per class of each split, as the datasets' manifests have them."""
        counts: dict[str, Counter[str]] = {}
        for dataset in self.datasets:
            manifest = read_manifest(dataset.path) if dataset.path.is_dir() else None
            for split, classes in manifest.classes.items() if manifest else ():
                counts.setdefault(split, Counter()).update(classes)
        return {split: dict(sorted(counter.items())) for split, counter in counts.items()}

    def _of_split(self, split: str) -> Iterator[Source]:
        for number, dataset in enumerate(self.datasets):
            if split in dataset.splits:
                yield from self.listed(number, split)

    def listed(self, number: int, split: str) -> Iterator[Source]:
        """List the records of a split of one of the datasets."""
        for index in range(len(self.datasets[number].files(split))):
            for position, key in enumerate(self._file(number, split, index).iter_keys()):
                # Numbers that sort as they count, for the plan keeps the order of paths.
                path = f"{number:04d}/{split}/{index:06d}/{position:012d}"
                data = {"file": [number, split, index], "position": position, "key": key}
                yield Source(path=path, name=path, size=self._loose_bytes(number, split, index, key), data=data)

    def _loose_bytes(self, number: int, split: str, index: int, key: int) -> int:
        """Return the bytes of a record's image files, so that a changed one changes the plan; 0 in a shard."""
        file, images = self._file(number, split, index), self.datasets[number].images
        if not isinstance(file, JsonlFile):
            return 0
        size = 0
        for path in named_images(file.sample(key).data or b""):
            with suppress(BadImage, UnsafePath):  # whoever reads it says what is wrong with it
                size += check_exists(images.locate(path))
        return size

    def convert(self, source: Source) -> Iterator[Kept]:  # type: ignore[override]  # a record that is one already
        """Hand on a record with its images."""
        number, split, index = source.data["file"]
        file = self._file(number, split, index)
        try:
            yield self._keep(number, file.sample(source.data["key"]))
        except (SourceError, BadShard) as error:
            where = f"record {source.data['position'] + 1} of {file.path.name}"
            if isinstance(error, BadShard):
                raise SourceError("damaged_shard", f"{where}: the shard {error.fault}") from error
            raise SourceError(error.code, f"{where}: {error.message}") from error

    def _keep(self, number: int, sample: Sample) -> Kept:
        if sample.data is None:
            raise SourceError("line_too_long", "the line is longer than any record should be")
        record, problems = read_record(sample.data)
        if record is None:
            pointer = f"{problems[0].pointer}: " if problems[0].pointer else ""
            raise SourceError("invalid_record", f"{pointer}{problems[0].message}")
        paths = list(dict.fromkeys(record.image_paths()))
        data, names = self.edit(number, record, sample.data)
        return Kept(record, data, [(new, _read(sample, path)) for path, new in zip(paths, names, strict=True)])

    def edit(self, number: int, record: Record, data: bytes) -> tuple[bytes, Sequence[str]]:
        """Return a record of one of the datasets as it is to be, and the new paths of the images it names."""
        return data, list(dict.fromkeys(record.image_paths()))

    def _file(self, number: int, split: str, index: int) -> RecordFile:
        key = (number, split, index)
        if key not in self._opened:
            dataset = self.datasets[number]
            self._opened[key] = open_record_file(dataset.files(split)[index], dataset.images)
        return self._opened[key]


def _read(sample: Sample, path: str) -> bytes:
    try:
        return sample.images.read(path)
    except UnsafePath as error:
        raise SourceError("unsafe_path", str(error)) from error
    except BadImage as error:
        raise image_reject(error, path) from error


def origin(dataset: Dataset) -> dict[str, Any]:
    """Return where a dataset came from, as far as its manifest says, and the sum that tells it from others.

    Raises:
        DataError: Its files are not as the manifest says.
    """
    manifest = read_manifest(dataset.path) if dataset.path.is_dir() else None
    if manifest is None:
        digest = hashlib.sha256()
        for file in (file for split in dataset.splits for file in dataset.files(split)):
            digest.update(sha256_of(file).encode())
        return {"sha256": digest.hexdigest()}
    _refuse_changed(dataset, manifest)
    return {
        "sha256": sha256_of(dataset.path / MANIFEST),
        "converter": manifest.converter.model_dump(mode="json", exclude_none=True),
        "source": manifest.source.model_dump(mode="json", exclude_none=True),
    }


def _refuse_changed(dataset: Dataset, manifest: Manifest) -> None:
    """Refuse files that are not as the manifest says; shards are held against their sizes alone."""
    for entry in manifest.files:
        path = dataset.path / entry.path
        same_size = path.stat().st_size == entry.bytes
        if not same_size or (path.suffix == JsonlFile.suffix and sha256_of(path) != entry.sha256):
            raise DataError(
                f"{path} is not as {MANIFEST} says: restore it, or accept the change with "
                f"phi3v-data manifest {shlex.quote(str(dataset.path))}"
            )
