"""The manifest: what a dataset folder holds, where it came from, and the sums that prove it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

__all__ = ["SCHEMA_VERSION", "ConverterInfo", "DataFile", "Manifest", "OutputInfo", "SourceInfo"]

SCHEMA_VERSION = "1.2"
"""Version of the record and manifest format: the major part changes when old readers would misread it."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class OutputInfo(_Model):
    """The format of a dataset's files, and what made a new one begin."""

    format: Literal["jsonl", "webdataset", "parquet"] = Field(
        description="JSON lines beside an images folder, or shards with the images inside.", examples=["webdataset"]
    )
    shard_records: int | None = Field(default=None, description="Most records of a file.", examples=[10_000])
    shard_mb: int | None = Field(default=None, description="Megabytes (10^6 bytes) a file may reach.", examples=[500])


class ConverterInfo(_Model):
    """The converter that made the dataset."""

    name: str = Field(description="The converter's name.", examples=["ucf101"])
    version: str = Field(description="The converter's version.", examples=["1"])
    options: dict[str, JsonValue] = Field(
        description="Every option that shapes the output, defaults included.", examples=[{"num_frames": 8}]
    )
    shared: dict[str, JsonValue] = Field(
        default_factory=dict,
        description="What the converter found while listing, such as the classes and the decoder that was installed.",
        examples=[{"classes": ["Archery", "Basketball"], "decoder": "pyav"}],
    )
    limit: int | None = Field(
        default=None, description="At most so many sources were taken from each split.", examples=[100]
    )
    output: OutputInfo | None = Field(
        default=None,
        description="The format of the files; absent for one JSONL file a split.",
        examples=[{"format": "webdataset", "shard_mb": 500}],
    )


class SourceInfo(_Model):
    """Where the raw data came from. Without local paths: equal data gives an equal manifest anywhere."""

    kind: Literal["folder", "archive", "hub", "jsonl", "dataset"] = Field(
        description="How the raw data was given; jsonl: there was none, the records themselves came from elsewhere; "
        "dataset: the records came from datasets, whose own origin is in `converter.shared`.",
        examples=["hub"],
    )
    name: str | None = Field(
        default=None,
        description="Archive file name, or the hub's OWNER/NAME and file.",
        examples=["sayakpaul/ucf101-subset/UCF101_subset.tar.gz"],
    )
    revision: str | None = Field(default=None, description="The hub's commit that was read.", examples=["b9984b8d"])
    sha256: str | None = Field(default=None, description="SHA-256 of the archive.", examples=["0" * 64])
    licence: str | None = Field(
        default=None, description="Licence of the data as its source states it.", examples=["CC-BY-4.0"]
    )
    listing_sha256: str = Field(
        description="SHA-256 over everything that was listed of every source, in order.",
        examples=["0" * 64],
    )
    sources: int = Field(ge=0, description="How many sources the plan held.", examples=[405])


class DataFile(_Model):
    """One file of the dataset: JSON lines, or a shard of WebDataset or Parquet."""

    path: str = Field(description="File name inside the dataset folder.", examples=["ucf101_train.jsonl"])
    split: str = Field(description="The split it belongs to.", examples=["train"])
    records: int = Field(ge=0, description="Records in the file.", examples=[300])
    images: int = Field(ge=0, description="Image files its records refer to, or images a shard holds.", examples=[2400])
    image_bytes: int | None = Field(
        default=None,
        ge=0,
        description="Bytes of those images together; absent where nobody looked at them.",
        examples=[24_000_000],
    )
    bytes: int = Field(ge=0, description="Size of the file.", examples=[282_000])
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of the file.", examples=["0" * 64])


class Manifest(_Model):
    """The document `manifest.json`."""

    schema_version: str = Field(description="Version of this format.", examples=[SCHEMA_VERSION])
    converter: ConverterInfo = Field(
        description="What made the dataset.", examples=[{"name": "ucf101", "version": "1", "options": {}}]
    )
    source: SourceInfo = Field(
        description="What it was made from.",
        examples=[{"kind": "folder", "listing_sha256": "0" * 64, "sources": 405}],
    )
    plan_sha256: str = Field(pattern="^[0-9a-f]{64}$", description="Identity of the conversion.", examples=["0" * 64])
    files: list[DataFile] = Field(description="The files of records, split by split.", examples=[[]])
    classes: dict[str, dict[str, int]] = Field(
        description="Records per class, for each split; empty where the data has no classes.",
        examples=[{"train": {"Archery": 30, "Basketball": 30}}],
    )
    rejects: int = Field(ge=0, description="Sources that gave no record; listed in rejects.jsonl.", examples=[0])
    edited_from: str | None = Field(
        default=None,
        pattern="^[0-9a-f]{64}$",
        description="SHA-256 of the manifest as it was before the files were first edited by hand; absent where they "
        "are as they were made.",
        examples=["0" * 64],
    )

    def to_json(self) -> str:
        """Return the manifest as indented JSON with a final newline; absent fields are not written."""
        return self.model_dump_json(indent=2, exclude_none=True) + "\n"
