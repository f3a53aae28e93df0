"""What one archive may put into a folder: judge each member's name, keep count of the space, write."""

from __future__ import annotations

import errno
import re
import shutil
import unicodedata
from typing import IO, TYPE_CHECKING

from phi3v_data.errors import CannotRun

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Members", "safe_parts"]

_MAX_MEMBERS = 10_000_000
_MARGIN_BYTES = 64 << 20
_MAX_NAME_BYTES = 255
_MAX_PATH_BYTES = 1024
_MAX_DEPTH = 64
_CHUNK = 1 << 20

_UNWRITABLE_NAME = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EEXIST)
"""The file system's own word on a name: too long for it, not in its alphabet, or equal to another's."""


def safe_parts(name: str) -> tuple[str, ...] | None:
    r"""Split a member's name into the parts of a path that stays where it is put.

    Args:
        name: As the archive has it, such as "./train/a.avi".

    Returns:
        The parts, empty for the archive's own top folder, or None for a name that must not be used: absolute,
        with "..", a drive letter, a backslash or a NUL, or too long for common file systems.
    """
    if name.startswith("/") or re.match("[A-Za-z]:", name) or "\\" in name or "\0" in name:
        return None
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    sizes = [len(part.encode("utf-8", "surrogatepass")) for part in parts]
    too_long = max(sizes, default=0) > _MAX_NAME_BYTES or sum(sizes) + len(sizes) > _MAX_PATH_BYTES
    return None if ".." in parts or too_long or len(parts) > _MAX_DEPTH else parts


class Members:
    """The members of one archive on their way into one folder.

    Args:
        folder: An empty folder of the caller's own.
        archive: What to call the archive in messages.
    """

    def __init__(self, folder: Path, archive: str) -> None:
        self.folder = folder
        self._archive = archive
        self._room = shutil.disk_usage(folder).free - _MARGIN_BYTES
        self._count = 0
        self._unsafe: list[str] = []
        self._taken: dict[tuple[str, ...], bool] = {}

    @property
    def unsafe(self) -> tuple[str, ...]:
        """The refused members' names, sorted, with what is not printable escaped."""
        return tuple(sorted(self._unsafe))

    def refuse(self, name: str) -> None:
        """Note a member that is not unpacked."""
        self._counted()
        self._unsafe.append(repr(name)[1:-1])

    def add_folder(self, name: str) -> None:
        """Make a folder, or note why not."""
        parts = self._claim(name, is_folder=True)
        if parts is None:
            return self.refuse(name)
        try:
            return self.folder.joinpath(*parts).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            return self._refuse_or_raise(name, error)

    def add_file(self, name: str, size: int, content: IO[bytes]) -> None:
        """Write a file, or note why not.

        Args:
            name: The member's name.
            size: Its size in bytes as declared; it is not believed.
            content: Its bytes.

        Raises:
            CannotRun: It does not fit on the disk, or is not of the size it declares.
        """
        parts = self._claim(name, is_folder=False)
        if parts is None:
            return self.refuse(name)
        self.require_space(size)
        try:
            path = self.folder.joinpath(*parts)
            path.parent.mkdir(parents=True, exist_ok=True)
            target = path.open("xb")
        except OSError as error:
            return self._refuse_or_raise(name, error)
        with target:
            self._copy(content, target, size)

    def require_space(self, size: int) -> None:
        """Stop before more is written than the disk can hold.

        Raises:
            CannotRun: `size` bytes more are too many.
        """
        if size > self._room:
            raise CannotRun(
                f"{self._archive} does not fit on the disk of the cache, {size / 1e6:,.0f} MB more where "
                f"{max(self._room, 0) / 1e6:,.0f} MB can be used: set PHI3V_CACHE to a roomier place"
            )

    def _copy(self, content: IO[bytes], target: IO[bytes], size: int) -> None:
        written = 0
        while chunk := content.read(_CHUNK):
            self.require_space(len(chunk))
            written += target.write(chunk)
            self._room -= len(chunk)
        if written != size:
            raise ValueError(f"a member of {size} bytes has {written}")

    def _claim(self, name: str, *, is_folder: bool) -> tuple[str, ...] | None:
        """Return the parts of a name nobody else has, letters of either case being the same, else None.

        The rule is the same on every file system: an archive must give the same files everywhere.
        """
        parts = safe_parts(name)
        if parts is None or not (parts or is_folder):
            return None
        folded = tuple(unicodedata.normalize("NFC", part).casefold() for part in parts)
        above = [folded[:depth] for depth in range(len(folded) - 1, 0, -1)]
        if any(not self._taken.get(folder, True) for folder in above):
            return None
        if folded in self._taken and not (is_folder and self._taken[folded]):
            return None
        self._counted()
        self._taken.update(dict.fromkeys(above, True))
        self._taken[folded] = is_folder
        return parts

    def _refuse_or_raise(self, name: str, error: OSError) -> None:
        if error.errno not in _UNWRITABLE_NAME:
            raise error
        self.refuse(name)

    def _counted(self) -> None:
        self._count += 1
        if self._count > _MAX_MEMBERS:
            raise CannotRun(f"{self._archive} has more than {_MAX_MEMBERS:,} members: unpack it yourself")
