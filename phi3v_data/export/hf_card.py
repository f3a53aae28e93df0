"""The card of a dataset on the hub: what its pages and `datasets` read, and a few words for people."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from phi3v_data.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from phi3v_data.export.target import SplitCount
    from phi3v_schemas import Manifest

__all__ = ["write_card"]

_LICENCES = re.compile(
    r"apache-2\.0|mit|bsd(-[23]-clause)?|cc0-1\.0|cc-by(-nc)?(-sa|-nd)?-[234]\.0|odbl|odc-by|pddl|"
    r"cdla-permissive-[12]\.0|cdla-sharing-1\.0|gpl-[23]\.0|unknown"
)
"""Licences by the names that the hub knows; any other is `other` there, with a name of its own."""

_SIZES = {
    1_000: "n<1K",
    10_000: "1K<n<10K",
    100_000: "10K<n<100K",
    1_000_000: "100K<n<1M",
    10_000_000: "1M<n<10M",
    100_000_000: "10M<n<100M",
}

_TEXT = """
Conversations about images, for fine-tuning. A row is a conversation: `messages` are its turns in parts, and every part
of the type `image` stands for the next of the row's `images`, whose files are embedded as they were.

```python
from datasets import load_dataset

dataset = load_dataset("OWNER/NAME")  # or the path of this folder
```

| column | what it holds |
|---|---|
| `id`, `source` | the record's name, and the dataset it comes from |
| `group` | rows that share a scene, a document or a set of images share a group: keep them together when you split |
| `messages` | `role` and `content`, a list of parts with `type` and `text` |
| `images` | the images, in the order of the parts |
| `answers` | for each question the answers that an evaluation accepts, where there are several |
| `metadata` | whatever else was known of the row, as JSON text |

"""


def write_card(path: Path, splits: Mapping[str, SplitCount], manifest: Manifest | None) -> None:
    """Write the card.

    Args:
        path: The file; it must not exist.
        splits: What was written of each split, by its name on the hub.
        manifest: That of the dataset, where it has one: it knows the licence and what the data was made from.
    """
    with path.open("x", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in ["---", *_front_matter(splits, manifest), "---"])
        file.write(_TEXT)
        file.writelines(f"{line}\n" for line in _words(splits, manifest))


def _front_matter(splits: Mapping[str, SplitCount], manifest: Manifest | None) -> Iterator[str]:
    """Yield lines of YAML; a text in them is JSON, which is YAML too."""
    yield from ("configs:", "- config_name: default", "  data_files:")
    for name in splits:
        yield f"  - split: {json.dumps(name)}"
        yield f"    path: {json.dumps(f'data/{name}-*')}"
    if (licence := _licence(manifest)) is not None:
        known = re.sub(r"[\s_]+", "-", licence.strip().lower())
        yield f"license: {json.dumps(known if _LICENCES.fullmatch(known) else 'other')}"
        if not _LICENCES.fullmatch(known):
            yield f"license_name: {json.dumps(re.sub(r'[^a-z0-9.]+', '-', known).strip('-') or 'other')}"
    records = sum(count.records for count in splits.values())
    size = next((name for most, name in _SIZES.items() if records < most), "n>100M")
    yield from ("size_categories:", f"- {json.dumps(size)}")
    task = "visual-question-answering" if any(count.images for count in splits.values()) else "text-generation"
    yield from ("task_categories:", f"- {task}")


def _words(splits: Mapping[str, SplitCount], manifest: Manifest | None) -> Iterator[str]:
    """Yield lines about how much there is, what it was made from, and under which licence."""
    yield from ("| split | rows | images |", "|---|---|---|")
    for name, count in splits.items():
        yield f"| {name} | {count.records:,} | {count.images:,} |"
    yield ""
    licence = _licence(manifest)
    if manifest is not None:
        origin = f" from {_plain(manifest.source.name)}" if manifest.source.name else ""
        yield f"Made{origin} with phi3v-data, by {_plain(manifest.converter.name)}."
    if licence is None:
        yield "The licence of the data is not known here: state it before you publish this."
    else:
        yield f"The licence of the data, as its source states it: {_plain(licence)}."


def _licence(manifest: Manifest | None) -> str | None:
    return manifest.source.licence if manifest else None


def _plain(text: str) -> str:
    """Return a text from outside as one line of Markdown."""
    return re.sub(r"[\\`*_\[\]<>|]", r"\\\g<0>", printable(text))
