"""`phi3v-data convert csv`: tables of all kinds, the records their rows become, and what is refused."""

from __future__ import annotations

import csv
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from phi3v_converters.csv_options import CsvOptions
from phi3v_converters.csv_table import CsvTable
from phi3v_data.errors import UsageError
from tests.converters.converting import convert_folder, kill_after_a_part, rejects
from tests.converters.in_process import convert_here
from tests.converters.made_sources import picture, write_picture
from tests.helpers import read_lines, run, snapshot

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "image,question,answer"
GOOD = "a.png,What?,A cat."


def write_table(path: Path, *rows: str, end: str = "\n", encoding: str = "utf-8") -> Path:
    """Write the lines of a table, and beside it the pictures a.png to d.png; returns the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(row + end for row in rows).encode(encoding))
    for seed, name in enumerate("abcd"):
        write_picture(path.parent / f"{name}.png", seed)
    return path.parent


def records(out: Path) -> list[Any]:
    """Return the records of all splits, in order of their ids' numbers."""
    rows = [row for path in out.glob("csv_*.jsonl") for row in read_lines(path)]
    return sorted(rows, key=lambda row: row["id"].rpartition("-")[2])


def record(number: int, line: int, image: str, user: str, assistant: str | None, **fields: Any) -> Any:
    """Return the record of a row of train in `t.csv`."""
    turn = {"images": [f"train/t.csv/{line:07d}.0.png"], "user": user}
    turn |= {"assistant": assistant} if assistant else {}
    turn |= {"answers": fields.pop("answers")} if "answers" in fields else {}
    identity = f"train-{number:010d}"
    return {"id": identity, "source": "csv", "group": image, "conversations": [turn], **fields}


