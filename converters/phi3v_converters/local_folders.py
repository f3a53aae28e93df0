"""What importers of people's own files say alike: where the pictures are, and which links are followed."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 -- pydantic reads it
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, field_validator

from phi3v_converters.carved import CarvedOptions
from phi3v_data.image_folder import LeadsOut

if TYPE_CHECKING:
    from phi3v_data.image_folder import UnsafePath

__all__ = ["LocalFolderOptions", "path_advice"]


class LocalFolderOptions(CarvedOptions):
    """Where the pictures are, and whether links may lead out of there."""

    local: ClassVar[frozenset[str]] = frozenset({"image_dir"})

    image_dir: Path | None = Field(
        default=None, description="Folder that the paths start from  [default: the source's folder]"
    )
    follow_links: bool = Field(
        default=False, description="Follow links that lead out of the folder of pictures: for data that you trust."
    )

    @field_validator("image_dir")
    @classmethod
    def _absolute(cls, folder: Path | None) -> Path | None:
        """Return a path of the command line as workers find it too, who may run elsewhere."""
        return folder and folder.expanduser().absolute()


def path_advice(error: UnsafePath) -> str:
    """Return what is wrong with a picture's path, and what to do: the end of a sentence about the path."""
    if isinstance(error, LeadsOut):
        return f"{error.fault}: --follow_links allows it, for data that you trust"
    if "\\" in error.path:
        return f"{error.fault}: write it with '/'"
    return error.fault
