"""What writes one shard, whatever its format."""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["ShardWriter", "StreamWriter"]


class ShardWriter(ABC):
    """One shard in the making.

    Args:
        path: The file; it must not exist.

    Attributes:
        records: Records written.
        images: Images written.
        image_bytes: Their bytes.
        size: Bytes of the file so far, as far as they are known.
    """

    suffix: ClassVar[str]

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records = 0
        self.images = 0
        self.image_bytes = 0
        self.size = 0

    @abstractmethod
    def add(self, data: bytes, images: Sequence[tuple[str, bytes]]) -> None:
        """Write a record.

        Args:
            data: Its JSON, without a newline.
            images: Path and bytes of its images, each once, in the order in which the record first names them.
        """

    @abstractmethod
    def close(self) -> str:
        """End the file, make it durable, and return its SHA-256."""

    @abstractmethod
    def abandon(self) -> None:
        """Close the unfinished file, which the caller removes."""

    def count(self, images: Sequence[tuple[str, bytes]]) -> None:
        """Count a record that was written."""
        self.records += 1
        self.images += len(images)
        self.image_bytes += sum(len(image) for _, image in images)


class StreamWriter(ShardWriter):
    """Writes a shard as a stream of bytes, hashed as they go."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._file = path.open("xb", buffering=1 << 20)
        self._digest = hashlib.sha256()

    def write(self, block: bytes) -> None:
        """Append bytes."""
        self._digest.update(block)
        self._file.write(block)
        self.size += len(block)

    def close(self) -> str:
        """Make the file durable, and return its SHA-256."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return self._digest.hexdigest()

    def abandon(self) -> None:
        """Close the unfinished file."""
        with suppress(OSError):  # on a full disk, what is still buffered cannot be written either
            self._file.close()
