"""Optional dependencies: import one where it is needed, or say how to install it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from phi3v_data.errors import MissingExtra

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["require"]


def require(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import a module of an optional extra.

    Args:
        module: Import name, such as "av".
        extra: The extra of this distribution that installs it.
        purpose: What it is needed for, the subject of the error's sentence.

    Raises:
        MissingExtra: The module is not installed; the message holds the exact command.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != module.partition(".")[0]:
            raise
        raise MissingExtra(f"{purpose} needs the package {module!r}: run {_install_command(extra)}") from None


def _install_command(extra: str) -> str:
    """Return the pip command that adds an extra, for an installed package or for a clone of the repository."""
    import json
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        origin = json.loads(distribution("phi3v-data").read_text("direct_url.json") or "{}")
    except PackageNotFoundError:
        origin = {"dir_info": {"editable": True}}
    if origin.get("dir_info", {}).get("editable"):
        return f"pip install -e '.[{extra}]' in your clone"
    return f"pip install 'phi3v-data[{extra}]'"