class TestTables:
    def test_the_default_columns(self, tmp_path: Path) -> None:
        root = write_table(tmp_path / "raw/t.csv", "id,image,question,answer", "7,a.png,What?,A cat.",
                           '8, ./b.png ,"Say ""hi"",\nplease", Hi ', "", "9,a.png,Über 日本?,ja")  # fmt: skip
        convert_folder("csv", root, tmp_path / "out")
        assert records(tmp_path / "out") == [
            record(0, 2, "a.png", "What?", "A cat."),
            record(1, 3, "b.png", 'Say "hi",\nplease', "Hi"),
            record(2, 6, "a.png", "Über 日本?", "ja"),
        ]
        assert (tmp_path / "out/images/train/t.csv/0000003.0.png").read_bytes() == picture(1)
        run("validate", tmp_path / "out", "--strict")

    def test_every_column_named(self, tmp_path: Path) -> None:
        header = "left,right,ask,gold,all,scene,kind,by,note"
        rows = ("a.png,b.png,Same?,No.,No.| nope ||,s1,no,me,x", "c.png,d.png,Same?,,Yes.,,yes,you,")
        root = write_table(tmp_path / "raw/t.csv", header, *rows)
        options = {"image": ["left", "right"], "question": "ask", "answer": "gold", "answers": "all", "group": "scene"}
        manifest = convert_folder("csv", root, tmp_path / "out", **options, label="kind", metadata=["by", "note"])
        assert records(tmp_path / "out") == [
            {"id": "train-0000000000", "source": "csv", "group": "s1", "conversations": [{
                "images": ["train/t.csv/0000002.0.png", "train/t.csv/0000002.1.png"], "user": "Same?",
                "assistant": "No.", "answers": ["No.", "nope"]}], "metadata": {"by": "me", "note": "x"}},
            {"id": "train-0000000001", "source": "csv", "group": "c.png", "conversations": [{
                "images": ["train/t.csv/0000003.0.png", "train/t.csv/0000003.1.png"], "user": "Same?",
                "assistant": "Yes.", "answers": ["Yes."]}], "metadata": {"by": "you", "note": ""}},
        ]  # fmt: skip
        assert manifest.classes == {"train": {"no": 1, "yes": 1}}
        assert (tmp_path / "out/images/train/t.csv/0000002.1.png").read_bytes() == picture(1)

    def test_a_prompt_with_cells_in_it(self, tmp_path: Path) -> None:
        root = write_table(tmp_path / "raw/t.csv", "image,what,answer", "a.png,{answer},A cat.")
        prompt = 'Where is the {what}?\\nSay {{"at": 1}}.'
        convert_folder("csv", root, tmp_path / "out", prompt=prompt)
        assert records(tmp_path / "out") == [record(0, 2, "a.png", 'Where is the {answer}?\nSay {"at": 1}.', "A cat.")]

    @pytest.mark.parametrize(
        ("name", "delimiter", "options"),
        [("t.tsv", "\t", {}), ("t.csv", ";", {"delimiter": ";"}), ("t.csv", "\t", {"delimiter": "\\t"})],
    )
    def test_delimiters_byte_order_marks_and_line_ends(
        self, name: str, delimiter: str, options: dict[str, Any], tmp_path: Path
    ) -> None:
        rows = [row.replace(",", delimiter) for row in (HEADER, GOOD, 'b.png,"Two\r\nlines?",B')]
        root = write_table(tmp_path / "raw" / name, *rows, end="\r\n", encoding="utf-8-sig")
        convert_folder("csv", root, tmp_path / "out", **options)
        turns = [row["conversations"][0] for row in records(tmp_path / "out")]
        assert [(turn["user"], turn["assistant"]) for turn in turns] == [("What?", "A cat."), ("Two\nlines?", "B")]

    def test_a_column_without_a_name_means_nothing(self, tmp_path: Path) -> None:
        root = write_table(tmp_path / "raw/t.csv", f",{HEADER}", f"0,{GOOD}", "1,b.png,What?,")  # as pandas writes it
        manifest = convert_folder("csv", root, tmp_path / "out")
        assert records(tmp_path / "out") == [record(0, 2, "a.png", "What?", "A cat.")]
        assert rejects(tmp_path / "out") == [("t.csv/0000003", "train", "no_answer")]
        assert not manifest.classes

    def test_long_cells_and_those_of_many_lines(self, tmp_path: Path) -> None:
        text, limit = "\n".join(["x" * 999] * 300), csv.field_size_limit()
        root = write_table(tmp_path / "raw/t.csv", HEADER, f'a.png,"{text}",A', GOOD)
        convert_folder("csv", root, tmp_path / "out")
        assert [row["conversations"][0]["user"] for row in records(tmp_path / "out")] == [text, "What?"]
        assert csv.field_size_limit() == limit

    def test_pictures_elsewhere_leave_no_trace_of_where(self, tmp_path: Path) -> None:
        pictures = write_table(tmp_path / "elsewhere/unused.csv")
        root = write_table(tmp_path / "raw/t.csv", HEADER, GOOD, f"{pictures}/b.png,What?,B")
        (root / "a.png").unlink()
        command = ("convert", "csv", "--source", "raw/t.csv", "--image_dir", "elsewhere", "--out_dir", "out")
        run(*command, "--workers", "2", cwd=tmp_path)
        assert [row["group"] for row in records(tmp_path / "out")] == ["a.png", "b.png"]
        files = {name: data for name, data in snapshot(tmp_path / "out").items() if name.endswith((".json", ".jsonl"))}
        assert files.keys() == {"csv_train.jsonl", "manifest.json"}
        assert not any(b"elsewhere" in data or bytes(tmp_path) in data for data in files.values())
        run("validate", "--strict", tmp_path / "out")

    def test_where_the_pictures_are_is_no_part_of_the_plan(self, tmp_path: Path) -> None:
        root = write_table(tmp_path / "raw/t.csv", HEADER, GOOD)
        convert_folder("csv", root, tmp_path / "out", image_dir=shutil.copytree(root, tmp_path / "there"))
        before = snapshot(tmp_path / "out")
        convert_folder("csv", root, tmp_path / "out", image_dir=shutil.move(tmp_path / "there", tmp_path / "elsewhere"))
        convert_folder("csv", root, tmp_path / "out")
        assert snapshot(tmp_path / "out") == before


