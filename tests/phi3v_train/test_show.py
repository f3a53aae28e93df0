"""What `phi3v-train show` prints of a record, and that nothing in the record can pass for anything else."""

from __future__ import annotations

import io
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from rich.console import Console

from phi3v_data.errors import CannotRun, DataError, UsageError
from phi3v_train.model import Phi3VImageProcessor, Phi3VProcessor
from phi3v_train.model.tiny_tokenizer import tiny_tokenizer
from phi3v_train.show import show

if TYPE_CHECKING:
    from pathlib import Path

LEGEND = "⟦ ⟧ learnt   <|…|> special token   ▁ space   ⏎ new line   <0xE2> a byte of a character without a token\n"
ANSI = re.compile(r"\x1b\[[0-9;]*m")
TURN = {"user": "Hi?", "assistant": "Yes"}


@pytest.fixture(scope="module")
def processor() -> Phi3VProcessor:
    return Phi3VProcessor(Phi3VImageProcessor(), tiny_tokenizer())


def write(folder: Path, *turns: dict[str, Any], **fields: Any) -> Path:
    """Write a dataset of one record and return its JSONL file."""
    record = {"id": "a", "source": "s", "conversations": turns} | fields
    path = folder / "toy_train.jsonl"
    path.write_text(json.dumps(record) + "\n", encoding="utf-8")
    return path


def add_image(folder: Path, name: str, size: tuple[int, int]) -> None:
    (folder / "images").mkdir(exist_ok=True)
    Image.new("RGB", size).save(folder / "images" / name)


def shown(path: Path, processor: Phi3VProcessor, index: int = 0, terminal: bool = False, **options: Any) -> str:
    """Return what is printed, to a file or to a terminal of 60 columns."""
    printed = io.StringIO()
    console = Console(file=printed, force_terminal=terminal, width=60, color_system="standard" if terminal else None)
    options = {"split": "train", "images_dir": None, "num_crops": 4} | options
    show(path, index, processor=processor, console=console, **options)
    return printed.getvalue()


def sequence(printed: str) -> str:
    """Return what stands between the header and the legend."""
    return printed.partition("\n\n")[2].rpartition("\n\n")[0]


def test_a_conversation(tmp_path: Path, processor: Phi3VProcessor) -> None:
    add_image(tmp_path, "frame.jpg", (320, 240))
    add_image(tmp_path, "page.png", (100, 300))
    path = write(
        tmp_path,
        {"images": ["frame.jpg"], "user": "What is it?\nSay.", "assistant": "A cat"},
        {"images": ["page.png"], "user": "And?", "assistant": "No\nyes"},
        {"user": "So?"},
        system="Be so.",
    )
    assert shown(tmp_path, processor) == (
        f"a  {path}:1\n"
        "1,455 tokens, 1,382 of them of images; 20 are learnt\n"
        "The last turn has no answer and is left out.\n"
        "\n"
        "<s> <|system|> ▁ ⏎\n"
        "B e ▁ s o . <|end|> ▁ ⏎\n"
        "<|user|> ▁ ⏎\n"
        "[image 1: frame.jpg 320x240, 757 tokens] <s> ▁ ⏎\n"
        "W h a t ▁ i s ▁ i t ? ⏎\n"
        "S a y . <|end|> ▁ ⏎\n"
        "<|assistant|> ⟦▁ A ▁ c a t <|end|> ▁ ⏎⟧\n"
        "<|user|> ▁ ⏎\n"
        "[image 2: page.png 100x300, 625 tokens] <s> ▁ ⏎\n"
        "A n d ? <|end|> ▁ ⏎\n"
        "<|assistant|> ⟦▁ N o ⏎\n"
        "y e s <|end|> ▁ ⏎\n"
        "<|endoftext|>⟧\n"
        "\n" + LEGEND
    )


def test_num_crops_decides_what_an_image_takes(tmp_path: Path, processor: Phi3VProcessor) -> None:
    add_image(tmp_path, "a.png", (336, 336))
    path = write(tmp_path, {"images": ["a.png"], **TURN})
    assert "[image 1: a.png 336x336, 313 tokens]" in shown(path, processor, num_crops=1)
    assert "[image 1: a.png 336x336, 2,509 tokens]" in shown(path, processor, num_crops=16)


def test_a_file_keeps_lines_whole_and_a_terminal_breaks_them_between_tokens(
    tmp_path: Path, processor: Phi3VProcessor
) -> None:
    path = write(tmp_path, {"user": "x" * 100, "assistant": "y"})
    assert " ".join("x" * 100) in shown(path, processor)
    on_a_terminal = ANSI.sub("", shown(path, processor, terminal=True))
    assert max(map(len, on_a_terminal.splitlines())) <= 60
    assert sequence(on_a_terminal).split() == sequence(shown(path, processor)).split()


def test_what_is_learnt_has_a_colour_of_its_own(tmp_path: Path, processor: Phi3VProcessor) -> None:
    printed = shown(write(tmp_path, TURN), processor, terminal=True)
    green = re.findall(r"\x1b\[(?:1;)?32m(.*?)\x1b\[0m", sequence(printed))
    assert green == ["⟦", "▁", "Y", "e", "s", "<|end|>", "▁", "⏎", "<|endoftext|>", "⟧"]
    assert "\x1b" not in shown(tmp_path, processor)


