"""A converter of pictures whose sources are what a file says they are, for the tests of its base."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from phi3v_data.convert.pictures import FilePicture, PictureConverter, PictureOptions, Question, RowPicture

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from phi3v_data.convert.converter import Source

__all__ = ["Listed", "write_listing"]


class Listed(PictureConverter[PictureOptions]):
    """Reads `listing.json`: split → list of sources, as `write_listing` takes them."""

    name: ClassVar[str] = "listed"
    version: ClassVar[str] = "1"
    options_type = PictureOptions

    def sources(self) -> Mapping[str, Iterator[Source]]:
        """List what the file says."""
        listing = json.loads((self.root / "listing.json").read_text())
        return {split: map(self._source, enumerate(sources)) for split, sources in listing.items()}

    def _source(self, numbered: tuple[int, dict[str, Any]]) -> Source:
        number, facts = numbered
        pictures = [
            FilePicture(picture) if isinstance(picture, str) else RowPicture(**picture) for picture in facts["pictures"]
        ]
        questions = [Question(**question) for question in facts["questions"]]
        name = facts.get("name", f"{number:02d}")
        return self.source(path=name, name=name, pictures=pictures, questions=questions, group=facts.get("group"))


def write_listing(root: Path, **splits: list[dict[str, Any]]) -> Path:
    """Write the listing of a folder: each source has `pictures` (a path, or a row's fields) and `questions`."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "listing.json").write_text(json.dumps(splits))
    return root
