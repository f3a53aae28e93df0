"""Raw data made on the spot for the tests of converters: pictures as bytes, Parquet files as the hub has them."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import datasets
import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["picture", "write_json_lines", "write_parquet", "write_picture"]


def picture(seed: int, form: str = "PNG", size: tuple[int, int] = (40, 30)) -> bytes:
    """Return the bytes of a picture file whose pixels the seed decides."""
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, form)
    return buffer.getvalue()


def write_picture(path: Path, seed: int, form: str = "PNG", size: tuple[int, int] = (40, 30)) -> bytes:
    """Write such a picture, in a format its name need not tell, and return its bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = picture(seed, form, size)
    path.write_bytes(data)
    return data


def write_json_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write JSON lines; makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_parquet(
    path: Path, rows: list[dict[str, Any]], features: datasets.Features, rows_per_group: int | None = None
) -> bytes:
    """Write a Parquet file with `datasets`, as the hub's are; return its bytes; a picture is `bytes` and `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    datasets.disable_progress_bars()
    datasets.Dataset.from_list(rows, features=features).to_parquet(path, batch_size=rows_per_group)
    return path.read_bytes()
