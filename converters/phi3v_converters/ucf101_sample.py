"""A small made-up UCF-101: real AVI files of a shape that moves left, right, up or down.

The shape starts about the middle, so that the first frame does not tell where it will go. Clips of a group share shape
and colour, whatever their class, so that these tell nothing of it either; groups never cross splits. A tiny model can
learn it in some minutes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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
_SIZE = 48  # pixels a side
_SPEED = 2  # pixels a frame
_OFF = 8  # pixels that a shape starts off the middle, at most
_BACKGROUND = 30
_ENCODER = {"b": "3M", "bf": "2"}  # as UCF-101: MPEG-4 with B-frames; bits enough for clean edges
_SEED = 101


def write_sample(folder: Path) -> None:
    """Write `{train,val,test}/<Class>/v_<Class>_gNN_cMM.avi`: 120 clips, the same bytes each time."""
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

    scene = np.random.default_rng([_SEED, group])
    colour, shape = scene.integers(120, 256, 3, dtype=np.uint8), _shape(scene)
    off = np.random.default_rng([_SEED, group, list(_CLASSES).index(label), clip]).integers(-_OFF, _OFF + 1, 2)
    top, left = (_HEIGHT - _SIZE) // 2 + int(off[0]), (_WIDTH - _SIZE) // 2 + int(off[1])
    down, right = _CLASSES[label]
    for index in range(_FRAMES):
        row, column = top + down * _SPEED * index, left + right * _SPEED * index
        around = np.pad(shape, ((_HEIGHT, _HEIGHT), (_WIDTH, _WIDTH)))  # it may leave the picture in part
        mask = around[_HEIGHT - row :, _WIDTH - column :][:_HEIGHT, :_WIDTH, None]
        yield np.where(mask, colour, np.uint8(_BACKGROUND))


def _shape(rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return a mask (48, 48) of a disc, a square or a triangle."""
    import numpy as np

    row, column = np.mgrid[:_SIZE, :_SIZE]
    middle = (_SIZE - 1) / 2
    shapes = [(row - middle) ** 2 + (column - middle) ** 2 < (_SIZE / 2) ** 2, row >= 0, column >= _SIZE - row]
    return np.asarray(shapes[rng.integers(3)])
