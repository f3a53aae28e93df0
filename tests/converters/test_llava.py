"""`phi3v-data convert llava`: every form of LLaVA's and ShareGPT's rows, and what becomes of bad ones."""

from __future__ import annotations

import base64
import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from phi3v_converters.llava import Llava
from phi3v_data.errors import UsageError
from tests.converters.chats import codes, convert_rows, write_pictures
from tests.converters.converting import convert_folder, rejects
from tests.converters.made_sources import picture, write_json_lines, write_picture
from tests.helpers import read_lines, run, snapshot

if TYPE_CHECKING:
    from pathlib import Path


def chat(*texts: Any, **row: Any) -> dict[str, Any]:
    """Return a row in which human and gpt say the texts in turn."""
    said = [{"from": ("human", "gpt")[number % 2], "value": text} for number, text in enumerate(texts)]
    return {**row, "conversations": said}


class TestForms:
    def test_one_image_and_what_else_the_row_says(self, tmp_path: Path) -> None:
        row = chat("<image>\nWhat is it?", " A cat.\n", "Its colour?", "Grey.", id="7", image="a.png", model="x", n=[1])
        records, refused = convert_rows("llava", tmp_path, [row])
        assert not refused
        assert records == [
            {
                "id": "train-0000000000",
                "source": "llava",
                "group": "a.png",
                "conversations": [
                    {"images": ["train/train/000000001.0.png"], "user": "What is it?", "assistant": " A cat.\n"},
                    {"user": "Its colour?", "assistant": "Grey."},
                ],
                "metadata": {"id": "7", "model": "x", "n": [1], "image": "a.png"},
            }
        ]
        assert (tmp_path / "out/images/train/train/000000001.0.png").read_bytes() == (
            tmp_path / "raw/a.png"
        ).read_bytes()
        run("validate", "--strict", tmp_path / "out")

    @pytest.mark.parametrize(
        ("row", "turns"),
        [
            (
                chat("<image>\n <image>\nSame?", "No.", "\n<image> And?", "Yes.", image=["a.png", "b.png", "c.png"]),
                [("a.png b.png", "Same?", "No."), ("c.png", "And?", "Yes.")],
            ),
            (
                chat("First <image>\n<image>\n", "No.", "  Why? ", "So.", images=["b.png", "a.png"]),
                [("b.png a.png", "First", "No."), ("", "  Why? ", "So.")],
            ),
            (
                chat("<image> Odd? <image>", "No.", "Then?", images=["a.png", "a.png"]),
                [("a.png a.png", "Odd?", "No."), ("", "Then?", None)],
            ),
            (chat("Who?", "Me.", image="", id=3), [("", "Who?", "Me.")]),
            (chat("Who?", "Me.", images=[], video=None), [("", "Who?", "Me.")]),
            (chat("Who? <|end|>", "Me."), [("", "Who? <|end|>", "Me.")]),
            (chat("Look.<image>", image="./a.png"), [("a.png", "Look.", None)]),
        ],
    )
    def test_tags_at_both_ends_give_their_images_to_the_turn(
        self, tmp_path: Path, row: dict[str, Any], turns: list[tuple[str, str, str | None]]
    ) -> None:
        (record,), refused = convert_rows("llava", tmp_path, [row])
        assert not refused
        names = {data: name for name, data in write_pictures(tmp_path / "raw").items()}
        shown = [
            (
                " ".join(names[(tmp_path / "out/images" / path).read_bytes()] for path in turn.get("images", [])),
                turn["user"],
                turn.get("assistant"),
            )
            for turn in record["conversations"]
        ]
        assert shown == turns

    def test_tags_within_a_text_are_numbered_in_their_turn_if_asked(self, tmp_path: Path) -> None:
        rows = [
            chat("What changed between <image> and <image>?", "Nothing.", images=["a.png", "b.png"]),
            chat(
                "<image>\nHi.", "Hi.", "<image>\nIs <image> like it? <image>", images=["a.png"] * 2 + ["b.png", "c.png"]
            ),
        ]
        assert codes("llava", tmp_path / "1", rows) == ["inner_tag", "inner_tag"]
        message = (tmp_path / "1/out/rejects.jsonl").read_text(encoding="utf-8")
        assert "--inner_tags number" in message
        records, refused = convert_rows("llava", tmp_path / "2", rows, inner_tags="number")
        assert not refused
        assert [[turn["user"] for turn in record["conversations"]] for record in records] == [
            ["What changed between image 1 and image 2?"],
            ["Hi.", "Is image 2 like it?"],
        ]
        assert [len(turn["images"]) for record in records for turn in record["conversations"]] == [2, 1, 3]

    @pytest.mark.parametrize("beside", [True, False])
    def test_a_system_prompt_and_other_names_of_the_roles(self, tmp_path: Path, beside: bool) -> None:
        said = [{"from": "user", "value": "Who?"}, {"from": "assistant", "value": "Me."}]
        row = {"system": "Be kind.", "conversation": said}
        if not beside:
            row = {"system": "", "conversations": [{"from": "system", "value": "Be kind."}, *said]}
        (record,), _ = convert_rows("llava", tmp_path, [row])
        assert record == {
            "id": "train-0000000000",
            "source": "llava",
            "system": "Be kind.",
            "conversations": [{"user": "Who?", "assistant": "Me."}],
        }

    def test_white_space_within_base64_and_base64_alone(self, tmp_path: Path) -> None:
        data = picture(9, size=(64, 64))
        text = base64.encodebytes(data).decode()
        assert len(text) > 300
        held = [f"data:image/png;base64,{text}", text, text.replace("\n", "")]
        records, refused = convert_rows("llava", tmp_path, [chat("<image>Who?", image=image) for image in held])
        assert not refused
        stored = [path.read_bytes() for path in tmp_path.glob("out/images/*/*/*")]
        assert stored == [data] * 3
        assert all("metadata" not in record for record in records)
        assert len({record["group"] for record in records}) == 1

    def test_images_inside_the_row(self, tmp_path: Path) -> None:
        data = picture(9)
        text = base64.b64encode(data).decode()
        rows = [
            chat("<image>Who?", image=image, id=1)
            for image in (f"data:image/png;base64,{text}", {"bytes": text, "path": None}, [{"path": "a.png"}])
        ]
        records, refused = convert_rows("llava", tmp_path, rows)
        assert not refused
        assert (tmp_path / "out/images/train/train/000000001.0.png").read_bytes() == data
        assert [record["metadata"] for record in records] == [
            {"id": 1},
            {"id": 1},
            {"id": 1, "image": [{"path": "a.png"}]},
        ]
        first, second, third = (record["group"] for record in records)
        assert first == second and first.startswith("base64-") and third == "a.png"


