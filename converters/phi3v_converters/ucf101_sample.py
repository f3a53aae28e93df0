"""A small made-up UCF-101: real AVI files of a shape that moves left, right, up or down.

The shape wraps around the edges and starts anywhere, so no single frame gives the class away: a model must look
at the order of the frames. Clips of a group share their background and shape; groups never cross splits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from phi3v_data.errors import UsageError
from phi3v_data.media.video import write_video

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["write_sample"]

_CLASSES = {"MoveDown": (1, 0), "MoveLeft": (0, -1), "MoveRight": (0, 1), "MoveUp": (-1, 0)}
_GROUPS = {"train": range(1, 9), "val": range(9, 11), "test": range(11, 16)}
_CLIPS = 2  # per group and class
_HEIGHT, _WIDTH, _FRAMES = 120, 160, 24
_SPEED = 4  # pixels a frame
_ENCODER = {"b": "3M", "bf": "2"}  # as UCF-101: MPEG-4 with B-frames; bits enough for clean edges
_SEED = 101


def write_sample(folder: Path) -> None:
    """Write `{train,val,test}/<Class>/v_<Class>_gNN_cMM.avi`: 120 clips, the same bytes each time.

    Raises:
        UsageError: The folder exists and is not empty.
    """
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty: choose another folder for the sample")
    for split, groups in _GROUPS.items():
        for label in _CLASSES:
            (folder / split / label).mkdir(parents=True, exist_ok=True)
            for group in groups:
                for clip in range(1, _CLIPS + 1):
                    path = folder / split / label / f"v_{label}_g{group:02d}_c{clip:02d}.avi"
                    write_video(path, _frames(label, group, clip), fps=25, codec_tag="XVID", options=_ENCODER)


def _frames(label: str, group: int, clip: int) -> Iterator[NDArray[np.uint8]]:
    """Yield the frames of one clip, (120, 160, 3) uint8 RGB."""
    import numpy as np

    place = [_SEED, group, list(_CLASSES).index(label)]
    scene = np.random.default_rng(place)
    background, colour = _background(scene), scene.choice(np.array([15, 240], np.uint8), 3)
    shape = _shape(scene)
    start = np.random.default_rng([*place, clip]).integers(0, (_HEIGHT, _WIDTH))
    down, right = _CLASSES[label]
    for index in range(_FRAMES):
        shift = (int(start[0]) + down * _SPEED * index, int(start[1]) + right * _SPEED * index)
        mask = np.roll(shape, shift, axis=(0, 1))[..., None]
        yield np.where(mask, colour, background)


def _background(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a soft gradient between two colours, so that each group looks like a place of its own."""
    import numpy as np

    first, second = rng.integers(60, 200, (2, 3))
    weight = np.linspace(0, 1, _WIDTH)[None, :, None] * np.ones((_HEIGHT, 1, 1))
    return np.asarray(first * weight + second * (1 - weight), dtype=np.uint8)


def _shape(rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return a mask (120, 160) of a disc, a square or a triangle in the corner."""
    import numpy as np

    size = int(rng.integers(22, 34))
    row, column = np.mgrid[:_HEIGHT, :_WIDTH]
    box = (row < size) & (column < size)
    kind = rng.integers(3)
    if kind == 0:
        return np.asarray((row - size / 2) ** 2 + (column - size / 2) ** 2 < (size / 2) ** 2)
    return np.asarray(box if kind == 1 else box & (column >= size - row))