class TestSplits:
    def test_the_tables_name_says_it(self, tmp_path: Path) -> None:
        for name in ("animals_train.csv", "animals-Validation.csv", "attest.csv"):
            write_table(tmp_path / "raw" / name, HEADER, GOOD)
        write_table(tmp_path / "raw/test.tsv", "image\tquestion", "a.png\tWhat?")
        write_table(tmp_path / "raw/._test.csv", "\0")
        convert_folder("csv", tmp_path / "raw", tmp_path / "out")
        assert [(row["conversations"][0]["images"][0], row["conversations"][0].get("assistant"))
                for row in records(tmp_path / "out")] == [
            ("train/animals_train.csv/0000002.0.png", "A cat."),
            ("train/attest.csv/0000002.0.png", "A cat."),
            ("val/animals-Validation.csv/0000002.0.png", "A cat."),
            ("test/test.tsv/0000002.0.png", None),
        ]  # fmt: skip

    def test_a_column_says_it(self, tmp_path: Path) -> None:
        splits = ["TRAIN", "dev", "test", "hard_cases", "", "../x", "train"]
        rows = [f"{'abcd'[n % 4]}.png,What?,A cat.,{split}" for n, split in enumerate(splits)]
        root = write_table(tmp_path / "raw/t.csv", f"{HEADER},split", *rows, "a.png,What?", "a.png,What?,,test",
                           "a.png,What?,,val")  # fmt: skip
        convert_folder("csv", root, tmp_path / "out", split_column="split")
        assert {path.name for path in (tmp_path / "out").glob("*.jsonl")} == {
            "csv_train.jsonl", "csv_val.jsonl", "csv_test.jsonl", "csv_hard-cases.jsonl", "rejects.jsonl",
        }  # fmt: skip
        assert [row["conversations"][0]["images"][0][:-14] for row in records(tmp_path / "out")] == [
            "train/t.csv", "train/t.csv", "val/t.csv", "test/t.csv", "test/t.csv", "hard-cases/t.csv",
        ]  # fmt: skip
        assert rejects(tmp_path / "out") == [
            ("t.csv/0000006", None, "bad_split"),
            ("t.csv/0000007", None, "bad_split"),
            ("t.csv/0000009", None, "wrong_cells"),
            ("t.csv/0000011", "val", "no_answer"),
        ]

    def test_only_a_split_of_test_may_lack_the_column_of_answers(self, tmp_path: Path) -> None:
        root = write_table(tmp_path / "raw/a.csv", f"{HEADER},split", f"{GOOD},train", "b.png,What?,,test-b")
        write_table(root / "b.csv", "image,question,split", "c.png,What?,test", "d.png,What?,test-b")
        convert_folder("csv", root, tmp_path / "out", split_column="split")
        assert [(row["group"], row["conversations"][0].get("assistant")) for row in records(tmp_path / "out")] == [
            ("a.png", "A cat."), ("c.png", None), ("b.png", None), ("d.png", None),
        ]  # fmt: skip
        write_table(root / "b.csv", "image,question,split", "c.png,What?,test", "d.png,What?,val")
        with pytest.raises(UsageError, match=r"^--answer: b.csv has no column 'answer', which only a test"):
            convert_folder("csv", root, tmp_path / "val", split_column="split")

    def test_rows_of_one_picture_stay_together_when_val_is_carved(self, tmp_path: Path) -> None:
        rows = [f"{n % 10}.png,Question {n}?,{n}" for n in range(40)]
        root = write_table(tmp_path / "raw/t.csv", HEADER, *rows)
        for n in range(10):
            write_picture(root / f"{n}.png", n)
        convert_folder("csv", root, tmp_path / "all")
        assert {row["id"][:5] for row in records(tmp_path / "all")} == {"train"}
        convert_folder("csv", root, tmp_path / "out", val_fraction=0.4)
        of_group: dict[str, set[str]] = {}
        for row in records(tmp_path / "out"):
            of_group.setdefault(row["group"], set()).add(row["id"].partition("-")[0])
        assert all(len(splits) == 1 for splits in of_group.values())
        assert set.union(*of_group.values()) == {"train", "val"}