class TestFaults:
    @pytest.mark.parametrize(
        ("row", "code"),
        [
            ({}, "no_conversation"),
            ({"conversations": None}, "no_conversation"),
            ({"conversations": "Hi."}, "no_conversation"),
            ({"conversations": []}, "no_conversation"),
            ({"conversations": [{"from": "system", "value": "Be."}]}, "no_conversation"),
            ({"conversations": ["Hi."]}, "bad_message"),
            ({"conversations": [{"role": "user", "content": "Hi."}]}, "bad_message"),
            ({"conversations": [{"value": "Hi."}]}, "unknown_role"),
            ({"conversations": [{"from": "tool", "value": "Hi."}]}, "unknown_role"),
            ({"conversations": [{"from": ["human"], "value": "Hi."}]}, "unknown_role"),
            ({"conversations": [{"from": "human"}]}, "no_text"),
            (chat(None), "no_text"),
            (chat(["Hi."]), "no_text"),
            (chat("Hi.", 5), "no_text"),
            (chat("Hi.", system=3), "no_text"),
            (chat(""), "empty_text"),
            (chat("<image>", "Hi.", image="a.png"), "empty_text"),
            (chat("Hi.", "\n"), "empty_text"),
            ({"conversations": [{"from": "gpt", "value": "Hi."}]}, "roles_out_of_order"),
            (
                {"conversations": [{"from": "human", "value": "a"}, {"from": "system", "value": "b"}]},
                "roles_out_of_order",
            ),
            ({"system": "Be.", "conversations": [{"from": "system", "value": "Be."}]}, "roles_out_of_order"),
            ({"conversations": [{"from": "human", "value": "a"}, {"from": "human", "value": "b"}]}, "no_answer"),
            (chat("<image>Hi."), "tag_without_image"),
            (chat("<image><image>Hi.", image="a.png"), "tag_without_image"),
            (chat("Hi.", image="a.png"), "image_without_tag"),
            (chat("<image>Hi.", images=["a.png", "b.png"]), "image_without_tag"),
            (chat("Hi.", "<image>", image="a.png"), "misplaced_image"),
            (chat("Hi.", system="<image> Be.", image="a.png"), "misplaced_image"),
            (chat("<video>Hi."), "not_images"),
            (chat("Picture 1: <img>a.png</img>\nHi."), "misplaced_image"),
            (chat("Hi.", "<audio>"), "not_images"),
            (chat("Hi.", videos=["a.mp4"]), "not_images"),
            (chat("Hi.", "Hm.", tools='[{"name": "f"}]'), "tools"),
            (
                {"conversations": [*chat("a")["conversations"], {"from": "gpt", "value": "b", "loss": 0}]},
                "masked_answer",
            ),
            (chat("Hi.", chosen={"from": "gpt", "value": "a"}, rejected={"from": "gpt", "value": "b"}), "preference"),
            (chat("Hi.", audio="a.wav"), "not_images"),
            (chat("<image>Hi.", image="a.png", images=["b.png"]), "bad_image"),
            (chat("<image>Hi.", image=5), "bad_image"),
            (chat("<image>Hi.", image=[None]), "bad_image"),
            (chat("<image>Hi.", image={"bytes": [1, 2]}), "bad_image"),
            (chat("<image>Hi.", image="https://host/a.png"), "image_is_url"),
            (chat("<image>Hi.", image="S3://bucket/a.png"), "image_is_url"),
            (chat("<image>Hi.", image="../a.png"), "unsafe_path"),
            (chat("<image>Hi.", image="/etc/passwd"), "unsafe_path"),
            (chat("<image>Hi.", image="file:///etc/passwd"), "unsafe_path"),
            (chat("<image>Hi.", image="out.png"), "unsafe_path"),
            (chat("<image>Hi.", image="a\x00.png"), "unsafe_path"),
            (chat("<image>Hi.", image="C:\\a.png"), "unsafe_path"),
            (chat("<image>Hi.", image="."), "unsafe_path"),
            (chat("<image>Hi.", image="gone.png"), "missing_image"),
            (chat("<image>Hi.", image="n" * 5000 + ".png"), "unreadable"),
            (chat("<image>Hi.", image="n/" * 5000 + "n.png"), "unreadable"),
            (chat("<image>Hi.", image="folder.png"), "not_an_image"),
            (chat("<image>Hi.", image="text.png"), "not_an_image"),
            (chat("<image>Hi.", image="empty.png"), "empty_image"),
            (chat("<image>Hi.", image="cut.png"), "truncated"),
            (chat("<image>Hi.", image="data:image/png,abc"), "bad_base64"),
            (chat("<image>Hi.", image="data:image/png;base64,a"), "bad_base64"),
            (chat("<image>Hi.", image="data:image/png;base64,é"), "bad_base64"),
            (chat("<image>Hi.", image="data:image/png;base64,YWJj"), "not_an_image"),
            (chat("\ud800"), "not_unicode"),
            ([chat("Hi.")], "invalid_json"),
        ],
    )
    def test_a_bad_row_is_one_reject(self, tmp_path: Path, row: Any, code: str) -> None:
        raw = tmp_path / "raw"
        write_picture(tmp_path / "outside.png", 1)
        raw.mkdir()
        (raw / "out.png").symlink_to("../outside.png")
        (raw / "folder.png").mkdir()
        for name, data in {"text.png": b"hello", "empty.png": b"", "cut.png": picture(1)[:-20]}.items():
            (raw / name).write_bytes(data)
        assert codes("llava", tmp_path, [row]) == [code]

    def test_links_out_of_the_folder_are_followed_if_asked(self, tmp_path: Path) -> None:
        write_pictures(tmp_path / "data/coco")
        (tmp_path / "raw").mkdir()
        (tmp_path / "raw/coco").symlink_to(tmp_path / "data/coco")
        rows = [chat("<image>Who?", image="coco/a.png"), chat("<image>Who?", image="../data/coco/a.png")]
        assert codes("llava", tmp_path, rows) == ["unsafe_path", "unsafe_path"]
        assert "--follow_links" in (tmp_path / "out/rejects.jsonl").read_text(encoding="utf-8")
        shutil.rmtree(tmp_path / "out")
        (record,), refused = convert_rows("llava", tmp_path, rows, follow_links=True)
        assert record["group"] == "coco/a.png"
        assert refused == {"train.json:2": "unsafe_path"}

    def test_a_path_of_windows_is_told_the_way_out(self, tmp_path: Path) -> None:
        assert codes("llava", tmp_path, [chat("<image>Hi.", image="coco\\a.png")]) == ["unsafe_path"]
        assert "holds a backslash: write it with '/'" in (tmp_path / "out/rejects.jsonl").read_text(encoding="utf-8")

    def test_a_path_is_quoted_in_part(self, tmp_path: Path) -> None:
        assert codes("llava", tmp_path, [chat("<image>Hi.", image="n/" * 1000 + "gone.png")]) == ["missing_image"]
        (reject,) = read_lines(tmp_path / "out/rejects.jsonl")
        assert len(reject["message"]) < 350

    def test_texts_too_long_for_a_record(self, tmp_path: Path) -> None:
        assert codes("llava", tmp_path, [chat("x" * (17 << 20))]) == ["too_large"]

    def test_sources_without_rows(self, tmp_path: Path) -> None:
        (tmp_path / "raw").mkdir()
        with pytest.raises(UsageError, match="no rows found in"):
            convert_folder("llava", tmp_path / "raw", tmp_path / "out")
        (tmp_path / "raw/.hidden.json").write_text("[]")
        with pytest.raises(UsageError, match="no rows found in"):
            convert_folder("llava", tmp_path / "raw", tmp_path / "out")
        (tmp_path / "raw/a.json").write_text("[]")
        for name in ("gone.json", "../raw/a.json", "/etc/passwd"):
            with pytest.raises(UsageError, match=f"--annotations {name} is no file below"):
                convert_folder("llava", tmp_path / "raw", tmp_path / "out", annotations=[name])
        with pytest.raises(UsageError, match=r"--image_dir .*gone is no folder"):
            convert_folder("llava", tmp_path / "raw", tmp_path / "out", image_dir=tmp_path / "gone")
        with pytest.raises(UsageError, match="llava found nothing to convert"):
            convert_folder("llava", tmp_path / "raw", tmp_path / "out")


