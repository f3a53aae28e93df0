"""The way of `datasets` to do what the converters of pictures do: the peer of benchmarks/converters.py.

    python benchmarks/map_pictures.py docvqa/cauldron SOURCE OUT PROCESSES

`load_dataset`, pictures not decoded, then `map`: it writes the pictures and makes the lines of JSON. With 0 processes
the dataset is streamed, which copies nothing into the cache. Nothing is checked, and no val is carved off.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from datasets import Image, List, load_dataset

JSON = {
    "docvqa": ("spdocvqa_qas/train_v1.0_withQT.json", "data"),
    "hateful_memes": ("train.jsonl", None),
    "nlvr2": ("train.json", None),
}
Parts = tuple[str, list[Any], list[dict[str, Any]]]


def take_apart(form: str, row: Any, index: int, source: Path) -> Parts:
    """Return the stem that a row's pictures are to have, the pictures (paths or bytes), and its turns."""
    if form.endswith("cauldron"):
        turns = [{"user": text["user"], "assistant": text["assistant"]} for text in row["texts"]]
        return f"{index:07d}", [picture["bytes"] for picture in row["images"]], turns
    if form == "hateful_memes/original":
        turn = {"user": "Is this meme hateful?\nAnswer yes or no.", "assistant": "Yes." if row["label"] else "No."}
        return Path(row["img"]).stem, [source / row["img"]], [turn]
    if form == "nlvr2/original":
        pair = row["identifier"].rpartition("-")[0]
        folder = source / "images" / "train" / row["directory"]
        prompt = f'Given the left and right images, does the statement "{row["sentence"]}" hold true?'
        turn = {"user": prompt, "assistant": "Yes." if row["label"] == "True" else "No."}
        return pair, [folder / f"{pair}-img0.png", folder / f"{pair}-img1.png"], [turn]
    prompt = f"{row['question']}\nAnswer briefly."
    turn = {"user": prompt, "assistant": row["answers"][0], "answers": row["answers"]}
    if form == "docvqa/original":
        name = Path(row["image"]).name
        return Path(name).stem, [source / "spdocvqa_images" / name], [turn]
    return Path(row["image"]["path"]).stem, [row["image"]["bytes"]], [turn]


def write_row(row: Any, index: int, form: str, source: Path, out: Path) -> dict[str, str]:
    """Write a row's pictures where they are not yet, and return its lines."""
    stem, pictures, turns = take_apart(form, row, index, source)
    dataset = form.partition("/")[0]
    names = [f"train/{stem}.{side}{'.jpg' if dataset == 'nlvr2' else '.png'}" for side in range(len(pictures))]
    for name, picture in zip(names, pictures, strict=True):
        target = out / "images" / name
        if target.exists():  # of an earlier question about the same page
            continue
        if isinstance(picture, Path):
            shutil.copyfile(picture, target)
        else:
            target.write_bytes(picture)
    lines = []
    for number, turn in enumerate(turns):
        record = {"id": f"train-{index:010d}-{number}", "source": dataset, "group": stem}
        lines.append(json.dumps({**record, "conversations": [{"images": names, **turn}]}) + "\n")
    return {"lines": "".join(lines)}


def load(form: str, source: Path, stream: bool) -> Any:
    """Return the rows, pictures as bytes."""
    dataset, _, layout = form.partition("/")
    if layout == "original":
        file, field = JSON[dataset]
        return load_dataset("json", data_files=str(source / file), field=field, split="train", streaming=stream)
    files = sorted(map(str, source.rglob("*.parquet")))
    rows = load_dataset("parquet", data_files=files, split="train", streaming=stream)
    if layout == "cauldron":
        return rows.cast_column("images", List(Image(decode=False)))
    return rows.cast_column("image", Image(decode=False))


def main() -> None:
    """Convert."""
    form, source, out, processes = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
    (out / "images" / "train").mkdir(parents=True)
    rows = load(form, source, stream=processes == 0)
    options: dict[str, Any] = {"with_indices": True, "remove_columns": rows.column_names}
    if processes > 1:
        options["num_proc"] = processes
    done = rows.map(write_row, fn_kwargs={"form": form, "source": source, "out": out}, **options)
    with (out / "train.jsonl").open("w") as file:
        for batch in done.iter(1000):
            file.writelines(batch["lines"])


if __name__ == "__main__":
    main()
