"""The reader and writer of tar: what the standard library writes and reads, and what nobody vouches for."""

from __future__ import annotations

import io
import os
import random
import tarfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phi3v_data.formats.tar import BLOCK, END, TarFault, header, padding, read_members
from tests.formats.shards import pack

if TYPE_CHECKING:
    from pathlib import Path

FILES = [("a.json", b"{}"), ("a.0.jpg", bytes(range(256)) * 3), ("folder/b.json", b"x" * 512), ("c.json", b"")]
NAMES = st.from_regex(r"[a-z0-9]{1,9}\.[a-z]{1,4}", fullmatch=True)


def read(path: Path) -> list[tuple[str, bytes]]:
    """Return name and content of every member."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return [(name, os.pread(descriptor, size, offset)) for name, offset, size in read_members(descriptor)]
    finally:
        os.close(descriptor)


def read_bytes(folder: Path, data: bytes) -> list[tuple[str, bytes]]:
    path = folder / "some.tar"
    path.write_bytes(data)
    return read(path)


def written(files: list[tuple[str, bytes]]) -> bytes:
    return b"".join(header(name, len(data)) + data + padding(len(data)) for name, data in files) + END


def test_the_standard_library_reads_what_is_written() -> None:
    with tarfile.open(fileobj=io.BytesIO(written(FILES)), mode="r:") as archive:
        members = archive.getmembers()
        found = [(member.name, file.read()) for member in members if (file := archive.extractfile(member))]
    assert found == FILES
    assert all((member.mode, member.uid, member.gid, member.mtime) == (0o644, 0, 0, 0) for member in members)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(NAMES, st.binary(max_size=1100)), min_size=1, max_size=5))
def test_what_is_written_is_read_again(tmp_path: Path, files: list[tuple[str, bytes]]) -> None:
    assert read_bytes(tmp_path, written(files)) == files


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_what_the_standard_library_writes_is_read(tmp_path: Path, form: int) -> None:
    assert read(pack(tmp_path / "a.tar", FILES, format=form)) == FILES


def test_notes_on_times_are_harmless(tmp_path: Path) -> None:
    """Times with fractions of a second, as writers of shards give them, stand in a header of their own."""
    members = []
    for name, data in FILES:
        info = tarfile.TarInfo(name)
        info.mtime = 1_700_000_000.25
        members.append((info, data))
    path = pack(tmp_path / "a.tar", members, format=tarfile.PAX_FORMAT, pax_headers={"comment": "made by hand"})
    assert b"mtime=1700000000.25" in path.read_bytes() and b"comment=made by hand" in path.read_bytes()
    assert read(path) == FILES


def test_a_long_path_of_the_old_kind_is_read(tmp_path: Path) -> None:
    name = "f" * 90 + "/" + "g" * 90 + ".json"
    assert read(pack(tmp_path / "a.tar", [(name, b"{}")], format=tarfile.USTAR_FORMAT)) == [(name, b"{}")]


def test_folders_are_passed_over(tmp_path: Path) -> None:
    folder = tarfile.TarInfo("./shard")
    folder.type = tarfile.DIRTYPE
    assert read(pack(tmp_path / "a.tar", [(folder, b""), ("./shard/a.json", b"{}")])) == [("shard/a.json", b"{}")]


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (tarfile.SYMTYPE, "a symbolic link"),
        (tarfile.LNKTYPE, "a hard link"),
        (tarfile.CHRTYPE, "a device"),
        (tarfile.BLKTYPE, "a device"),
        (tarfile.FIFOTYPE, "a FIFO"),
        (b"S", "something that is no plain file"),
    ],
)
def test_what_is_no_plain_file_is_refused(tmp_path: Path, kind: bytes, says: str) -> None:
    odd = tarfile.TarInfo("b.json")
    odd.type, odd.linkname = kind, "/etc/passwd"
    path = pack(tmp_path / "a.tar", [("a.json", b"{}"), (odd, b"")], format=tarfile.USTAR_FORMAT)
    with pytest.raises(TarFault, match=rf"^holds {says} \('b\.json'\)$"):
        read(path)


@pytest.mark.parametrize("name", ["../a.json", "/a.json", "a/../../a.json", ".."])
def test_a_name_that_leaves_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(TarFault, match="holds a path that leaves its folder"):
        read(pack(tmp_path / "a.tar", [(name, b"{}")]))


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_name_that_needs_a_header_of_its_own_is_refused(tmp_path: Path, form: int) -> None:
    with pytest.raises(TarFault, match=r"^holds a name (over 100 bytes|or a size that does not fit)"):
        read(pack(tmp_path / "a.tar", [("n" * 300 + ".json", b"{}")], format=form))


@pytest.mark.parametrize("notes", [{"path": "other.json"}, {"size": "1"}, {"GNU.sparse.name": "x"}])
@pytest.mark.parametrize("everywhere", [False, True])
def test_notes_that_change_name_or_size_are_refused(tmp_path: Path, notes: dict[str, str], everywhere: bool) -> None:
    member = tarfile.TarInfo("a.json")
    member.pax_headers = {} if everywhere else notes
    path = pack(
        tmp_path / "a.tar", [(member, b"{}")], format=tarfile.PAX_FORMAT, pax_headers=notes if everywhere else {}
    )
    with pytest.raises(TarFault, match="does not fit into a plain header"):
        read(path)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty"),
        (b"x" * 100, "is no tar archive"),
        (b"\xff" * 5000, "is no tar archive"),
        (b"\x1f\x8b" + bytes(1000), "is compressed: decompress it first"),
        (b"\x28\xb5\x2f\xfd" + bytes(1000), "is compressed: decompress it first"),
        (b"BZh9" + b"1" * 1000, "is compressed: decompress it first"),
        (b"PK\x03\x04" + bytes(1000), "is no tar archive"),
    ],
)
def test_something_else_than_a_tar_archive(tmp_path: Path, data: bytes, says: str) -> None:
    with pytest.raises(TarFault, match=f"^{says}$"):
        read_bytes(tmp_path, data)


def test_an_empty_archive_holds_nothing(tmp_path: Path) -> None:
    assert read_bytes(tmp_path, END) == []


def test_an_archive_cut_anywhere_is_noticed(tmp_path: Path) -> None:
    """Its end is two blocks of zeros; with one of them it is whole enough."""
    data = written(FILES)
    whole = len(data) - BLOCK
    for size in sorted({*range(0, whole, 97), *range(0, whole, BLOCK), *range(whole - 3, whole)}):
        with pytest.raises(TarFault, match=r"^is (cut short|empty|no tar archive)$"):
            read_bytes(tmp_path, data[:size])
    assert read_bytes(tmp_path, data[:whole]) == FILES


def test_a_flipped_bit_in_a_header_is_noticed_or_changes_nothing(tmp_path: Path) -> None:
    data = written(FILES)
    for bit in random.Random(0).sample(range(BLOCK * 8), 600):
        flipped = bytearray(data)
        flipped[2 * BLOCK + bit // 8] ^= 1 << bit % 8
        try:
            assert read_bytes(tmp_path, bytes(flipped)) == FILES
        except TarFault as fault:
            assert str(fault) == "is damaged"


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, len(written(FILES)) - 40), st.binary(min_size=1, max_size=40))
def test_whatever_the_bytes_nothing_but_a_fault_comes_of_them(tmp_path: Path, start: int, noise: bytes) -> None:
    data = written(FILES)
    try:
        found = read_bytes(tmp_path, data[:start] + noise + data[start + len(noise) :])
    except TarFault as fault:
        assert str(fault)
    else:
        assert len(found) <= len(FILES)


@pytest.mark.parametrize("size", [b"-0000000001\0", b"\x80" + b"\xff" * 11, b"77777777777\0", b"\0" * 12])
def test_a_size_that_lies(tmp_path: Path, size: bytes) -> None:
    """A check sum that fits proves nothing of what it was taken over."""
    head = bytearray(header("a.json", 2))
    head[124:136] = size
    head[148:156] = b"%06o\0 " % (sum(head) - sum(head[148:156]) + 8 * 0x20)
    data = bytes(head) + b"{}" + padding(2) + END
    with pytest.raises(TarFault, match=r"^is (damaged|cut short|no tar archive)$"):
        read_bytes(tmp_path, data)


@pytest.mark.parametrize(("name", "size"), [("n" * 101, 0), ("a", 8**11)])
def test_what_does_not_fit_into_a_header_is_not_written(name: str, size: int) -> None:
    with pytest.raises(ValueError, match="does not fit into a tar header"):
        header(name, size)
