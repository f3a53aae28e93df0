"""Install a package as a user does, into a folder of its own, and run the command with it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["describe_package", "install", "with_folders"]


def install(project: Path, target: Path) -> None:
    """Build a package and install it into a folder, without the network."""
    flags = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    words = [sys.executable, "-m", "pip", "install", *flags, "--target", str(target), str(project)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def with_folders(*folders: Path) -> dict[str, str]:
    """Return the environment in which what these folders hold is installed."""
    return {"PYTHONPATH": os.pathsep.join([*map(str, folders), *sys.path])}


def describe_package(folder: Path, package: str, **points: str) -> Path:
    """Write what an installed package says of itself, with its entry points for converters; returns the folder."""
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = "".join(f"{name} = {value}\n" for name, value in points.items())
    (info / "entry_points.txt").write_text(f"[phi3v_data.converters]\n{lines}")
    return folder