class TestRejects:
    def convert(self, tmp_path: Path, *rows: str, **options: Any) -> list[tuple[str, str]]:
        """Convert rows behind a good one; return line and code of every reject."""
        root = write_table(tmp_path / "raw/t.csv", HEADER, GOOD, *rows)
        convert_folder("csv", root, tmp_path / "out", **options)
        assert records(tmp_path / "out")[0] == record(0, 2, "a.png", "What?", "A cat.")
        return [(source.removeprefix("t.csv/"), code) for source, _, code in rejects(tmp_path / "out")]

    @pytest.mark.parametrize(
        ("cell", "code"),
        [
            ("", "no_picture"),
            ("https://example.com/a.png", "image_is_url"),
            ("file:///etc/passwd", "image_is_url"),
            ("data:image/png;base64;AAAA", "image_is_url"),
            ("../secret.png", "unsafe_path"),
            ("x/../../secret.png", "unsafe_path"),
            ("/etc/passwd", "unsafe_path"),
            ("..\\secret.png", "unsafe_path"),
            ("link.png", "unsafe_path"),
            ("linked/secret.png", "unsafe_path"),
            ("a\x07.png", "unsafe_path"),
            (".", "unsafe_path"),
            ("x" * 300, "unsafe_path"),
            ("missing.png", "missing_image"),
            ("t.csv", "not_an_image"),
        ],
    )
    def test_pictures_that_may_not_be_read_or_are_none(self, cell: str, code: str, tmp_path: Path) -> None:
        write_picture(tmp_path / "secret.png", 9)
        (tmp_path / "raw").mkdir()
        (tmp_path / "raw/link.png").symlink_to("../secret.png")
        (tmp_path / "raw/linked").symlink_to(tmp_path)
        assert self.convert(tmp_path, f"{cell},What?,No.") == [("0000003", code)]
        assert [name for name in snapshot(tmp_path / "out") if name.startswith("images/")] == [
            "images/train/t.csv/0000002.0.png"
        ]

    def test_links_that_lead_out_are_followed_on_demand(self, tmp_path: Path) -> None:
        write_picture(tmp_path / "x.png", 9)
        (tmp_path / "raw").mkdir()
        (tmp_path / "raw/linked").symlink_to(tmp_path)
        (tmp_path / "raw/link.png").symlink_to("../x.png")
        rows = ["linked/x.png,What?,X", "link.png,What?,X", "../x.png,What?,X"]
        assert self.convert(tmp_path, *rows) == [(f"{line:07d}", "unsafe_path") for line in (3, 4, 5)]
        messages = [row["message"] for row in read_lines(tmp_path / "out/rejects.jsonl")]
        assert ["--follow_links" in message for message in messages] == [True, True, False]
        shutil.rmtree(tmp_path / "out")
        assert self.convert(tmp_path, *rows, follow_links=True) == [("0000005", "unsafe_path")]
        assert [row["group"] for row in records(tmp_path / "out")] == ["a.png", "linked/x.png", "link.png"]
        assert (tmp_path / "out/images/train/t.csv/0000004.0.png").read_bytes() == picture(9)

    def test_rows_that_are_none(self, tmp_path: Path) -> None:
        bad = ["a.png,What?", "a.png,What?,A,B", 'a.png,"What"?,A', "a.png,Wh\0at?,A", "a.png,,A", "a.png,What?,",
               "," * (5 << 20)]  # fmt: skip
        codes = ["wrong_cells", "wrong_cells", "bad_row", "bad_row", "no_question", "no_answer", "bad_row"]
        expected = [(f"{line:07d}", code) for line, code in enumerate(codes, start=3)]
        assert self.convert(tmp_path, *bad, "b.png,Last?,B") == expected
        assert records(tmp_path / "out")[1:] == [record(1, 10, "b.png", "Last?", "B")]

    def test_what_is_inside_a_bad_cell_becomes_no_record(self, tmp_path: Path) -> None:
        bad = 'a.png,"Wh\0at?\nb.png,Invented?,B\n",A'
        assert self.convert(tmp_path, bad, "c.png,Last?,C") == [("0000003", "bad_row")]
        assert records(tmp_path / "out")[1:] == [record(1, 6, "c.png", "Last?", "C")]

    def test_a_quote_that_swallows_rows_is_pointed_at(self, tmp_path: Path) -> None:
        bad = ['a.png,"5 inch?,A', "b.png,What?,B", 'c.png,7"']
        assert self.convert(tmp_path, *bad, "d.png,Last?,D") == [("0000003", "wrong_cells")]
        (reject,) = read_lines(tmp_path / "out/rejects.jsonl")
        assert reject["message"] == (
            "the row has 2 cells, and the header 3; it runs to line 5: is a quote in it not closed?"
        )


