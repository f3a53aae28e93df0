"""What benchmarks/formats.py runs beside ours: the `webdataset` library, `datasets`, and plain copies as the limit.

    python benchmarks/format_peers.py wds-write DATA OUT

DATA is a dataset as ours stores it, in the format that the action reads; OUT a folder to write to, which readers leave
empty. Readers touch every byte of every image and print how many records and bytes they saw.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SHARD = 500_000_000


def rows(data: Path) -> Iterator[tuple[dict[str, Any], list[tuple[str, bytes]]]]:
    """Yield the records of JSON lines with their images, as anyone would read them."""
    for path in sorted(data.glob("*.jsonl")):
        with path.open() as lines:
            for line in lines:
                record = json.loads(line)
                names = [name for turn in record["conversations"] for name in turn.get("images", ())]
                yield record, [(name, (data / "images" / name).read_bytes()) for name in names]


def wds_write(data: Path, out: Path) -> None:
    """Write shards with webdataset's ShardWriter."""
    import webdataset

    out.mkdir()
    with webdataset.ShardWriter(str(out / "train-%05d.tar"), maxsize=SHARD, maxcount=10**9, verbose=0) as writer:
        for number, (record, images) in enumerate(rows(data)):
            fields = {f"{place}{Path(name).suffix}": image for place, (name, image) in enumerate(images)}
            writer.write({"__key__": f"{number:09d}", "json": record, **fields})


def wds_samples(data: Path) -> Iterator[dict[str, Any]]:
    """Read shards with webdataset, nothing decoded."""
    import webdataset

    shards = [str(path) for path in sorted(data.glob("*.tar"))]
    return iter(webdataset.WebDataset(shards, shardshuffle=False, empty_check=False))


def wds_read(data: Path, _out: Path) -> None:
    """Read shards with webdataset, the record parsed."""
    count = size = 0
    for sample in wds_samples(data):
        json.loads(sample["json"])
        count += 1
        size += sum(len(value) for name, value in sample.items() if name[0].isdigit())
    print(count, size)


def wds_reshard(data: Path, out: Path) -> None:
    """Read shards with webdataset and write them with its ShardWriter."""
    import webdataset

    out.mkdir()
    with webdataset.ShardWriter(str(out / "train-%05d.tar"), maxsize=SHARD, maxcount=10**9, verbose=0) as writer:
        for sample in wds_samples(data):
            writer.write({name: value for name, value in sample.items() if name not in ("__url__", "__local_path__")})


def _features() -> Any:
    from datasets import Features, Image, List, Value

    text = Value("string")
    turn = {"images": List(text), "user": text, "assistant": text}
    fields = {"id": text, "source": text, "conversations": List(turn), "images": List(Image(decode=False))}
    return Features(fields)


def _example(record: dict[str, Any], images: list[tuple[str, bytes]]) -> dict[str, Any]:
    fields = {name: record[name] for name in ("id", "source", "conversations")}
    return {**fields, "images": [{"path": name, "bytes": image} for name, image in images]}


def hf_write(data: Path, out: Path) -> None:
    """Write Parquet with `datasets`, from a generator, as its documentation has it."""
    from datasets import Dataset

    made = Dataset.from_generator(
        lambda: (_example(*row) for row in rows(data)), features=_features(), cache_dir=str(out.parent / "cache")
    )
    out.mkdir()
    made.to_parquet(str(out / "train.parquet"))


def hf_read(data: Path, _out: Path) -> None:
    """Stream Parquet with `datasets`, pictures as bytes."""
    from datasets import Image, List, load_dataset

    files = [str(path) for path in sorted(data.glob("*.parquet"))]
    stream = load_dataset("parquet", data_files=files, split="train", streaming=True)
    stream = stream.cast_column("images", List(Image(decode=False)))
    _count(stream, lambda row: sum(len(image["bytes"]) for image in row["images"]))


def hf_wds_read(data: Path, _out: Path) -> None:
    """Stream WebDataset with `datasets`, pictures as bytes."""
    from datasets import Image, load_dataset

    files = [str(path) for path in sorted(data.glob("*.tar"))]
    stream = load_dataset("webdataset", data_files=files, split="train", streaming=True)
    pictures = [name for name in stream.features if name[0].isdigit()]
    for name in pictures:
        stream = stream.cast_column(name, Image(decode=False))
    _count(stream, lambda row: sum(len(row[name]["bytes"]) for name in pictures if row[name]))


def hf_reshard(data: Path, out: Path) -> None:
    """Turn WebDataset into Parquet with `datasets`."""
    from datasets import load_dataset

    files = [str(path) for path in sorted(data.glob("*.tar"))]
    out.mkdir()
    made = load_dataset("webdataset", data_files=files, split="train", cache_dir=str(out.parent / "cache"))
    made.to_parquet(str(out / "train.parquet"))


def hf_json_read(data: Path, _out: Path) -> None:
    """Stream JSON lines with `datasets` and read the pictures they name."""
    from datasets import load_dataset

    files = [str(path) for path in sorted(data.glob("*.jsonl"))]
    stream = load_dataset("json", data_files=files, split="train", streaming=True)
    _count(stream, lambda row: sum(len((data / "images" / name).read_bytes()) for name in _named(row)))


def ours_read(data: Path, _out: Path) -> None:
    """Read with ours: the record validated, and every image."""
    from phi3v_data import Dataset

    count = size = 0
    for sample in Dataset(data).split("train").samples():
        count += 1
        size += sum(len(sample.images.read(path)) for path in sample.record().image_paths())
    print(count, size)


def _named(row: dict[str, Any]) -> list[str]:
    return [name for turn in row["conversations"] for name in turn["images"]]


def _count(stream: Any, size_of: Callable[[dict[str, Any]], int]) -> None:
    count = size = 0
    for row in stream:
        count += 1
        size += size_of(row)
    print(count, size)


def copy(data: Path, out: Path) -> None:
    """Copy every file."""
    shutil.copytree(data, out)


def read(data: Path, _out: Path) -> None:
    """Read every file of records, and every image file."""
    size = 0
    for path in sorted(data.rglob("*")):
        if path.is_file():
            size += len(path.read_bytes()) if path.stat().st_size < 1 << 24 else _read_large(path)
    print(0, size)


def _read_large(path: Path) -> int:
    size = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            size += len(block)
    return size


ACTIONS = {
    "wds-write": wds_write,
    "wds-read": wds_read,
    "wds-reshard": wds_reshard,
    "hf-write": hf_write,
    "hf-read": hf_read,
    "hf-wds-read": hf_wds_read,
    "hf-reshard": hf_reshard,
    "hf-json-read": hf_json_read,
    "ours-read": ours_read,
    "copy": copy,
    "read": read,
}


if __name__ == "__main__":
    ACTIONS[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
