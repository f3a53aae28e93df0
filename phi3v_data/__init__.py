"""Turn people's data into a validated fine-tuning dataset for Phi-3.5-vision.

Importing this package imports nothing heavy: the names below load when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from phi3v_data.convert.converter import Converter, Example, Image, Options, RawTurn, Reject, Source
    from phi3v_data.errors import Phi3VError, SourceError
    from phi3v_data.reader import Dataset

__all__ = [
    "Converter",
    "Dataset",
    "Example",
    "Image",
    "Options",
    "Phi3VError",
    "RawTurn",
    "Reject",
    "Source",
    "SourceError",
    "__version__",
]

__version__ = "0.1.0"

_HOMES = {
    "phi3v_data.convert.converter": (
        "Converter",
        "Example",
        "Image",
        "Options",
        "RawTurn",
        "Reject",
        "Source",
    ),
    "phi3v_data.errors": ("Phi3VError", "SourceError"),
    "phi3v_data.reader": ("Dataset",),
}


def __getattr__(name: str) -> object:
    import importlib

    for module, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