class TestUsage:
    def fails(self, root: Path, **options: Any) -> str:
        """Return why a table cannot be converted."""
        with pytest.raises(UsageError) as error:
            convert_here(CsvTable(CsvOptions(**options), root))
        return str(error.value)

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            ({"image": ["imagw"]}, "--image: t.csv has no column 'imagw'; did you mean 'image'? it has 'image', 'ask'"),
            ({}, "--question: t.csv has no column 'question'"),
            ({"prompt": "What is {thing}?"}, "--prompt: t.csv has no column 'thing'; it has 'image', 'ask', 'ask'"),
            ({"prompt": "What is {}?"}, "--prompt: t.csv has no column ''"),
            ({"question": "ask"}, "--question: t.csv has 2 columns 'ask': rename all but one"),
            ({"prompt": "What?", "answer": "a"}, "--answer: t.csv has no column 'a', which only a test split may lack"),
            (
                {"prompt": "What?"},
                "--answer: t.csv has no column 'answer', which only a test split may lack; it has 'image', 'ask'",
            ),
            ({"prompt": "What?", "answers": "a"}, "--answers: t.csv has no column 'a'"),
            (
                {"prompt": "What?", "answer": "ASK"},
                "--answer: t.csv has no column 'ASK', which only a test split may "
                "lack; did you mean 'ask'? it has 'image'",
            ),
            ({"prompt": "What?", "split_column": "set"}, "--split_column: t.csv has no column 'set'"),
            ({"prompt": "What?", "metadata": ["by"]}, "--metadata: t.csv has no column 'by'"),
            (
                {"delimiter": ";"},
                "--image: t.csv has no column 'image'; is its --delimiter another? it has 'image,ask,ask'",
            ),
            ({"tables": ["u.csv"]}, "--tables u.csv: there is no such file in"),
            ({"tables": ["../t.csv"]}, "--tables ../t.csv: the path leaves the folder: give one below"),
        ],
    )
    def test_columns_and_tables_that_are_not_there(self, options: dict[str, Any], says: str, tmp_path: Path) -> None:
        root = write_table(tmp_path / "raw/t.csv", "image,ask,ask", "a.png,x,y")
        write_table(tmp_path / "t.csv", HEADER, GOOD)
        assert self.fails(root, **options).startswith(says)

    def test_files_that_are_no_tables(self, tmp_path: Path) -> None:
        for number, (data, says) in enumerate(
            (
                (b"", "cannot be read (it is empty): its first row should name the columns"),
                (b"\n\n", "cannot be read (it is empty)"),
                (b"\0", "cannot be read (it holds a NUL byte)"),
                (f"{HEADER}\na.png,Äh?,A".encode("latin-1"), "is not UTF-8: save the table as UTF-8"),
                ("image,question\n".encode("utf-16"), "line 1 of "),
            )
        ):
            root = tmp_path / str(number)
            root.mkdir()
            (root / "t.csv").write_bytes(data)
            assert says in self.fails(root)
        assert self.fails(tmp_path).startswith(f"no table found in {tmp_path}: expected .csv or .tsv files there")
        root = write_table(tmp_path / "raw/t.csv", HEADER, GOOD)
        assert self.fails(root, image_dir=tmp_path / "no").startswith(f"--image_dir {tmp_path / 'no'} is no folder")

    @pytest.mark.parametrize(
        ("rows", "says"),
        [
            (['a.png,"5 inch,A', GOOD, 'c.png,7" wide,C', GOOD], "line 3 of {} cannot be read (',' expected after"),
            (['a.png,"What"?,"A', 'b.png,Invented?,B"', GOOD], "line 3 of {} cannot be read (',' expected after"),
            ([GOOD, 'a.png,"What?,A', *[GOOD] * 3], "line 4 of {} cannot be read (unexpected end of data; it runs to "
             "line 7), nor can"),
            (['"', *["x" * 1000 + '","'] * 5000], "line 3 of {} cannot be read (it is longer than 4,194,304 bytes; "),
            (['"' + "x" * (40 << 20)], "line 3 of {} cannot be read (it is longer than 4,194,304 bytes; it runs to "),
        ],
    )  # fmt: skip
    def test_a_table_that_cannot_be_read_to_its_end(self, rows: list[str], says: str, tmp_path: Path) -> None:
        root = write_table(tmp_path / "raw/t.csv", HEADER, GOOD, *rows)
        error = self.fails(root)
        assert error.startswith(f"the row on {says.format(root / 't.csv')}")
        assert error.endswith("nor can what is behind it: close every quote, and double those within a cell")

    def test_a_header_without_an_end(self, tmp_path: Path) -> None:
        root = write_table(tmp_path / "raw/t.csv", 'image,"question,answer', GOOD)
        assert self.fails(root).startswith(f"the row on line 1 of {root / 't.csv'} cannot be read (unexpected end of")

    def test_what_parts_answers_needs_a_column_of_them(self, tmp_path: Path) -> None:
        root = write_table(tmp_path / "raw/t.csv", HEADER, GOOD)
        says = "--answers_delimiter has no meaning for this source, for --answers names no column: leave it out"
        assert self.fails(root, answers_delimiter=";") == says

    def test_a_column_of_splits_that_is_none(self, tmp_path: Path) -> None:
        root = write_table(tmp_path / "raw/t.csv", f"{HEADER},id", *(f"{GOOD},n{n}" for n in range(30)))
        assert "'id' names more than 20 splits, such as n0" in self.fails(root, split_column="id")

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            ({"question": "q", "prompt": "What?"}, "--question and --prompt both say what is asked: give one of them"),
            ({"delimiter": ",,"}, "at most 1 character"),
            ({"delimiter": '"'}, "cannot part cells"),
            ({"image": []}, "at least 1 item"),
        ],
    )
    def test_options_that_make_no_sense(self, options: dict[str, Any], says: str) -> None:
        with pytest.raises(ValidationError, match=says):
            CsvOptions(**options)

    def test_errors_are_one_sentence_and_leave_nothing(self, tmp_path: Path) -> None:
        root = write_table(tmp_path / "raw/t.csv", HEADER, GOOD)
        (root / "t.csv").write_bytes(f"{HEADER}\n{GOOD}\na.png,\xe9?,A\n".encode("latin-1"))
        for flags, says in (((), "Error: line 3 of"), (("--question", "q", "--prompt", "p"), "both say what is asked")):
            done = run("convert", "csv", "--source", root, "--out_dir", tmp_path / "out", *flags, code=2)
            assert (done.stdout, says in done.stderr.splitlines()[-1]) == ("", True), done.stderr
            assert not (tmp_path / "out").exists()


