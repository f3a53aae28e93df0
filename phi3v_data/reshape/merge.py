"""Put datasets together: what tells records and images apart gets the dataset's label before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from phi3v_data.reshape.records import RecordOptions, Reshard

if TYPE_CHECKING:
    from collections.abc import Sequence

    from phi3v_schemas import Record

__all__ = ["Merge", "MergeOptions"]


class MergeOptions(RecordOptions):
    """Which datasets, and what each one is called."""

    labels: list[str] = Field(min_length=1)


class Merge(Reshard[MergeOptions]):
    """The records of several datasets in one."""

    name: ClassVar[str] = "merge"
    options_type = MergeOptions

    def edit(self, number: int, record: Record, data: bytes) -> tuple[bytes, Sequence[str]]:
        """Put the dataset's label before the id and the images' paths.

        Groups stay: those of one name may be the same scene, and must not be parted later.
        """
        label = self.options.labels[number]
        record.id = f"{label}/{record.id}"
        for turn in record.conversations:
            turn.images = turn.images and [f"{label}/{image}" for image in turn.images]
        return super().edit(number, record, record.to_line()[:-1])
