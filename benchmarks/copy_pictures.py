"""The limit for benchmarks/converters.py: copy the pictures into files, and lines that are ready; no checks.

    python benchmarks/copy_pictures.py SOURCE OUT LINES

Loose pictures are copied within the kernel, those in Parquet files written from Arrow's own buffers. Of rows with the
same page, one behind the other, the first is written. LINES is a folder of JSONL files.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path


def copy_files(source: Path, images: Path) -> None:
    """Copy loose pictures."""
    for path in source.rglob("*.png"):
        shutil.copyfile(path, images / path.name)


def copy_rows(file: Path, images: Path) -> None:
    """Write the pictures of a Parquet file."""
    from pyarrow import compute, parquet

    opened = parquet.ParquetFile(file)
    column = "images" if "images" in opened.schema_arrow.names else "image"
    number, last = 0, None
    for batch in opened.iter_batches(100, columns=[column]):
        cells = batch.column(0).flatten() if column == "images" else batch.column(0)
        data = compute.struct_field(cells, "bytes")
        for index, name in enumerate(compute.struct_field(cells, "path").to_pylist()):
            if name is None or name != last:
                with (images / f"{file.stem}.{number}").open("wb") as target:
                    target.write(data[index].as_buffer())
                number, last = number + 1, name


def main() -> None:
    """Copy."""
    source, out, lines = map(Path, sys.argv[1:])
    images = out / "images"
    images.mkdir(parents=True)
    files = sorted(source.rglob("*.parquet"))
    for file in files:
        copy_rows(file, images)
    if not files:
        copy_files(source, images)
    for path in lines.iterdir():
        shutil.copyfile(path, out / path.name)


if __name__ == "__main__":
    main()
