"""The layouts in which the original DocVQA comes.

- by split: `train/train_v1.0.json` beside `train/documents/*.png`, or one such folder alone;
- by kind: `spdocvqa_qas/train_v1.0_withQT.json` beside `spdocvqa_images/*.png`, whose pages the JSON still calls
  `documents/…`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from phi3v_data.convert.annotations import bases, read_json
from phi3v_data.convert.pictures import safe_path
from phi3v_data.errors import SourceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["Annotations", "find_annotations"]

_KINDS = ("spdocvqa_qas", "spdocvqa_images")
_DOCUMENTS = "documents/"


@dataclass(frozen=True, slots=True)
class Annotations:
    """The annotation file of one split.

    Args:
        root: The source's root.
        split: The split.
        file: Path of the file below the root.
        pictures: Folder below the root that stands for `documents/`, with a final '/'.
    """

    root: Path
    split: str
    file: str
    pictures: str

    def entries(self) -> Iterator[Mapping[str, Any]]:
        """Yield the entries of the file; what is no object comes as an empty one.

        Raises:
            UsageError: It is not DocVQA's, or another split's.
        """
        document = read_json(self.root / self.file)
        entries = document.get("data") if isinstance(document, dict) else None
        if not isinstance(entries, list):
            raise UsageError(f"{self.root / self.file} is not DocVQA's: it has no list 'data'")
        name, split = document.get("dataset_name", "docvqa"), document.get("dataset_split", self.split)
        if "docvqa" not in str(name).casefold():
            raise UsageError(f"{self.root / self.file} is not DocVQA's: it says that it is {name!r}")
        if split != self.split:
            raise UsageError(f"{self.root / self.file} says that it is the split {split!r}: rename it, or get it anew")
        return (entry if isinstance(entry, dict) else {} for entry in entries)

    def picture(self, entry: Mapping[str, Any]) -> str:
        """Return the path of an entry's page below the root.

        Raises:
            SourceError: The entry names none, or one outside the source.
        """
        named = entry.get("image")
        if not isinstance(named, str) or not named.removeprefix(_DOCUMENTS):
            raise SourceError("no_picture", f"the entry names no page: its field 'image' is {named!r}")
        return safe_path(self.pictures + named.removeprefix(_DOCUMENTS))


def find_annotations(root: Path) -> list[Annotations]:
    """Return the annotation files below a folder, in the order of the splits.

    Raises:
        UsageError: There are none.
    """
    places = [place for base in bases(root) for place in _places(base)]
    found: dict[str, Annotations] = {}
    for split in ("train", "val", "test"):
        for folder, pictures in places:
            for name in (f"{split}_v1.0_withQT.json", f"{split}_v1.0.json"):
                if split not in found and (root / folder / name).is_file():
                    found[split] = Annotations(root, split, folder + name, pictures)
    if not found:
        raise UsageError(
            f"no DocVQA found in {root}: expected <split>/<split>_v1.0.json beside <split>/documents/, spdocvqa_qas/ "
            "beside spdocvqa_images/, or Parquet files"
        )
    return list(found.values())


def _places(base: str) -> list[tuple[str, str]]:
    """Return the folders in which annotations may lie, each with the one that holds their pages."""
    by_split = [(f"{base}{split}/", f"{base}{split}/{_DOCUMENTS}") for split in ("train", "val", "test")]
    return [*by_split, (f"{base}{_KINDS[0]}/", f"{base}{_KINDS[1]}/"), (base, base + _DOCUMENTS)]
