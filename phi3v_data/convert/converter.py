"""The converter contract, and the registry that finds converters by entry point."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

__all__ = ["ConversionError", "Converter", "Example", "Image", "Options", "Source", "Turn"]


class Options(BaseModel):
    """Base of a converter's options: every field becomes a flag and a part of the plan."""

    model_config = ConfigDict(extra="forbid", frozen=True)


OptionsT = TypeVar("OptionsT", bound=Options, covariant=True)
