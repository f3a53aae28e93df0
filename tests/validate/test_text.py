"""The rules about texts: which marks are found, where, however JSON writes them, and what is left alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from phi3v_data.validate import validate
from phi3v_data.validate.text import check_texts, concerns
from phi3v_schemas import Record

if TYPE_CHECKING:
    from pathlib import Path

TURNS = [{"user": "Hi?", "assistant": "Hello."}, {"user": "So?"}]


def findings(tmp_path: Path, line: str) -> list[tuple[str, str, str]]:
    file = tmp_path / "toy_train.jsonl"
    file.write_text(line + "\n", encoding="utf-8")
    return [(finding.code, finding.pointer, finding.message) for finding in validate([file], images="none").findings]


def record(**changes: Any) -> dict[str, Any]:
    return {"id": "a", "source": "s", "conversations": TURNS} | changes


@pytest.mark.parametrize(
    ("mark", "code", "what"),
    [
        ("<|image_1|>", "E701", "the image tag '<|image_1|>'"),
        ("<|image_007|>", "E701", "the image tag '<|image_007|>'"),
        ("<|user|>", "E702", "the special token '<|user|>'"),
        ("<|assistant|>", "E702", "the special token '<|assistant|>'"),
        ("<|system|>", "E702", "the special token '<|system|>'"),
        ("<|end|>", "E702", "the special token '<|end|>'"),
        ("<|endoftext|>", "E702", "the special token '<|endoftext|>'"),
        ("<|image|>", "E702", "the special token '<|image|>'"),
        ("<|placeholder39|>", "E702", "the special token '<|placeholder39|>'"),
    ],
)
def test_a_mark_is_found_in_every_text(tmp_path: Path, mark: str, code: str, what: str) -> None:
    text = f"before{mark}behind"
    assert findings(tmp_path, json.dumps(record(system=text))) == [(code, "/system", f"'system' holds {what}")]
    turns = [TURNS[0], {"user": text, "assistant": text}]
    assert findings(tmp_path, json.dumps(record(conversations=turns))) == [
        (code, "/conversations/1/user", f"'user' of turn 2 holds {what}"),
        (code, "/conversations/1/assistant", f"'assistant' of turn 2 holds {what}"),
    ]


def test_another_formats_image_tag_is_a_warning_where_a_user_speaks(tmp_path: Path) -> None:
    turns = [{"user": "<image>\nWhat is it?", "assistant": "An <image> of RSS."}]
    assert findings(tmp_path, json.dumps(record(conversations=turns, system="Know <image>."))) == [
        ("W703", "/conversations/0/user", "'user' of turn 1 holds '<image>', which is ordinary text to the model")
    ]


@pytest.mark.parametrize(
    "escaped", [{"<": "\\u003c"}, {"<": "\\u003C", "|": "\\u007c"}, {"<": "\\u003c", ">": "\\u003e"}]
)
def test_escapes_of_json_hide_nothing(tmp_path: Path, escaped: dict[str, str]) -> None:
    line = json.dumps(record(conversations=[{"user": "<|end|>"}]))
    for character, escape in escaped.items():
        line = line.replace(character, escape)
    assert [code for code, *_ in findings(tmp_path, line)] == ["E702"]


def test_each_kind_is_told_once_a_text(tmp_path: Path) -> None:
    text = "<|image_2|><|image_1|><|end|>\n<|user|><image>"
    found = findings(tmp_path, json.dumps(record(conversations=[{"user": text}])))
    assert [(code, message.rpartition(" ")[2]) for code, _, message in found[:2]] == [
        ("E701", "'<|image_2|>'"),
        ("E702", "'<|end|>'"),
    ]
    assert [code for code, *_ in found[2:]] == ["W703"]


def test_a_mark_elsewhere_in_the_line_is_nothing_to_the_model(tmp_path: Path) -> None:
    odd = record(id="<|user|>", group="<|end|>", metadata={"<|image_1|>": "<image>"})
    odd["conversations"] = [{"user": "u", "assistant": "a", "answers": ["<|end|>"]}]
    assert findings(tmp_path, json.dumps(odd)) == []


@pytest.mark.parametrize(
    "text", ["<s>", "</s>", "<unk>", "<|im_end|>", "<|User|>", "< |user|>", "<|image_|>", "a<b|>c"]
)
def test_ordinary_text_stays(text: str) -> None:
    assert check_texts(Record(id="a", source="s", system=text, conversations=[{"user": text, "assistant": text}])) == []


@pytest.mark.parametrize(
    "mark",
    ["<image>", "<video>", "<img>", "</img>", "<ImageHere>", "<IMG_CONTEXT>", "<|vision_start|>", "<|image_pad|>"],
)
def test_marks_of_other_formats_are_known(mark: str) -> None:
    [problem] = check_texts(Record(id="a", source="s", conversations=[{"user": f"{mark} What is it?"}]))
    assert (problem.rule.code, problem.pointer) == ("W703", "/conversations/0/user")
    assert repr(mark) in problem.message


@pytest.mark.parametrize("text", ['<img src="a.png">', "<video controls>", "<images>", "a < image > b", "<figure>"])
def test_html_is_no_mark(text: str) -> None:
    assert check_texts(Record(id="a", source="s", conversations=[{"user": text}])) == []


def test_lines_without_a_less_than_are_passed_over() -> None:
    assert not concerns(b'{"user": "a \\n \\u00e9 |>"}\n{"user": "b"}')
    assert concerns(b'{"user": "a"}\n{"user": "<"}')
    assert concerns(b'{"user": "\\u003cimage>"}')
    assert concerns(b'{"user": "\\u003Cimage>"}')