class TestFiles:
    def test_suffixes_in_capitals_and_files_that_are_no_rows(self, tmp_path: Path) -> None:
        write_json_lines(tmp_path / "raw/UP.JSON", [chat("Who?")])
        for name in ("dataset_info.json", "sub/package.json"):
            (tmp_path / "raw" / name).parent.mkdir(exist_ok=True)
            (tmp_path / "raw" / name).write_text('{"train": {}}')
        convert_folder("llava", tmp_path / "raw", tmp_path / "out")
        assert len(read_lines(tmp_path / "out/llava_train.jsonl")) == 1 and not rejects(tmp_path / "out")

    def test_splits_names_and_order(self, tmp_path: Path) -> None:
        raw = tmp_path / "raw"
        for file in ("sub/train.jsonl", "my_dev.jsonl", "test.jsonl", "rest.jsonl", "rest.json"):
            write_json_lines(raw / file, [chat(f"{file} {number}?") for number in range(12)])
        convert_folder("llava", raw, tmp_path / "out", annotations=[])
        asked = {
            split: [record["conversations"][0]["user"] for record in read_lines(tmp_path / f"out/llava_{split}.jsonl")]
            for split in ("train", "val", "test")
        }
        assert asked == {
            split: [f"{file} {number}?" for file in files for number in range(12)]
            for split, files in {
                "train": ["rest.json", "rest.jsonl", "sub/train.jsonl"],
                "val": ["my_dev.jsonl"],
                "test": ["test.jsonl"],
            }.items()
        }
        with pytest.raises(UsageError, match=r"^--val_fraction has no meaning for this source"):
            convert_folder("llava", raw, tmp_path / "other", val_fraction=0.1)

    def test_two_files_of_one_name_do_not_share_images(self, tmp_path: Path) -> None:
        write_pictures(tmp_path / "raw/images")
        for file, name in {"x.json": "a.png", "x.jsonl": "b.png", "y.json": "c.png"}.items():
            write_json_lines(tmp_path / "raw" / file, [chat("<image>Who?", image=name)])
        convert_folder("llava", tmp_path / "raw", tmp_path / "out")
        assert sorted(
            path.relative_to(tmp_path / "out/images").as_posix() for path in tmp_path.glob("out/images/*/*/*")
        ) == [
            "train/x.json/000000001.0.png",
            "train/x.jsonl/000000001.0.png",
            "train/y/000000001.0.png",
        ]

    def test_rows_that_begin_with_one_image_share_a_split(self, tmp_path: Path) -> None:
        raw = tmp_path / "raw"
        for number in range(30):
            write_picture(raw / f"p{number}.png", number, size=(8, 8))
        names = [f"p{number % 30}.png" if number % 2 else f"./p{number % 30}.png" for number in range(90)]
        rows = [chat(f"<image>{number}?", image=name) for number, name in enumerate(names)]
        write_json_lines(raw / "rows.jsonl", [*rows, *(chat(f"{number}?") for number in range(90, 120))])
        convert_folder("llava", raw, tmp_path / "out", val_fraction=0.3)
        splits = {split: read_lines(tmp_path / f"out/llava_{split}.jsonl") for split in ("train", "val")}
        assert min(map(len, splits.values())) > 10
        groups = {split: {row.get("group") for row in rows} - {None} for split, rows in splits.items()}
        assert not groups["train"] & groups["val"]
        assert len(groups["train"] | groups["val"]) == 30
        asked = [int(row["conversations"][0]["user"][:-1]) for rows in splits.values() for row in rows]
        assert sorted(asked) == list(range(120))
        assert not rejects(tmp_path / "out")

    def test_an_edited_row_is_another_plan(self, tmp_path: Path) -> None:
        convert_rows("llava", tmp_path, [chat("a?")])
        with pytest.raises(UsageError, match="made from other source files"):
            convert_rows("llava", tmp_path, [chat("b?")])

    @pytest.mark.parametrize("name", ["llava", "messages"])
    def test_the_sample(self, tmp_path: Path, name: str) -> None:
        run("sample", name, tmp_path / "raw")
        convert_folder(name, tmp_path / "raw", tmp_path / "out")
        assert [len(read_lines(tmp_path / f"out/{name}_{split}.jsonl")) for split in ("train", "val")] == [6, 2]
        run("validate", "--strict", tmp_path / "out")

    def test_an_archive_that_wraps_everything_in_a_folder(self, tmp_path: Path) -> None:
        Llava.write_sample(tmp_path / "in/release")
        archive = shutil.make_archive(str(tmp_path / "rows"), "zip", tmp_path / "in")
        cache = {"PHI3V_CACHE": str(tmp_path / "cache")}
        run("convert", "llava", "--source", archive, "--out_dir", tmp_path / "out", env=cache)
        assert len(read_lines(tmp_path / "out/llava_train.jsonl")) == 6


