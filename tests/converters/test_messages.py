"""`phi3v-data convert messages`: messages as TRL, OpenAI and ms-swift have them, and what becomes of bad ones."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any
from zlib import crc32

import pyarrow
import pytest
from pyarrow import parquet
from xxhash import xxh3_128_hexdigest

from phi3v_data.errors import UsageError
from tests.converters.chats import codes, convert_rows, write_pictures
from tests.converters.converting import convert_folder, rejects
from tests.converters.made_sources import picture
from tests.helpers import read_lines, run

if TYPE_CHECKING:
    from pathlib import Path

IMAGE = {"type": "image"}
BASE64 = base64.b64encode(picture(0)).decode()  # a.png
RED = f"bytes-{xxh3_128_hexdigest(picture(crc32(b'red')))}"
DATA_URL = f"data:image/png;base64,{BASE64}"


def say(text: str) -> dict[str, str]:
    """Return a part of text."""
    return {"type": "text", "text": text}


def chat(*contents: Any, **row: Any) -> dict[str, Any]:
    """Return a row in which user and assistant say the contents in turn."""
    said = [{"role": ("user", "assistant")[number % 2], "content": content} for number, content in enumerate(contents)]
    return {**row, "messages": said}


class TestForms:
    def test_parts_with_places_for_the_column(self, tmp_path: Path) -> None:
        row = {
            "messages": [
                {"role": "system", "content": [say("Be kind.")]},
                {"role": "user", "content": [IMAGE, say("Who?"), say(" And where?"), IMAGE]},
                {"role": "assistant", "content": [say("Me. "), say("Here.")]},
                {"role": "user", "content": [say("And?"), IMAGE]},
            ],
            "images": ["b.png", {"path": "a.png", "bytes": None}, "b.png"],
            "id": 7,
        }
        records, refused = convert_rows("messages", tmp_path, [row])
        assert not refused
        assert records == [
            {
                "id": "train-0000000000",
                "source": "messages",
                "group": "b.png",
                "system": "Be kind.",
                "conversations": [
                    {
                        "images": ["train/train/000000001.0.png", "train/train/000000001.1.png"],
                        "user": "Who?\n And where?",
                        "assistant": "Me. \nHere.",
                    },
                    {"images": ["train/train/000000001.0.png"], "user": "And?"},
                ],
                "metadata": {"id": 7, "images": ["b.png", {"path": "a.png", "bytes": None}, "b.png"]},
            }
        ]
        pictures = write_pictures(tmp_path / "raw")
        for number, name in enumerate(("b.png", "a.png")):
            assert (tmp_path / f"out/images/train/train/000000001.{number}.png").read_bytes() == pictures[name]
        run("validate", "--strict", tmp_path / "out")

    @pytest.mark.parametrize(
        ("row", "turns", "metadata"),
        [
            (chat("<image>Who?", "Me.", images=["a.png"]), [("a.png", "Who?")], {"images": ["a.png"]}),
            (chat("Hi.", "Hi.", "Who? <image>", image="b.png"), [("", "Hi."), ("b.png", "Who?")], {"image": "b.png"}),
            (
                chat(" Who?", "Me.", "So?", images=["b.png", "a.png"]),
                [("b.png a.png", "Who?"), ("", "So?")],
                {"images": ["b.png", "a.png"]},
            ),
            (chat([say("Who?")], images=["c.png"]), [("c.png", "Who?")], {"images": ["c.png"]}),
            (chat("Who?", images=None), [("", "Who?")], None),
            (chat([{**IMAGE, "image": "a.png"}, say("Who?")]), [("a.png", "Who?")], {"images": ["a.png"]}),
            (chat([{**IMAGE, "path": "./a.png"}, say("Who?")]), [("a.png", "Who?")], {"images": ["./a.png"]}),
            (chat([say("Who?"), {**IMAGE, "url": "b.png"}]), [("b.png", "Who?")], {"images": ["b.png"]}),
            (
                chat([{**IMAGE, "image": None}, say("Who?")], images=["a.png"]),
                [("a.png", "Who?")],
                {"images": ["a.png"]},
            ),
            (chat([{**IMAGE, "image": DATA_URL}, say("Who?")]), [("a.png", "Who?")], None),
            (chat([{**IMAGE, "base64": BASE64}, say("Who?")], n=1), [("a.png", "Who?")], {"n": 1}),
            (chat([{**IMAGE, "image": {"bytes": BASE64}}, say("Who?")]), [("a.png", "Who?")], None),
            (
                chat([{"type": "image_url", "image_url": {"url": DATA_URL, "detail": "low"}}, say("Who?")]),
                [("a.png", "Who?")],
                None,
            ),
            (
                chat([{"type": "image_url", "image_url": "d.png"}, say("Who?")]),
                [("d.png", "Who?")],
                {"images": ["d.png"]},
            ),
            (
                chat([{**IMAGE, "base64": BASE64}, IMAGE, say("Who?")], images=["b.png"]),
                [("a.png b.png", "Who?")],
                None,
            ),
            (chat("Who?", images=[DATA_URL, {"bytes": BASE64, "path": "gone.png"}]), [("a.png a.png", "Who?")], None),
        ],
    )
    def test_where_images_are_and_what_is_kept_of_them(
        self, tmp_path: Path, row: dict[str, Any], turns: list[tuple[str, str]], metadata: dict[str, Any] | None
    ) -> None:
        (record,), refused = convert_rows("messages", tmp_path, [row])
        assert not refused
        names = {data: name for name, data in write_pictures(tmp_path / "raw").items()}
        shown = [
            (
                " ".join(names[(tmp_path / "out/images" / path).read_bytes()] for path in turn.get("images", [])),
                turn["user"],
            )
            for turn in record["conversations"]
        ]
        assert shown == turns
        assert record.get("metadata") == metadata

    def test_images_between_texts_are_numbered_if_asked(self, tmp_path: Path) -> None:
        row = chat([IMAGE, say("Is"), IMAGE, say("like it?"), say("Why?")], images=["a.png", "b.png"])
        assert codes("messages", tmp_path / "1", [row]) == ["inner_tag"]
        (record,), _ = convert_rows("messages", tmp_path / "2", [row], inner_tags="number")
        (turn,) = record["conversations"]
        assert turn["user"] == "Is\nimage 2\nlike it?\nWhy?"
        assert len(turn["images"]) == 2

    @pytest.mark.parametrize("key", ["messages", "conversations", "conversation"])
    def test_names_of_the_column_and_a_prompt_beside_it(self, tmp_path: Path, key: str) -> None:
        row = {"system": "Be kind.", key: chat("Who?", "Me.")["messages"], "tools": "[]"}
        (record,), _ = convert_rows("messages", tmp_path, [row])
        assert record["system"] == "Be kind."
        assert record["conversations"] == [{"user": "Who?", "assistant": "Me."}]
        assert record["metadata"] == {"tools": "[]"}

    def test_a_developer_gives_the_system_prompt_and_weights_of_one_are_no_matter(self, tmp_path: Path) -> None:
        said = [
            {"role": "user", "content": "Who?"},
            {"role": "assistant", "content": "Me.", "weight": 1, "tool_calls": []},
        ]
        row = {"messages": [{"role": "developer", "content": "Be kind."}, *said]}
        (record,), _ = convert_rows("messages", tmp_path, [row])
        assert record["system"] == "Be kind."
        assert record["conversations"] == [{"user": "Who?", "assistant": "Me."}]

    @pytest.mark.parametrize("key", ["text", "messages"])
    def test_prompt_and_completion(self, tmp_path: Path, key: str) -> None:
        question, answer = chat("Who?", "Me.")["messages"]
        both: tuple[Any, Any] = ("Who?", "Me.") if key == "text" else ([question], [answer])
        (record,), _ = convert_rows(
            "messages", tmp_path, [{"prompt": both[0], "completion": both[1], "images": ["a.png"], "n": 1}]
        )
        (turn,) = record["conversations"]
        assert (turn["user"], turn["assistant"], len(turn["images"])) == ("Who?", "Me.", 1)
        assert record["metadata"] == {"n": 1, "images": ["a.png"]}


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ({"prompt": "Hi."}, "no_conversation"),
        ({"prompt": "Hi.", "completion": [{"role": "assistant", "content": "Hm."}]}, "no_conversation"),
        ({"prompt": "Hi.", "chosen": "a", "rejected": "b"}, "preference"),
        (chat("Hi.", rejected=[{"role": "assistant", "content": "b"}]), "preference"),
        (chat("Hi.", "Hm.", tools=[{"type": "function"}]), "tools"),
        (chat("Hi.", "Hm.", functions='[{"name": "f"}]'), "tools"),
        ({"messages": [*chat("a")["messages"], {"role": "assistant", "content": "", "tool_calls": [{}]}]}, "tools"),
        ({"messages": [*chat("a")["messages"], {"role": "assistant", "function_call": {"name": "f"}}]}, "tools"),
        ({"messages": [*chat("a")["messages"], {"role": "assistant", "content": "b", "weight": 0}]}, "masked_answer"),
        ({"messages": [*chat("a")["messages"], {"role": "assistant", "content": "b", "loss": False}]}, "masked_answer"),
        ({"messages": [*chat("a")["messages"], {"role": "assistant", "content": "b", "loss": 0.0}]}, "masked_answer"),
        ({"messages": {}}, "no_conversation"),
        ({"messages": []}, "no_conversation"),
        ({"messages": [1]}, "bad_message"),
        ({"messages": [{"from": "human", "value": "Hi."}]}, "bad_message"),
        (chat(["Hi."]), "bad_message"),
        (chat([{"text": "Hi."}]), "bad_message"),
        (chat([{"type": 5}]), "bad_message"),
        (chat([{"type": "table"}]), "bad_message"),
        ({"messages": [{"content": "Hi."}]}, "unknown_role"),
        ({"messages": [{"role": "tool", "content": "Hi."}]}, "unknown_role"),
        ({"messages": [{"role": {}, "content": "Hi."}]}, "unknown_role"),
        (chat(None), "no_text"),
        (chat("Hi.", None), "no_text"),
        (chat({"type": "text", "text": "Hi."}), "no_text"),
        (chat([{"type": "text"}]), "no_text"),
        (chat([]), "empty_text"),
        (chat([IMAGE, say(" ")], images=["a.png"]), "empty_text"),
        (chat("Hi.", [say("")]), "empty_text"),
        ({"messages": [{"role": "assistant", "content": "Hi."}]}, "roles_out_of_order"),
        ({"messages": [*chat("a", "b")["messages"], {"role": "system", "content": "c"}]}, "roles_out_of_order"),
        ({"messages": [{"role": "user", "content": "a"}] * 2}, "no_answer"),
        (chat([IMAGE, say("Hi.")]), "tag_without_image"),
        (chat("<image>Hi."), "tag_without_image"),
        (chat("<image>Hi.", images=["a.png", "b.png"]), "image_without_tag"),
        (chat([IMAGE, say("Hi.")], images=["a.png", "b.png"]), "image_without_tag"),
        (chat([{**IMAGE, "path": "a.png"}, say("Hi.")], images=["a.png"]), "image_without_tag"),
        (chat("Hi.", [IMAGE, say("Hi.")], images=["a.png"]), "misplaced_image"),
        (chat("Hi.", [{**IMAGE, "path": "a.png"}, say("Hi.")]), "misplaced_image"),
        (
            {"messages": [{"role": "system", "content": "<image>"}, *chat("Hi.")["messages"]], "image": "a.png"},
            "misplaced_image",
        ),
        (chat([{"type": "video", "video": "a.mp4"}]), "not_images"),
        (chat([{"type": "input_audio"}]), "not_images"),
        (chat("<video>Hi."), "not_images"),
        (chat("Picture 1: <img>a.png</img>\nHi."), "misplaced_image"),
        (chat("Hi.", videos=["a.mp4"]), "not_images"),
        (chat([{"type": "image_url"}, say("Hi.")]), "bad_image"),
        (chat([{**IMAGE, "image": 5}, say("Hi.")]), "bad_image"),
        (chat([{**IMAGE, "image": {}}, say("Hi.")]), "bad_image"),
        (chat("Hi.", images=5), "bad_image"),
        (chat([{"type": "image_url", "image_url": {"url": "https://host/a.png"}}, say("Hi.")]), "image_is_url"),
        (chat([{**IMAGE, "url": "http://host/a.png"}, say("Hi.")]), "image_is_url"),
        (chat([{**IMAGE, "path": "../a.png"}, say("Hi.")]), "unsafe_path"),
        (chat([{**IMAGE, "image": "file:///etc/passwd"}, say("Hi.")]), "unsafe_path"),
        (chat([{**IMAGE, "base64": "not base64!"}, say("Hi.")]), "bad_base64"),
        (chat([{**IMAGE, "base64": "aGVsbG8="}, say("Hi.")]), "not_an_image"),
        (chat([{**IMAGE, "base64": BASE64[:100]}, say("Hi.")]), "truncated"),
    ],
)
def test_a_bad_row_is_one_reject(tmp_path: Path, row: dict[str, Any], code: str) -> None:
    assert codes("messages", tmp_path, [row]) == [code]


def test_a_bomb_and_a_picture_too_large_are_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    header = b"IHDR" + (60_000).to_bytes(4, "big") * 2 + b"\x08\x02\x00\x00\x00"
    bomb = picture(0)[:12] + header + crc32(header).to_bytes(4, "big") + picture(0)[33:]
    rows = [chat([{**IMAGE, "base64": base64.b64encode(data).decode()}, say("Hi.")]) for data in (bomb, picture(0))]
    monkeypatch.setattr("phi3v_converters.carried_images.MOST_BYTES", len(picture(0)) - 1)
    assert codes("messages", tmp_path / "1", rows[1:]) == ["too_large"]
    monkeypatch.undo()
    assert codes("messages", tmp_path / "2", rows[:1]) == ["too_many_pixels"]


class TestParquet:
    """Rows as the hub keeps them, the images inside."""

    @staticmethod
    def write(path: Path, *rows: dict[str, Any]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(pyarrow.Table.from_pylist(list(rows)), path)
        return path

    @staticmethod
    def row(number: int, *colours: str) -> dict[str, Any]:
        part = {"index": None, "text": f"What is in {number}?", "type": "text"}
        places = [{"index": place, "text": None, "type": "image"} for place in range(len(colours))]
        answer = {"index": None, "text": "A colour.", "type": "text"}
        return {
            "messages": [{"role": "user", "content": [*places, part]}, {"role": "assistant", "content": [answer]}],
            "images": [{"bytes": picture(crc32(colour.encode())), "path": None} for colour in colours],
            "number": number,
        }

    def test_rows_with_their_images_inside(self, tmp_path: Path) -> None:
        rows = [self.row(0, "red"), self.row(1), self.row(2, "red", "blue")]
        self.write(tmp_path / "raw/data/train-00000-of-00001.parquet", *rows)
        self.write(tmp_path / "raw/data/validation-00000-of-00001.parquet", self.row(3, "green"))
        manifest = convert_folder("messages", tmp_path / "raw", tmp_path / "out")
        assert {file.split: file.records for file in manifest.files} == {"train": 3, "val": 1}
        train = read_lines(tmp_path / "out/messages_train.jsonl")
        assert [row.get("group") for row in train] == [RED, None, RED]
        assert train[2] == {
            "id": "train-0000000002",
            "source": "messages",
            "group": RED,
            "conversations": [
                {
                    "images": ["train/train-00000/000000002.0.png", "train/train-00000/000000002.1.png"],
                    "user": "What is in 2?",
                    "assistant": "A colour.",
                }
            ],
            "metadata": {"number": 2},
        }
        assert "images" not in train[1]["conversations"][0]
        held = (tmp_path / "out/images/train/train-00000/000000002.1.png").read_bytes()
        assert held == picture(crc32(b"blue"))

    def test_one_file_as_the_source(self, tmp_path: Path) -> None:
        file = self.write(tmp_path / "mine.parquet", self.row(0, "red"))
        (tmp_path / "notes.json").write_text("{}")
        run("convert", "messages", "--source", file, "--out_dir", tmp_path / "out")
        assert len(read_lines(tmp_path / "out/messages_train.jsonl")) == 1

    def test_bad_rows_are_rejects(self, tmp_path: Path) -> None:
        good, absent, linked = self.row(0, "red"), self.row(1, "red"), self.row(2, "red")
        absent["images"] = []
        linked["images"] = [{"bytes": None, "path": "../secret.png"}]
        self.write(tmp_path / "raw/train.parquet", good, absent, linked)
        convert_folder("messages", tmp_path / "raw", tmp_path / "out")
        assert [code for _, _, code in rejects(tmp_path / "out")] == ["tag_without_image", "unsafe_path"]

    def test_rows_that_begin_with_one_image_share_a_split(self, tmp_path: Path) -> None:
        rows = [self.row(number, f"colour {number % 20}") for number in range(60)]
        write_pictures(tmp_path / "raw")
        for row in rows[::20]:
            row["images"] = [{"bytes": None, "path": "a.png"}]
        self.write(tmp_path / "raw/rows.parquet", *rows)
        convert_folder("messages", tmp_path / "raw", tmp_path / "out", val_fraction=0.4)
        groups = {
            split: [record["group"] for record in read_lines(tmp_path / f"out/messages_{split}.jsonl")]
            for split in ("train", "val")
        }
        assert not set(groups["train"]) & set(groups["val"]) and min(map(len, groups.values())) >= 3
        assert sorted([*groups["train"], *groups["val"]]).count("a.png") == 3

    def test_both_kinds_of_files_of_rows_are_refused(self, tmp_path: Path) -> None:
        self.write(tmp_path / "raw/train.parquet", self.row(0))
        (tmp_path / "raw/dataset_info.json").write_text("{}")
        convert_folder("messages", tmp_path / "raw", tmp_path / "out")
        (tmp_path / "raw/more.jsonl").write_text("")
        with pytest.raises(UsageError, match=r"train\.parquet.*more\.jsonl.*--annotations"):
            convert_folder("messages", tmp_path / "raw", tmp_path / "other")
        with pytest.raises(UsageError, match=r"train\.parquet.*more\.jsonl.*--annotations"):
            convert_folder(
                "messages", tmp_path / "raw", tmp_path / "other", annotations=["train.parquet", "more.jsonl"]
            )
        convert_folder("messages", tmp_path / "raw", tmp_path / "other", annotations=["train.parquet"])
