r"""LLaVA: an array of rows for each split, `train.json`, with conversations between `human` and `gpt`.

    {"id": "000000033471", "image": "images/train/000000001.0.jpg", "conversations": [
     {"from": "human", "value": "<image>\nWhat colour is the bus?"}, {"from": "gpt", "value": "White and red."}],
     "phi3v": "{\"id\":\"train-0000000000\",\"source\":\"llava\"}"}

`image` is a list where there are several, as Phi3-Vision-Finetune reads it. LLaMA-Factory reads rows with `datasets`,
where a column has one type: for it there is a list `images` in every row, and the file that describes them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from phi3v_data.export.rows import RowTarget, tagged

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from phi3v_data.export.target import Example, SplitCount
    from phi3v_schemas import Manifest, Record

__all__ = ["LlavaTarget"]

_DATASET_INFO = "dataset_info.json"
_TAGS = {"role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt"}


class LlavaTarget(RowTarget):
    """Writes LLaVA's rows.

    Args:
        folder: As in `Target`.
        llama_factory: Whether to write them as LLaMA-Factory reads them.
    """

    notes: Mapping[str, str] = {
        **RowTarget.notes,
        "several": "with several images: 'image' is a list there, which LLaVA's own trainer does not read",
        "system": "with a system prompt: in the key 'system', which LLaMA-Factory reads and LLaVA's trainers do not",
    }

    def __init__(self, folder: Path, *, llama_factory: bool = False) -> None:
        super().__init__(folder)
        self._llama_factory = llama_factory
        self._with_system: set[str] = set()

    def write_split(self, split: str, examples: Iterable[Example]) -> None:
        """Write the rows of a split, one a line, as an array."""
        with (self.folder / f"{split}.json").open("xb") as file:
            file.write(b"[")
            for index, example in enumerate(examples):
                file.write(b",\n" if index else b"\n")
                file.write(self.line(example))
                if example.record.system is not None:
                    self._with_system.add(split)
            file.write(b"\n]\n")

    def row(self, record: Record, images: list[str]) -> dict[str, Any]:
        """Return the row of a record."""
        self.count(several=len(images) > 1 and not self._llama_factory, system=record.system)
        entries = []
        for turn in record.conversations:
            entries.append({"from": "human", "value": tagged(turn)})
            if turn.assistant is not None:
                entries.append({"from": "gpt", "value": turn.assistant})
        system = {} if record.system is None else {"system": record.system}
        return {**self._image_keys(images), **system, "conversations": entries}

    def _image_keys(self, images: list[str]) -> dict[str, Any]:
        if self._llama_factory:
            return {"images": images}
        return {"image": images[0] if len(images) == 1 else images} if images else {}

    def finish(self, splits: Mapping[str, SplitCount], manifest: Manifest | None) -> None:
        """Describe the files to LLaMA-Factory, which asks for a column `system` only where there is one."""
        if not self._llama_factory:
            return
        described = {}
        for split in splits:
            columns = {"messages": "conversations", "images": "images"}
            if split in self._with_system:
                columns["system"] = "system"
            described[split] = {
                "file_name": f"{split}.json",
                "formatting": "sharegpt",
                "columns": columns,
                "tags": _TAGS,
            }
        with (self.folder / _DATASET_INFO).open("x", encoding="utf-8") as file:
            file.write(json.dumps(described, indent=2, ensure_ascii=False) + "\n")