def test_ids(tmp_path: Path, processor: Phi3VProcessor) -> None:
    add_image(tmp_path, "a.png", (336, 336))
    path = write(tmp_path, {"images": ["a.png"], **TURN})
    printed = sequence(shown(path, processor, num_crops=1, ids=True))
    names, *rows = [re.split(r"  +", line.strip()) for line in printed.splitlines()]
    assert names == ["position", "id", "token", "label"]
    vocabulary = processor.tokenizer.get_vocab()
    assert rows[:5] == [
        ["0", "1", "<s>", "-100"],
        ["1", str(vocabulary["<|user|>"]), "<|user|>", "-100"],
        ["2", str(vocabulary["▁"]), "▁", "-100"],
        ["3", str(vocabulary["<0x0A>"]), "⏎", "-100"],
        ["4-316", "-1", "[image 1: a.png 336x336, 313 tokens]", "-100"],
    ]
    end, letter = str(vocabulary["<|endoftext|>"]), str(vocabulary["s"])
    assert rows[-5] == ["330", letter, "s", letter]
    assert rows[-1] == ["334", end, "<|endoftext|>", end]


class TestHostile:
    """What a record says is shown, not done."""

    def test_markup(self, tmp_path: Path, processor: Phi3VProcessor) -> None:
        add_image(tmp_path, "[red]x.png", (50, 50))
        turn = {"images": ["[red]x.png"], "user": "[b]:smile:[/b]", "assistant": "[/]"}
        printed = shown(write(tmp_path, turn, id="[bold]a[/bold]"), processor)
        assert printed.startswith("[bold]a[/bold]  ")
        assert "[image 1: [red]x.png 50x50, " in printed
        assert "[ b ] : s m i l e : [ / b ] <|end|>" in printed
        assert "⟦▁ [ / ] <|end|>" in printed

    @pytest.mark.parametrize("bad", ["\x1b[31m", "\x07", "\r", "\u202e", "\u2028", "\x9b", "\x00"])
    def test_what_moves_the_cursor_or_hides(self, tmp_path: Path, processor: Phi3VProcessor, bad: str) -> None:
        path = write(tmp_path, {"user": f"u{bad}", "assistant": f"a{bad}"}, id=f"id{bad}")
        for terminal, ids in ((False, False), (False, True), (True, False)):
            printed = ANSI.sub("", shown(path, processor, terminal=terminal, ids=ids))
            assert printed.replace("\n", "").isprintable()

    def test_the_signs_of_this_page(self, tmp_path: Path, processor: Phi3VProcessor) -> None:
        path = write(tmp_path, {"user": "⟦x⟧⏎ <s> <0x0A>", "assistant": "y"})
        printed = sequence(shown(path, processor))
        assert (printed.count("⟦"), printed.count("⟧"), printed.count("<s>")) == (1, 1, 1)
        assert "< s > ▁ < 0 x 0 A > <|end|>" in printed


class TestErrors:
    """One sentence, with the place and the way out."""

    def test_no_such_record(self, tmp_path: Path, processor: Phi3VProcessor) -> None:
        path = write(tmp_path, TURN)
        for index in (1, -2):
            with pytest.raises(UsageError) as caught:
                shown(path, processor, index)
            assert str(caught.value) == (
                f"there is no record {index} in split 'train' of {path}, which holds 1: --index counts from 0"
            )
        assert shown(path, processor, -1) == shown(path, processor, 0)

    def test_no_such_split(self, tmp_path: Path, processor: Phi3VProcessor) -> None:
        path = write(tmp_path, TURN)
        with pytest.raises(DataError, match="has no split 'val'; it has train"):
            shown(tmp_path, processor, split="val")
        assert shown(path, processor, split="val") == shown(path, processor)

    def test_no_dataset(self, tmp_path: Path, processor: Phi3VProcessor) -> None:
        with pytest.raises(CannotRun, match="there is no dataset at"):
            shown(tmp_path / "nowhere", processor)

    @pytest.mark.parametrize(
        ("turn", "begins", "ends"),
        [
            ({"user": "u"}, "the record has nothing to learn: give its turn", " an 'assistant', or leave it out"),
            ({"user": "<|end|>"}, "'user' of turn 1 holds the special token '<|end|>'; delete the token", " (E702)"),
            ({"images": ["a.png"], **TURN}, "the image 'a.png' is not in ", "images (E401)"),
            ({"images": ["text.png"], **TURN}, "the image 'text.png' is text, not an image", " (E404)"),
            ({"images": ["../a.png"], **TURN}, "the image path '../a.png' ", " (E402)"),
            ({"images": ["thin.png"], **TURN}, "an image of 1400x1 pixels is too thin", " no row of it is left"),
            ({"images": "a.png", **TURN}, "/conversations/0/images: 'images' must be a list", "the string 'a.png'"),
        ],
    )
    def test_what_cannot_be_shown(
        self, tmp_path: Path, processor: Phi3VProcessor, turn: dict[str, Any], begins: str, ends: str
    ) -> None:
        add_image(tmp_path, "thin.png", (1400, 1))
        (tmp_path / "images" / "text.png").write_text("not at all")
        path = write(tmp_path, turn)
        with pytest.raises(DataError) as caught:
            shown(path, processor)
        said = str(caught.value)
        assert said.startswith(f"{path}:1: {begins}") and said.endswith(ends) and "\n" not in said