def test_killed_and_run_again_with_any_number_of_workers(tmp_path: Path) -> None:
    run("sample", "csv", tmp_path / "raw")
    with (tmp_path / "raw/shapes_test.csv").open(encoding="utf-8", newline="") as file:
        assert next(csv.reader(file)) == ["image", "question"]
    run("convert", "csv", "--source", tmp_path / "raw", "--out_dir", tmp_path / "one", "--workers", "1")
    kill_after_a_part("csv", tmp_path / "raw", tmp_path / "two", "--workers", "2")
    run("convert", "csv", "--source", tmp_path / "raw", "--out_dir", tmp_path / "two", "--workers", "2")
    assert snapshot(tmp_path / "two") == snapshot(tmp_path / "one")
    run("validate", "--strict", tmp_path / "one")


def test_an_archive_is_its_folder(tmp_path: Path) -> None:
    run("sample", "csv", tmp_path / "in/test-release")
    archive = shutil.make_archive(str(tmp_path / "shapes"), "zip", tmp_path / "in")
    cache = {"PHI3V_CACHE": str(tmp_path / "cache")}
    run("convert", "csv", "--source", archive, "--out_dir", tmp_path / "out", env=cache)
    convert_folder("csv", tmp_path / "in/test-release", tmp_path / "plain")
    assert records(tmp_path / "out") == records(tmp_path / "plain")
    assert snapshot(tmp_path / "out/images") == snapshot(tmp_path / "plain/images")
