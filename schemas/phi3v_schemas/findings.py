"""Findings: what a validator says of a dataset, as data."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Finding", "Report", "Severity"]

Severity = Literal["error", "warning"]


class Finding(BaseModel):
    """One fault at one place."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str = Field(
        description="The file, as it was named on the command line or below the dataset folder.",
        examples=["out/ucf101_train.jsonl"],
    )
    line: int | None = Field(
        description="Line number from 1; null for a finding about a file or the whole dataset.", examples=[17]
    )
    pointer: str = Field(
        default="",
        description="JSON pointer (RFC 6901) to the value at fault.",
        examples=["/conversations/0/user"],
    )
    code: str = Field(description="Stable code of the rule.", examples=["E401"])
    slug: str = Field(description="The rule's name for people.", examples=["image-missing"])
    severity: Severity = Field(description="'error' fails the run; 'warning' only with --strict.", examples=["error"])
    message: str = Field(
        description="What is wrong, with the value at fault.",
        examples=["the image 'train/cat.jpg' is not in out/images"],
    )
    hint: str = Field(description="What to do about it.", examples=["Add the file."])


class Report(BaseModel):
    """Everything one validation run has to say: the document of `validate --format json`."""

    model_config = ConfigDict(extra="forbid")

    schema_version: str = Field(
        description="Version of the record format the files were held against.", examples=["1.0"]
    )
    files: list[str] = Field(description="The files read, in order.", examples=[["out/ucf101_train.jsonl"]])
    records: int = Field(ge=0, description="Lines read that held something.", examples=[300])
    counts: dict[str, int] = Field(
        description="How often each code was found, kept or not.", examples=[{"E401": 2, "W104": 1}]
    )
    findings: list[Finding] = Field(
        description="The findings of each dataset: about the folder, then line by line for each file, then "
        "duplicate ids; up to --max_findings.",
        examples=[[]],
    )
