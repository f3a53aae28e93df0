"""The contract: the conversation record, the dataset manifest and the findings, as Pydantic models."""

from phi3v_schemas.findings import Finding, Report, Severity
from phi3v_schemas.manifest import SCHEMA_VERSION, ConverterInfo, DataFile, Manifest, OutputInfo, SourceInfo
from phi3v_schemas.record import Record, Turn

__all__ = [
    "SCHEMA_VERSION",
    "ConverterInfo",
    "DataFile",
    "Finding",
    "Manifest",
    "OutputInfo",
    "Record",
    "Report",
    "Severity",
    "SourceInfo",
    "Turn",
]
