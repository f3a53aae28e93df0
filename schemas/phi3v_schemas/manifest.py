"""The manifest: what a dataset folder holds, where it came from, and the sums that prove it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

__all__ = ["SCHEMA_VERSION", "ConverterInfo", "DataFile", "Manifest", "SourceInfo"]

SCHEMA_VERSION = "1.0"
"""Version of the record and manifest format: the major part changes when old readers would misread new files."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class ConverterInfo(_Model):
    """The converter that made the dataset."""

    name: str = Field(description="The converter's name.", examples=["ucf101"])
    version: str = Field(description="The converter's version.", examples=["1"])
    options: dict[str, JsonValue] = Field(description="Every option that shapes the output, defaults included.")


class SourceInfo(_Model):
    """Where the raw data came from. Holds no local path, so that equal data gives an equal manifest anywhere."""

    kind: Literal["folder", "archive", "hub"] = Field(description="How the raw data was given.")
    name: str | None = Field(
        default=None,
        description="Archive file name, or the hub's OWNER/NAME and file.",
        examples=["sayakpaul/ucf101-subset/UCF101_subset.tar.gz"],
    )
    revision: str | None = Field(default=None, description="The hub's commit that was read.")
    sha256: str | None = Field(default=None, description="SHA-256 of the archive.")
    licence: str | None = Field(default=None, description="Licence of the data as its source states it.")
    listing_sha256: str = Field(description="SHA-256 over the relative path and size of every source, in order.")
    sources: int = Field(ge=0, description="How many sources the plan held.")


class DataFile(_Model):
    """One JSONL file of the dataset."""

    path: str = Field(description="File name inside the dataset folder.", examples=["ucf101_train.jsonl"])
    split: str = Field(description="The split it belongs to.", examples=["train"])
    records: int = Field(ge=0, description="Lines in the file.")
    images: int = Field(ge=0, description="Image files its records refer to.")
    image_bytes: int = Field(ge=0, description="Bytes of those image files together.")
    bytes: int = Field(ge=0, description="Size of the file.")
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of the file.")


class Manifest(_Model):
    """The document `manifest.json`."""

    schema_version: str = Field(description="Version of this format.", examples=[SCHEMA_VERSION])
    converter: ConverterInfo = Field(description="What made the dataset.")
    source: SourceInfo = Field(description="What it was made from.")
    plan_sha256: str = Field(pattern="^[0-9a-f]{64}$", description="Identity of the conversion.")
    files: list[DataFile] = Field(description="The JSONL files, split by split.")
    classes: dict[str, dict[str, int]] = Field(
        description="Records per class, for each split; empty where the data has no classes.",
        examples=[{"train": {"Archery": 30, "Basketball": 30}}],
    )
    rejects: int = Field(ge=0, description="Sources that gave no record; listed in rejects.jsonl.")

    def to_json(self) -> str:
        """Return the manifest as indented JSON with a final newline; absent fields are not written."""
        return self.model_dump_json(indent=2, exclude_none=True) + "\n"
