"""UCF-101, and any other folder of class folders of videos: frames in order, the class as the answer.

A source is a file. Its class is the folder it lies in, its group is read from its name:

    train/Basketball/v_Basketball_g01_c01.avi    →    class Basketball, group Basketball/g01

and it becomes

    {"id": "train-0000000017", "source": "ucf101", "group": "Basketball/g01", "conversations": [{
     "images": ["train/Basketball/v_Basketball_g01_c01.0.jpg", "… 8 frames …"],
     "user": "Classify the video into one of the following classes: Archery, Basketball, ….",
     "assistant": "Basketball"}]}
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from phi3v_converters.ucf101_clips import Clip
from phi3v_converters.ucf101_layout import Split, find_layout
from phi3v_data.convert.converter import Converter, Example, Image, Options, RawTurn, Reject, Source
from phi3v_data.convert.sources import HubFile
from phi3v_data.media.video import resolve_decoder, sample_clip

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["UCF101", "UCF101Options"]


def _read_classes(value: Any) -> Any:
    """Accept a list, `A,B,C`, or a file with one class a line."""
    if not isinstance(value, str):
        return value
    if os.path.isfile(value):  # noqa: PTH113 - a very long list of names is no path, and Path would raise
        names = Path(value).read_text(encoding="utf-8-sig").splitlines()
    else:
        names = value.split(",")
    return tuple(name.strip() for name in names if name.strip())


class UCF101Options(Options):
    """What shapes the frames, the prompt and the splits."""

    num_frames: int = Field(
        default=8,
        ge=1,
        le=4096,
        description="Frames per clip, spread evenly over it: frame k is floor(k·T/n).",
    )
    image_size: int | None = Field(
        default=None, ge=16, description="Shrink frames so that the longer side has at most this many pixels."
    )
    quality: int = Field(default=75, ge=1, le=100, description="JPEG quality.")
    decoder: Literal["auto", "pyav", "opencv", "decord"] = Field(
        default="auto", description="Video decoder; auto is PyAV, or OpenCV where PyAV is not installed."
    )
    allow_damaged: bool = Field(
        default=False, description="Keep clips that are cut short or damaged, with the frames that decode."
    )
    classes: Annotated[tuple[str, ...] | None, BeforeValidator(_read_classes)] = Field(
        default=None,
        min_length=1,
        description="Only these classes, in this order: A,B,C or a file with one a line.",
    )
    prompt: str = Field(
        default="Classify the video into one of the following classes: {classes}.",
        min_length=1,
        description="The question; {classes} becomes the list of classes.",
    )
    fold: Literal[1, 2, 3] = Field(default=1, description="Official train/test fold of the full UCF-101.")
    val_fraction: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="Part of the groups of a class carved off as val, where the source is not split into folders.",
    )
    test_fraction: float = Field(
        default=0.1, ge=0, lt=1, description="The same for test, where the source has no splits at all."
    )
    seed: int = Field(default=0, description="Seed of the carving.")


class UCF101(Converter[UCF101Options]):
    """Videos in class folders → frames and a classification question."""

    name: ClassVar[str] = "ucf101"
    version: ClassVar[str] = "1"
    options_type = UCF101Options
    default_source = HubFile(
        repo="sayakpaul/ucf101-subset",
        filename="UCF101_subset.tar.gz",
        known_size=171_386_880,
    )

    def sources(self) -> Mapping[str, Iterator[Source | Reject]]:
        """List the clips of every split."""
        layout = find_layout(self.root, self.options)
        decoder = resolve_decoder(self.options.decoder)
        self.shared = {"base": layout.base, "classes": layout.classes, "decoder": decoder}
        return {split: _sources(clips) for split, clips in layout.splits.items()}

    def convert(self, source: Source) -> Iterator[Example]:
        """Sample the frames of one clip and ask for its class."""
        options, shared = self.options, self.shared
        clip = sample_clip(
            self.root / shared["base"] / source.path,
            options.num_frames,
            decoder=shared["decoder"],
            image_size=options.image_size,
            quality=options.quality,
            allow_damaged=options.allow_damaged,
        )
        question = options.prompt.replace("{classes}", ", ".join(shared["classes"]))
        images = [Image(data) for data in clip.images]
        yield Example(turns=[RawTurn(images=images, user=question, assistant=source.label)])

    @classmethod
    def write_sample(cls, folder: Path) -> None:
        """Write clips of a moving shape: four classes that no single frame gives away."""
        from phi3v_converters.ucf101_sample import write_sample

        write_sample(folder)


def _sources(clips: Split) -> Iterator[Source | Reject]:
    for clip in clips:
        if isinstance(clip, Clip):
            yield Source(path=clip.path, name=clip.name, size=clip.size, group=clip.group, label=clip.label)
        else:
            yield clip
