"""What is shown: text that fits a terminal, whatever the data hold, and a document that a program can read."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rich.cells import cell_len

from phi3v_data.stats.collect import collect
from phi3v_data.stats.output import render_json, render_text
from phi3v_data.stats.width import cut
from tests.formats.shards import line, write_dataset
from tests.stats.figures import known

if TYPE_CHECKING:
    from phi3v_data.stats.result import Stats

LEFT_TO_RIGHT = "\u200e"  # takes no width on a screen
ODD = [
    "猫" * 40,
    "قط عربي",
    "שלום עולם",
    "a\nb\x1b[31m",
    "x" * 90,
    "$\\frac{$",
    "🙂" * 3,
    "<script>",
    "naïve",
    "é" * 50,
]


def shown(stats: Stats, encoding: str = "utf-8") -> list[str]:
    buffer = io.BytesIO()
    stream = io.TextIOWrapper(buffer, encoding=encoding)
    render_text(stats, stream)
    stream.flush()
    return buffer.getvalue().decode(encoding).splitlines()


def document(stats: Stats) -> dict[str, Any]:
    stream = io.StringIO()
    render_json(stats, stream)
    assert stream.getvalue().isascii()
    loaded: dict[str, Any] = json.loads(stream.getvalue())
    return loaded


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """Return a dataset of odd answers, many splits and a long tail."""
    draw = random.Random(0)
    names = [*ODD, *(f"class {number}" for number in range(300))]
    splits = {
        split: [
            line(f"{split}{number}", *["a.png"] * draw.choice([0, 1, 1, 8]), user="Hm? " * size, answer=name)
            for number, name in enumerate(names * 3)
            for size in [int(draw.lognormvariate(3, 1.5)) + 1]
        ]
        for split in ("train", "val", "test", "a-very-long-name-of-a-split", "漢字漢字漢字漢字漢字", "z")
    }
    return write_dataset(tmp_path / ("long" * 25), splits, ["a.png"])


def test_the_text_fits_a_terminal(odd: Path) -> None:
    lines = shown(collect(odd, max_tokens=20_000))
    assert max(cell_len(text.replace(LEFT_TO_RIGHT, "")) for text in lines if str(odd) not in text) <= 80
    assert len(lines) <= 70
    assert "and 2 more splits: --split NAME shows one, --format json all of them" in lines
    assert all(text.replace(LEFT_TO_RIGHT, "").isprintable() for text in lines)
    assert any("a\\nb\\x1b[31m" in text for text in lines)


def test_figures_stand_in_their_columns(tmp_path: Path) -> None:
    lines = shown(collect(known(tmp_path)))
    rows = {text[:20].strip(): text[20:].split() for text in lines[1:20]}
    assert rows["records"] == ["5", "4", "1"]
    assert rows["turns"] == ["6", "5", "1"]
    assert rows["without an answer"] == ["1", "0", "1"]
    assert rows["images"] == ["6", "5", "1"]
    assert rows["words of an answer"] == ["1.0", "1.0", "-"]
    assert "400x300 4, 100x900 2" in lines


def test_an_output_without_block_characters_gets_hashes(tmp_path: Path) -> None:
    stats = collect(known(tmp_path))
    assert any("█" in text for text in shown(stats))
    plain = shown(stats, "ascii")
    assert any("#" in text for text in plain)
    assert not any("\\u" in text or "\\x" in text for text in plain)


def test_nothing_at_all_is_shown_as_nothing(tmp_path: Path) -> None:
    stats = collect(write_dataset(tmp_path, {"train": [], "val": []}), max_tokens=1000)
    lines = shown(stats)
    rows = {text[:20].strip(): text[20:].split() for text in lines[1:]}
    assert rows["records"] == ["0", "0", "0"]
    assert rows["of a record: mean"] == rows["p99"] == ["-", "-", "-"]
    figures = document(stats)["all"]
    assert figures["records"] == 0
    assert figures["tokens"]["mean"] is figures["tokens"]["p50"] is figures["classes"] is None
    assert figures["batches"] == figures["tokens"]["histogram"] == []
    assert figures["fit"] == {"always": 0, "p99": 0}


def test_the_document(tmp_path: Path) -> None:
    stats = collect(known(tmp_path), max_tokens=10_000)
    told = document(stats)
    assert told["schema_version"]
    assert (told["images"], told["tokens"], told["num_crops"], told["max_tokens"]) == (
        "header",
        "estimated",
        16,
        10_000,
    )
    assert list(told["splits"]) == ["train", "val"]
    train, tokens = told["splits"]["train"], stats.splits["train"].tokens
    assert (train["records"], train["broken"], train["prompts"]) == (4, 0, 0)
    assert train["images"]["records_without"] == 1
    assert train["images"]["histogram"] == [
        {"from": 0, "to": 0, "records": 1},
        {"from": 1, "to": 1, "records": 1},
        {"from": 2, "to": 2, "records": 2},
    ]
    assert train["pictures"]["sizes"][0] == {"width": 400, "height": 300, "images": 4}
    assert train["pictures"]["megapixels"] == {"min": 0.09, "median": 0.12, "max": 0.12}
    assert train["assistant"] == {"texts": 5, "words": 5, "characters": 15}
    assert train["tokens"]["total"] == tokens.total
    assert [train["tokens"][key] for key in ("min", "p50", "max")] == [tokens.least, tokens.quantile(0.5), tokens.most]
    assert 0.9 < train["tokens"]["image_share"] < 1
    assert sum(item["records"] for item in train["tokens"]["histogram"]) == 4
    assert [batch["records"] for batch in train["batches"]] == [1, 2, 4]
    assert train["batches"][2]["worst_tokens"] == 4 * (tokens.most or 0)
    assert train["classes"] == [
        {"name": "cat", "records": 2, "share": 0.5},
        {"name": "dog", "records": 2, "share": 0.5},
    ]
    assert train["imbalance"] == 1
    assert train["fit"]["p99"] >= train["fit"]["always"] == min(4, 10_000 // (tokens.most or 1))
    assert "--tokenizer" in told["notes"][0]


def test_every_key_of_the_document_is_explained(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "looking.md").read_text(encoding="utf-8")
    _, _, section = page.partition("## Figures")
    section, _, _ = section.partition("\n## ")
    named = {"train", "val", "PNG", "JPEG"}

    def keys_of(value: Any) -> set[str]:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return set(value if isinstance(value, dict) else ()).union(*map(keys_of, inner))

    told = document(collect(known(tmp_path), max_tokens=10_000))
    assert {key for key in keys_of(told) - named if f"`{key}`" not in section} == set()


def test_classes_are_all_in_the_document_and_twenty_in_the_text(odd: Path) -> None:
    stats = collect(odd, split="train")
    named = [item["name"] for item in document(stats)["all"]["classes"]]
    assert len(named) == 310
    assert set(ODD) <= set(named)
    text = "\n".join(shown(stats))
    assert "310 classes; the largest has 1.0 times the smallest" in text
    assert "and 290 more: --format json has them all" in text


def test_a_class_is_told_from_its_figures_and_from_others_of_its_look(tmp_path: Path) -> None:
    answers = {"only": ["yes"], "three": ["yes", "yes ", " yes"]}
    lines = {
        name: shown(collect(write_dataset(tmp_path / name, {"train": rows})))
        for name, named in answers.items()
        for rows in [[line(str(number), answer=answer) for number, answer in enumerate(named * 3)]]
    }
    assert "1 class" in lines["only"]
    assert f"{'yes':22}{3:>10} 100.0%" in lines["only"]
    assert "3 classes; the largest has 1.0 times the smallest" in lines["three"]
    assert {"' yes'", "yes", "'yes '"} == {
        name for text in lines["three"] if "33.3%" in text for name in ("' yes'", "'yes '", "yes") if f"{name} " in text
    }


@pytest.mark.parametrize(
    ("text", "columns", "kept"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("猫猫", 4, "猫猫"),
        ("猫猫猫", 4, "猫…"),
        ("e\u0301e\u0301", 2, "e\u0301e\u0301"),
        ("\u0e14\u0e35\u0e14\u0e35", 2, "\u0e14\u0e35\u0e14\u0e35"),
    ],
)
def test_text_is_cut_by_columns(text: str, columns: int, kept: str) -> None:
    assert cut(text, columns) == kept
