"""Class folders of pictures, as torchvision's ImageFolder and `datasets`' imagefolder read them: which class is it?

A source is a file. Its class is the folder it lies in, whatever folders are below that:

    train/cat/2024/0001.jpg    →    class cat

and it becomes

    {"id": "train-0000000000", "source": "imagefolder", "conversations": [{
     "images": ["train/cat/2024/0001.0.jpg"],
     "user": "Classify the image into one of the following classes: cat, dog.", "assistant": "cat"}]}

`validation`, `valid` and `dev` are val. Without split folders, `<class>/…` is train, and val is carved off it. The
classes are train's; a folder of another split that is none of them is rejected. A split other than train whose pictures
lie in no class folders is there to be asked, without answers.

Every file in a class folder is taken for a picture, whatever its suffix, and rejected where it is none; notes beside
the pictures (`.txt`, `.json`, `.csv` and the like) and hidden files are passed over. A link to a file below the source
is that file; one that leads out, and a link to a folder, is rejected.
"""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from phi3v_converters.carved import CarvedConverter, CarvedOptions
from phi3v_converters.imagefolder_layout import class_folders, files_below, find_layout, loose_in
from phi3v_data.convert.converter import Example, RawTurn, Reject, Source
from phi3v_data.convert.pictures import read_picture
from phi3v_data.convert.prompts import Prompt  # noqa: TC001 -- pydantic reads it
from phi3v_data.image_folder import ImageFolder, UnsafePath
from phi3v_data.paths import name_fault

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from phi3v_converters.imagefolder_layout import Layout

__all__ = ["ClassFolders", "ClassFoldersOptions"]


class ClassFoldersOptions(CarvedOptions):
    """What shapes the pictures, the prompt and the splits."""

    prompt: Prompt = Field(
        default="Classify the image into one of the following classes: {classes}.",
        description="The question; {classes} becomes the list of classes.",
    )


class ClassFolders(CarvedConverter[ClassFoldersOptions]):
    """Pictures in class folders → a classification question."""

    name: ClassVar[str] = "imagefolder"
    version: ClassVar[str] = "1"
    options_type = ClassFoldersOptions

    def sources(self) -> Mapping[str, Iterator[Source | Reject]]:
        """List the pictures of every split."""
        layout = find_layout(self.root)
        # Here and not in every source: of a thousand classes it is long.
        self.shared["question"] = self.options.prompt.replace("{classes}", ", ".join(layout.classes))
        return self.divide({split: partial(self._pictures, layout, split) for split in layout.tops})

    def convert(self, source: Source) -> Iterator[Example]:
        """Store the picture and ask for its class."""
        image = self.store(read_picture(self.root / source.path, source.path), source.path)
        yield Example(turns=[RawTurn(images=[image], user=self.shared["question"], assistant=source.label)])

    def _pictures(self, layout: Layout, split: str) -> Iterator[Source | Reject]:
        """List the files of a split, by class."""
        if split == next(iter(layout.tops)) and layout.top not in layout.tops[split]:
            yield from self._strays(layout.top, None)
        for top in layout.tops[split]:
            folders = class_folders(top)
            if folders or split == "train":
                yield from self._strays(top, split)
            else:
                yield from self._sources(loose_in(top), top, split)
            for folder in folders:
                if folder.name in layout.classes or name_fault(folder.name):
                    for files in files_below(folder):
                        yield from self._sources(files, top, split, folder.name)
                else:
                    why = "it is no class of train: rename it, or move it out of the source"
                    yield Reject(source=self._below(folder), split=split, code="unknown_class", message=why)

    def _sources(
        self, files: Sequence[os.DirEntry[str]], top: Path, split: str, label: str | None = None
    ) -> Iterator[Source | Reject]:
        """List files of one folder; the name of a picture keeps its suffix where another differs in nothing else."""
        stems = Counter(_folded_stem(file.name) for file in files)
        for file in files:
            if reject := self._bad_link(file, split):
                yield reject
                continue
            name = file.path[len(f"{top}/") :]
            if stems[_folded_stem(file.name)] == 1:
                name = os.path.splitext(name)[0]  # noqa: PTH122 -- once a file
            path = self._below(file)
            yield Source(path=path, name=name, size=self._size(path), label=label)

    def _strays(self, folder: Path, split: str | None) -> Iterator[Reject]:
        """Reject the pictures that lie where only folders should."""
        why = "it lies in no class folder: move it into the folder of its class"
        for file in loose_in(folder):
            reject = Reject(source=self._below(file), split=split, code="no_class", message=why)
            yield self._bad_link(file, split) or reject

    def _bad_link(self, file: os.DirEntry[str], split: str | None) -> Reject | None:
        """Return the reject of a link that must not be followed."""
        if not file.is_symlink():
            return None
        path = self._below(file)
        if os.path.isdir(file.path):  # noqa: PTH112 -- it raises nothing, not even for a link to itself
            why = "it is a link to a folder: put the folder itself there"
            return Reject(source=path, split=split, code="linked_folder", message=why)
        try:
            ImageFolder(self.root).locate(path)
        except UnsafePath as error:
            return Reject(source=path, split=split, code="unsafe_path", message=f"it {error.fault}")
        return None

    def _below(self, path: os.PathLike[str]) -> str:
        return os.fspath(path)[len(f"{self.root}/") :]

    @classmethod
    def write_sample(cls, folder: Path) -> None:
        """Write discs, squares and triangles, in a folder each."""
        from phi3v_converters.shape_samples import write_imagefolder

        write_imagefolder(folder)


def _folded_stem(name: str) -> str:
    """Return a file's name without its suffix, as a file system blind to case would compare it."""
    return unicodedata.normalize("NFC", os.path.splitext(name)[0]).casefold()  # noqa: PTH122
