"""Archives: hostile ones write nothing outside, damaged ones leave nothing behind."""

from __future__ import annotations

import gzip
import io
import shutil
import stat
import struct
import tarfile
import warnings
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from phi3v_data.convert import members as members_module
from phi3v_data.convert.members import safe_parts
from phi3v_data.convert.sources import OpenedSource, open_source
from phi3v_data.errors import CannotRun
from tests.archives import GOOD, add, tree, write_tar, write_zip

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def listing(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*"))


def unpack(archive: Path) -> OpenedSource:
    """Open an archive; whatever it is, it must write into the cache only."""
    cache = archive.parent / "cache" / "inner"
    outside = [path for path in listing(archive.parent) if "/cache" not in path]
    try:
        return open_source(str(archive), default=None, cache_dir=cache)
    finally:
        assert [path for path in listing(archive.parent) if "/cache" not in path] == outside
        assert listing(cache.parent) == [] or list(cache.parent.iterdir()) == [cache]
        assert not list(cache.rglob("*.tmp"))
        assert all(stat.S_IFMT(path.lstat().st_mode) in (stat.S_IFREG, stat.S_IFDIR) for path in cache.rglob("*"))


@pytest.mark.parametrize(
    ("name", "mode"),
    [("a.tar", "w"), ("a.tgz", "w:gz"), ("a.tar.gz", "w"), ("a.bin", "w:xz"), ("a.zip", "w:bz2")],
)
def test_tars_are_judged_by_content(tmp_path: Path, name: str, mode: str) -> None:
    opened = unpack(write_tar(tmp_path / name, mode=mode))
    assert tree(opened.root) == GOOD
    assert (opened.kind, opened.name, opened.unsafe, opened.revision) == ("archive", name, (), None)


def test_a_zip_under_another_name(tmp_path: Path) -> None:
    assert tree(unpack(write_zip(tmp_path / "a.tar.gz")).root) == GOOD


def test_a_tar_that_ends_in_a_zip_is_a_tar(tmp_path: Path) -> None:
    inner = write_zip(tmp_path / "inner.zip").read_bytes()
    assert zipfile.is_zipfile(write_tar(tmp_path / "a.tar", {"inner.zip": inner}))
    assert tree(unpack(tmp_path / "a.tar").root) == {"inner.zip": inner}


def test_a_hostile_tar_writes_only_its_good_members(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    with tarfile.open(tmp_path / "evil.tar", "w") as tar:
        add(tar, "./", type=tarfile.DIRTYPE)
        add(tar, "good", type=tarfile.DIRTYPE, mode=0o000)
        add(tar, "./good/a.avi", b"a")
        add(tar, "../up.avi", b"x")
        add(tar, "good/../../up2.avi", b"x")
        add(tar, f"{tmp_path}/outside/abs.avi", b"x")
        add(tar, "escape", type=tarfile.SYMTYPE, linkname=f"{tmp_path}/outside")
        add(tar, "escape/through.avi", b"kept inside")
        add(tar, "inside", type=tarfile.SYMTYPE, linkname="good/a.avi")
        add(tar, "good/a.avi.hard", type=tarfile.LNKTYPE, linkname="good/a.avi")
        add(tar, "passwd", type=tarfile.LNKTYPE, linkname="/etc/passwd")
        add(tar, "pipe", type=tarfile.FIFOTYPE)
        add(tar, "null", type=tarfile.CHRTYPE, devmajor=1, devminor=3)
        add(tar, "disk", type=tarfile.BLKTYPE, devmajor=8)
        add(tar, "..\\back.avi", b"x")
        add(tar, "C:/drive.avi", b"x")
        add(tar, "good/A.avi", b"other case")
        add(tar, "good/a.avi", b"again")
        add(tar, "good/a.avi/below", b"x")
        add(tar, "good", b"a file where a folder is")
        add(tar, "n" * 300, b"x")
        add(tar, "d/" * 100 + "deep", b"x")
        add(tar, "good/\x1b[31m.avi\n", type=tarfile.SYMTYPE, linkname="x")
        add(tar, "strange", b"x", type=b"Z")
        add(tar, "good/z.avi", b"z")
    opened = unpack(tmp_path / "evil.tar")
    assert tree(opened.root) == {"good/a.avi": b"a", "good/z.avi": b"z", "escape/through.avi": b"kept inside"}
    expected = ["../up.avi", "good/../../up2.avi", f"{tmp_path}/outside/abs.avi", "escape", "inside"]
    expected += ["good/a.avi.hard", "passwd", "pipe", "null", "disk", r"..\\back.avi", "C:/drive.avi"]
    expected += ["good/A.avi", "good/a.avi", "good/a.avi/below", "good", "n" * 300, "d/" * 100 + "deep"]
    expected += [r"good/\x1b[31m.avi\n", "strange"]
    assert opened.unsafe == tuple(sorted(expected))


def test_a_hostile_zip_writes_only_its_good_members(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "evil.zip", "w", zipfile.ZIP_DEFLATED) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about the duplicate
        file.writestr(link, "/etc")
        names = [
            "good/",
            "good/a.avi",
            "link/passwd",
            "../up.avi",
            "/abs.avi",
            "a\\..\\b.avi",
            "GOOD/A.AVI",
            "good/a.avi",
        ]
        for name in names:
            file.writestr(name, "" if name.endswith("/") else name)
        file.writestr("good/cutXhere", "x")
    path = tmp_path / "evil.zip"
    path.write_bytes(path.read_bytes().replace(b"good/cutXhere", b"good/cut\0here"))
    opened = unpack(path)
    assert tree(opened.root) == {"good/a.avi": b"good/a.avi", "link/passwd": b"link/passwd"}
    expected = [
        "link",
        "../up.avi",
        "/abs.avi",
        r"a\\..\\b.avi",
        "GOOD/A.AVI",
        "good/a.avi",
        r"good/cut\x00here",
    ]
    assert opened.unsafe == tuple(sorted(expected))


@pytest.mark.parametrize("name", ["a/../b", "/a", "c:\\x", "C:x", "a\0b", "..", "é" * 128, "a/" * 65, "ab/" * 400])
def test_unsafe_names(name: str) -> None:
    assert safe_parts(name) is None


@pytest.mark.parametrize(
    ("name", "parts"),
    [("./a//b/", ("a", "b")), (".", ()), ("...", ("...",)), ("a:b", None), ("é" * 127, ("é" * 127,))],
)
def test_safe_names(name: str, parts: tuple[str, ...] | None) -> None:
    assert safe_parts(name) == parts


def damaged_archives() -> Iterable[Any]:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for name, content in GOOD.items():
            add(tar, name, content)
    whole, zipped = plain.getvalue(), gzip.compress(plain.getvalue(), 0)
    second = whole.index(b"train/A/b.avi")
    yield pytest.param(b"just text\n" * 100, id="text")
    yield pytest.param(b"", id="empty")
    yield pytest.param(whole[: second + 700], id="tar cut in a member")
    yield pytest.param(whole[:second], id="tar cut between members")
    yield pytest.param(whole[: second + 100], id="tar cut in a header")
    yield pytest.param(whole[:second] + b"\x01" * 512 + whole[second + 512 :], id="tar with a bad header")
    yield pytest.param(zipped[: len(zipped) // 3], id="gz cut")
    yield pytest.param(zipped.replace(b"secondsecond", b"sEcondsecond", 1), id="gz with a wrong check sum")


@pytest.mark.parametrize("content", list(damaged_archives()))
def test_a_damaged_tar_is_one_sentence_and_leaves_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.tar").write_bytes(content)
    with pytest.raises(
        CannotRun, match=r"^bad\.tar is no tar or zip archive, or is cut or damaged \(.+\): get it anew$"
    ):
        unpack(tmp_path / "bad.tar")
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.suffix != ".lock" and path.is_file()]


def test_a_damaged_zip(tmp_path: Path) -> None:
    whole = write_zip(tmp_path / "a.zip").read_bytes()
    for content in (whole[:-40], whole[:2000], whole.replace(b"secondsecond", b"sEcondsecond", 1)):
        (tmp_path / "a.zip").write_bytes(content)
        with pytest.raises(CannotRun, match=r"a\.zip is no tar or zip archive, or is cut or damaged"):
            unpack(tmp_path / "a.zip")


@pytest.mark.parametrize("declared", [5, 60_000])
def test_a_zip_that_lies_about_a_size(tmp_path: Path, declared: int) -> None:
    path = tmp_path / "lie.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a", b"0" * 50_000)
    true, lie = struct.pack("<L", 50_000), struct.pack("<L", declared)
    path.write_bytes(path.read_bytes().replace(true, lie))
    with pytest.raises(CannotRun, match="damaged"):
        unpack(path)


def test_an_encrypted_zip(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip")
    central = path.read_bytes().index(b"PK\x01\x02")
    content = bytearray(path.read_bytes())
    content[6] |= 1
    content[central + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(CannotRun, match="encrypted"):
        unpack(path)


@pytest.mark.parametrize(("magic", "tool"), [(b"Rar!\x1a\x07\x01\x00", "unrar x"), (b"7z\xbc\xaf\x27\x1c\0\4", "7z x")])
def test_archives_that_need_another_program(tmp_path: Path, magic: bytes, tool: str) -> None:
    (tmp_path / "UCF101.rar").write_bytes(magic + b"rest")
    with pytest.raises(CannotRun, match=rf"unpack it first \(`{tool} UCF101.rar`\) and give the folder"):
        unpack(tmp_path / "UCF101.rar")


def test_bombs_are_refused_before_they_are_written(tmp_path: Path) -> None:
    sparse = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(1 << 55)}
    with tarfile.open(tmp_path / "sparse.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        add(tar, "hole", b"0\n".ljust(512, b"\0"), pax_headers=sparse | {"GNU.sparse.name": "hole"})
    with zipfile.ZipFile(tmp_path / "big.zip", "w") as file:
        file.writestr("a", b"x")
        file.filelist[0].extra = b""
        file.filelist[0].file_size = 1 << 55
    for name in ("sparse.tar", "big.zip"):
        with pytest.raises(CannotRun, match="does not fit on the disk of the cache"):
            unpack(tmp_path / name)


def test_a_member_is_counted_as_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members_module, "_MARGIN_BYTES", shutil.disk_usage(tmp_path).free - (1 << 20))
    path = write_tar(tmp_path / "a.tar.gz", {str(number): bytes(400_000) for number in range(50)}, "w:gz")
    with pytest.raises(CannotRun, match="does not fit on the disk"):
        unpack(path)


def test_too_many_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members_module, "_MAX_MEMBERS", 2)
    with pytest.raises(CannotRun, match="more than 2 members"):
        unpack(write_tar(tmp_path / "a.tar"))


def test_a_header_that_claims_a_name_of_gigabytes(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz", compresslevel=1) as tar:
        add(tar, "first", b"x")
        add(tar, "long", bytes(20 << 20), type=tarfile.GNUTYPE_LONGNAME)
    with pytest.raises(CannotRun, match="impossible size"):
        unpack(tmp_path / "a.tar.gz")
