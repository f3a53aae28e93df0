"""Any file of lines with any faults: each line is accounted for once, and what mending undoes is not left."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from phi3v_data.mend.mender import mend
from phi3v_data.validate import validate
from tests.mend.faults import BOM, add_images, assert_nothing_is_lost, record

IDS = st.sampled_from(["a", "b", "cafe\u0301", "caf\u00e9", "\u212b", "\u0958", "x\n"])
GOOD = st.builds(record, IDS)
FAULTY = st.sampled_from(
    [
        b"",
        b" \t",
        b"null",
        b"\0\0",
        b"\xff",
        record("a")[:-2],
        record(1, more=1),
        record(2).replace(b"It", b"<|user|>"),
        add_images(record(3), "gone.png"),
        record(4).replace(b'"source"', b'"\\u0069d" : "4", "source"'),
        record(5).replace(b'"source"', b'"id": "6", "source"'),
        record(7, metadata={"k": [{"a": None}]}).replace(b'"a"', b'"a": null, "a"'),
        BOM + record("b"),
    ]
)
ENDS = st.sampled_from([b"\n", b"\n", b"\r\n", b"\r\r\n"])
LINES = st.builds(bytes.__add__, GOOD | FAULTY, ENDS)


@given(
    start=st.sampled_from([b"", BOM]),
    lines=st.lists(LINES, max_size=9),
    last=st.just(b"") | GOOD | FAULTY,
    max_line=st.sampled_from([1 << 25, 110]),
)
def test_any_file(start: bytes, lines: list[bytes], last: bytes, max_line: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "data.jsonl"
        source.write_bytes(data := start + record("first") + b"\n" + b"".join(lines) + last)
        (Path(folder) / "images").mkdir()
        mended = mend(source, Path(folder) / "out", workers=1, max_line=max_line)
        assert source.read_bytes() == data
        assert_nothing_is_lost(source, mended)
        copy = mended.out_dir / source.name
        left = validate([copy], workers=1, max_line=max_line)
        assert left.errors == 0 and "W104" not in left.counts
        again = mend(copy, Path(folder) / "again", workers=1, max_line=max_line)
        assert not again.tally.changes and not again.tally.rejects
