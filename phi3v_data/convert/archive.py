"""Unpack an archive nobody has vouched for: only files and folders, never outside, never more than fits."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import shutil
import stat
import tarfile
import zipfile
from typing import IO, TYPE_CHECKING, Literal

from phi3v_data.convert import cache as _cache
from phi3v_data.convert.members import Members, safe_parts
from phi3v_data.errors import CannotRun
from phi3v_data.fs import sha256_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from phi3v_data.convert.cache import Tree

__all__ = ["SUFFIXES", "open_archive", "open_local_archive"]

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2", ".zip")
"""Names an archive goes by, for choosing among files; an archive at hand is judged by its content."""

_MAX_HEADER_BYTES = 1 << 20
_CHUNK = 1 << 20


def open_local_archive(archive: Path, *, cache: Path, status: Callable[[str], None]) -> Tree:
    """Return the content of an archive on this machine, unpacked once per path, size and time of change.

    Raises:
        CannotRun: It is damaged, of another kind, too large for the disk, or changed while it was read.
    """
    before = _identity(archive)
    key = "file-" + hashlib.sha256(before.encode("utf-8", "surrogateescape")).hexdigest()
    tree = open_archive(archive, key=key, name=archive.name, cache=cache, status=status)
    if _identity(archive) != before:
        shutil.rmtree(tree.root.parent, ignore_errors=True)
        raise CannotRun(f"{archive} changed while it was read: start again when it is complete")
    return tree


def open_archive(
    archive: Path,
    *,
    key: str,
    name: str,
    cache: Path,
    status: Callable[[str], None],
    check: Callable[[], str] | None = None,
) -> Tree:
    """Return an archive's content, unpacked into the cache the first time.

    Args:
        archive: The file.
        key: Its identity in the cache.
        name: What to call it in messages.
        cache: The cache folder.
        status: Receives one line before each long step.
        check: Verifies the archive before it is unpacked and returns its SHA-256; else it is only hashed.

    Raises:
        CannotRun: It is damaged, of another kind, or too large for the disk; nothing is left in the cache.
    """

    def fill(folder: Path) -> tuple[str, tuple[str, ...]]:
        kind = _kind(archive, name)
        sha256 = check() if check else _sha256(archive)
        status(f"Unpacking {name}")
        return sha256, _unpack(archive, kind, folder, name)

    return _cache.build(cache, key, fill, on_wait=lambda: status(f"Waiting for another run that unpacks {name}"))


def _identity(archive: Path) -> str:
    with _reading(archive):
        info = archive.stat()
    return f"{archive.resolve()}\n{info.st_size}\n{info.st_mtime_ns}"


def _sha256(archive: Path) -> str:
    with _reading(archive):
        return sha256_of(archive)


@contextlib.contextmanager
def _reading(archive: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CannotRun(f"{archive} cannot be read: {error.strerror or error}") from error


def _kind(archive: Path, name: str) -> Literal["tar", "zip"]:
    """Judge by the first bytes: names lie, and zipfile's own test also accepts a tar that ends in a zip."""
    with _reading(archive), archive.open("rb") as file:
        magic = file.read(8)
    if magic.startswith((b"Rar!\x1a\x07", b"7z\xbc\xaf\x27\x1c")):
        tool = "unrar x" if magic.startswith(b"Rar!") else "7z x"
        raise CannotRun(f"{name} needs its own program: unpack it first (`{tool} {name}`) and give the folder")
    return "zip" if magic.startswith((b"PK\x03\x04", b"PK\x05\x06")) else "tar"


def _unpack(archive: Path, kind: Literal["tar", "zip"], folder: Path, name: str) -> tuple[str, ...]:
    """Unpack what is safe into an empty folder; return the rest, sorted and escaped."""
    members = Members(folder, name)
    try:
        (_unpack_zip if kind == "zip" else _unpack_tar)(archive, members)
    except CannotRun:
        raise
    except Exception as error:  # a hostile header makes these libraries raise nearly anything
        # Decompressors raise OSError without a number, a seek to nowhere EINVAL; the others are the disk's.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        # tarfile's own sentence when nothing could open it goes on for a line per format.
        reason = str(error).partition("\n")[0].rstrip(": ") or type(error).__name__
        raise CannotRun(f"{name} is no tar or zip archive, or is cut or damaged ({reason}): get it anew") from error
    return members.unsafe


def _unpack_tar(archive: Path, members: Members) -> None:
    # r:* because a name tells nothing: the best known UCF101_subset.tar.gz is not compressed.
    with tarfile.open(archive, "r:*", tarinfo=_Member) as tar:
        position = -1
        while (member := tar.next()) is not None:
            if tar.offset <= position:
                raise tarfile.ReadError("its members overlap")
            position = tar.offset
            tar.members = []  # type: ignore[attr-defined]  # it keeps every header it has read
            _unpack_member(tar, member, members)
        _check_end(tar)


def _unpack_member(tar: tarfile.TarFile, member: tarfile.TarInfo, members: Members) -> None:
    if not _passes_filter(member, members.folder):
        return members.refuse(member.name)
    if member.isdir():
        return members.add_folder(member.name)
    content = tar.extractfile(member) if member.isreg() else None
    if content is None:
        return members.refuse(member.name)
    with content:
        return members.add_file(member.name, member.size, content)


def _passes_filter(member: tarfile.TarInfo, folder: Path) -> bool:
    try:
        # The name first: the filter itself fails on a NUL.
        return safe_parts(member.name) is not None and bool(tarfile.data_filter(member, str(folder)))
    except tarfile.FilterError:
        return False


def _check_end(tar: tarfile.TarFile) -> None:
    """Require the end mark, and read on to the check sum: tarfile stops silently at a bad header."""
    source: IO[bytes] | None = tar.fileobj  # type: ignore[assignment]
    assert source is not None
    source.seek(tar.offset)
    if source.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("its end is missing")
    while source.read(_CHUNK):
        pass


class _Member(tarfile.TarInfo):
    """A tar header that may not claim a name of gigabytes, which tarfile would read into memory."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Member:
        header = super().frombuf(buf, encoding, errors)
        if header.size < 0 or (header.type in _NAME_HEADERS and header.size > _MAX_HEADER_BYTES):
            raise tarfile.ReadError("a header has an impossible size")
        return header


_NAME_HEADERS = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)


def _unpack_zip(archive: Path, members: Members) -> None:
    with zipfile.ZipFile(archive) as file:
        entries = file.infolist()
        members.require_space(sum(entry.file_size for entry in entries))
        for entry in entries:
            # The name as written: zipfile cuts its own copy at a NUL.
            name, kind = entry.orig_filename, stat.S_IFMT(entry.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                members.refuse(name)
            elif name.endswith("/") or kind == stat.S_IFDIR:
                members.add_folder(name)
            else:
                with file.open(entry) as content:
                    members.add_file(name, entry.file_size, content)