class TestCommand:
    def test_a_file_and_pictures_elsewhere_with_any_number_of_workers(self, tmp_path: Path) -> None:
        pictures, source = tmp_path / "data/pictures", tmp_path / "rows/mix.json"
        write_pictures(pictures / "deep")
        source.parent.mkdir()
        (source.parent / "other.json").write_text("[]")
        paths = ["deep/a.png", str(pictures / "deep/b.png"), f"file://{pictures}/deep/c.png", str(tmp_path / "no.png")]
        source.write_text(json.dumps([chat("<image>\nWho?", "Me.", image=path, id=path[-5:]) for path in paths * 12]))
        for workers, folder in (("1", "data/pictures"), ("2", str(pictures))):
            flags = ("--source", "rows/mix.json", "--image_dir", folder, "--out_dir", f"out{workers}")
            run("convert", "llava", *flags, "--workers", workers, "--max_rejects", "12", cwd=tmp_path)
        assert snapshot(tmp_path / "out1") == snapshot(tmp_path / "out2")
        manifest = (tmp_path / "out1/manifest.json").read_text(encoding="utf-8")
        assert str(tmp_path) not in manifest and "image_dir" not in manifest
        assert json.loads(manifest)["converter"]["options"]["annotations"] == ["mix.json"]
        records = read_lines(tmp_path / "out1/llava_train.jsonl")
        assert [record["group"] for record in records] == ["deep/a.png", "deep/b.png", "deep/c.png"] * 12
        assert rejects(tmp_path / "out1") == [
            (f"mix.json:{number}", "train", "unsafe_path") for number in (sorted(range(4, 49, 4), key=str))
        ]
        run("validate", "--strict", tmp_path / "out1")
        done = run("convert", "llava", *flags, "--annotations", "mix.json", cwd=tmp_path, code=2)
        assert "--source names a file, and so does --annotations" in done.stderr
