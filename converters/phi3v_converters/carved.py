"""Converters of pictures whose source may have nothing but a train split: val is then carved off it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import Field

from phi3v_data.convert.carve import carve
from phi3v_data.convert.parquet import ParquetFile
from phi3v_data.convert.parquet_files import by_split, find_parquet, fingerprint
from phi3v_data.convert.pictures import PictureConverter, PictureOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from phi3v_data.convert.converter import Reject, Source

__all__ = ["CarvedConverter", "CarvedOptions"]


class CarvedOptions(PictureOptions):
    """What shapes the pictures, and the val that is carved off where the source has no split but train."""

    val_fraction: float = Field(
        default=0.1, ge=0, lt=1, description="Part carved off as val, where the source has no split but train."
    )
    seed: int = Field(default=0, description="Seed of the carving.")

    def refuse_carving(self) -> None:
        """Refuse the flags of the carving where the source has its own splits."""
        self.refuse("val_fraction", "seed", why="it has its own splits")


OptionsT = TypeVar("OptionsT", bound=CarvedOptions)


class CarvedConverter(PictureConverter[OptionsT]):
    """Base of converters of pictures that come in Parquet files or as they were published, with or without a val."""

    def parquet_files(self, named: Sequence[str] = ()) -> dict[str, list[str]]:
        """Return the source's Parquet files by split, or those named; they become a part of the plan's identity."""
        splits = by_split(named) if named else find_parquet(self.root, self.files)
        if splits:
            names = [name for files in splits.values() for name in files]
            self.shared["files"] = {name: fingerprint(self.root / name) for name in names}
        return splits

    def first_file(self, splits: Mapping[str, Sequence[str]]) -> ParquetFile:
        """Open the first of the source's Parquet files, whose columns tell whose form they have."""
        return ParquetFile(self.root / next(name for files in splits.values() for name in files))

    def divide(
        self, listings: Mapping[str, Callable[[], Iterator[Source | Reject]]]
    ) -> dict[str, Iterator[Source | Reject]]:
        """Return the sources of every split; where there is only train, val is carved off it.

        Args:
            listings: For each split what lists its sources, anew at every call.
        """
        if set(listings) != {"train"}:
            self.options.refuse_carving()
            return {split: listing() for split, listing in listings.items()}
        if self.options.val_fraction:
            self.shared["carved"] = "val"
        return carve(listings["train"], self.options.val_fraction, seed=self.options.seed)
