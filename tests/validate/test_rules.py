"""Every rule: the examples give exactly their code, at the right place and in plain words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from phi3v_data.validate import validate
from phi3v_data.validate.explain import explain, findings_page
from phi3v_data.validate.rule import RULES, Rule
from phi3v_data.validate.schema import read_record

if TYPE_CHECKING:
    from phi3v_schemas import Finding

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "schemas" / "examples"
MADE_BY_TESTS = {"E105", "E107", "E110", "E408", "E409", "W413", "W419", "W503"}


def invalid_examples() -> list[Path]:
    return [path for path in sorted((EXAMPLES / "invalid").iterdir()) if path.name != "images"]


def valid_examples() -> list[Path]:
    return [path for path in sorted((EXAMPLES / "valid").iterdir()) if path.name != "images"]


def findings_of(tmp_path: Path, *lines: Any, **options: Any) -> list[Finding]:
    """Validate lines, given as bytes or as what JSON is made of, with images off unless asked."""
    file = tmp_path / "toy_train.jsonl"
    file.write_bytes(
        b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines) + b"\n"
    )
    return list(validate([file], **{"images": "none", **options}).findings)


def record(**changes: Any) -> dict[str, Any]:
    whole = {"id": "a", "source": "s", "conversations": [{"user": "Hi?", "assistant": "Hello."}]} | changes
    return {key: value for key, value in whole.items() if value is not ...}


@pytest.mark.parametrize("path", invalid_examples(), ids=lambda path: path.stem)
def test_invalid_example_gives_its_code_and_no_other(path: Path) -> None:
    code, _, slug = path.stem.partition("-")
    result = validate([path])
    assert set(result.counts) == {code}
    assert RULES[code].slug == slug
    for finding in result.findings:
        assert (finding.code, finding.slug) == (code, slug)
        assert finding.file.startswith(str(path))
        assert finding.message
        assert finding.hint


@pytest.mark.parametrize("path", valid_examples(), ids=lambda path: path.stem)
def test_valid_example_is_clean(path: Path) -> None:
    result = validate([path])
    assert result.counts == {}
    assert result.records > 0


def test_every_rule_about_one_file_has_a_sound_example_too() -> None:
    """Those about a folder have `dataset`, `edited` and `sharded`."""
    sound = {path.name for path in valid_examples()}
    assert {path.name for path in invalid_examples() if path.suffix == ".jsonl"} <= sound


def test_every_rule_has_an_example_and_every_example_a_rule() -> None:
    assert {path.stem.partition("-")[0] for path in invalid_examples()} | MADE_BY_TESTS == set(RULES)


@pytest.mark.parametrize("code", [code for code in RULES if code[1] in "237" or code in ("E101", "W104")])
def test_the_rules_own_examples(tmp_path: Path, code: str) -> None:
    assert code in {finding.code for finding in findings_of(tmp_path, RULES[code].bad.encode())}
    assert findings_of(tmp_path, RULES[code].good.encode()) == []


def test_codes_and_slugs_are_taken_once() -> None:
    with pytest.raises(TypeError, match="is taken"):
        type("Again", (Rule,), {"code": "E101", "slug": "new"})
    with pytest.raises(TypeError, match="is taken"):
        type("Again", (Rule,), {"code": "E199", "slug": "invalid-json"})
    with pytest.raises(TypeError, match="neither with E nor with W"):
        type("Again", (Rule,), {"code": "X199", "slug": "new"})
    assert "E199" not in RULES


def test_severity_is_the_codes_letter() -> None:
    assert {rule.severity for code, rule in RULES.items() if code[0] == "E"} == {"error"}
    assert {rule.severity for code, rule in RULES.items() if code[0] == "W"} == {"warning"}


def test_findings_page_is_in_sync() -> None:
    """`python -m phi3v_data.validate.explain` writes it again."""
    assert (ROOT / "docs" / "findings.md").read_text(encoding="utf-8") == findings_page()


def test_explain_knows_every_rule_in_either_case() -> None:
    for code, rule in RULES.items():
        text = explain(code.lower())
        assert text.startswith(f"{code} {rule.slug} ({rule.severity})")
        assert rule.hint in text
    with pytest.raises(Exception, match="there is no rule 'E999'") as caught:
        explain("E999")
    assert getattr(caught.value, "exit_code", None) == 2


@pytest.mark.parametrize(
    ("line", "code", "pointer", "words"),
    [
        (record(id=...), "E201", "/id", "the field 'id' is missing"),
        (record(id=17), "E202", "/id", "'id' must be a string, not the number 17"),
        (record(id=None), "E202", "/id", "'id' must be a string, not null"),
        (record(id=True), "E202", "/id", "'id' must be a string, not true"),
        (record(id=[1]), "E202", "/id", "'id' must be a string, not a list"),
        (record(conversations={}), "E202", "/conversations", "'conversations' must be a list, not an object"),
        (record(conversations=["x"]), "E202", "/conversations/0", "turn 1 must be an object, not the string 'x'"),
        (
            record(conversations=[{"user": "u", "images": ["a", 3]}]),
            "E202",
            "/conversations/0/images/1",
            "item 2 of 'images' must be a string, not the number 3",
        ),
        (record(metadata=[]), "E202", "/metadata", "'metadata' must be an object, not a list"),
        ([1], "E202", "", "the line must be an object, not a list"),
        (record(split="train"), "E203", "/split", "unknown field 'split'"),
        (record(**{"a/b~c": 1}), "E203", "/a~1b~0c", "unknown field 'a/b~c'"),
        (record(conversations=[]), "E204", "/conversations", "'conversations' holds no turn"),
        (record(group=""), "E205", "/group", "'group' is empty"),
    ],
)
def test_schema_findings_say_what_and_where(tmp_path: Path, line: Any, code: str, pointer: str, words: str) -> None:
    [finding] = findings_of(tmp_path, line)
    assert (finding.line, finding.code, finding.pointer, finding.message) == (1, code, pointer, words)


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        (record(sorce="x"), "Did you mean 'source'?"),
        (record(images=["a.jpg"]), "'images' is a field of a turn"),
        (record(image="a.jpg"), "Images are the list 'images' of a turn"),
        (record(conversations=[{"user": "u", "metadata": {}}]), "'metadata' is a field of the record"),
        (record(conversations=[{"user": "u", "images": "a.jpg"}]), "Write a list, even for one image"),
        (record(conversations={"user": "u"}), "Write a list of turns"),
        (record(conversations=["Hi?"]), "Write each turn as an object"),
        (record(conversations=[{"user": "u", "assistant": ["a", "b"]}]), "are the list 'answers' beside it"),
        (
            record(conversations=[{"user": [{"type": "text", "text": "u"}]}]),
            "list the image files in the turn's 'images'",
        ),
        (record(conversations=[{"user": "u", "answers": "a"}]), "Write a list, even for one answer"),
        (record(id=17), "Write the number in quotes"),
        (record(source=None), "null stands for an absent value"),
    ],
)
def test_common_slips_get_a_hint_of_their_own(tmp_path: Path, line: Any, hint: str) -> None:
    [finding] = findings_of(tmp_path, line)
    assert hint in finding.hint


def test_all_faults_of_a_line_are_found(tmp_path: Path) -> None:
    turns = [{"user": "", "images": "x"}, {"usr": "u"}]
    found = findings_of(tmp_path, record(id=..., source=1, conversations=turns))
    assert [(finding.code, finding.pointer) for finding in found] == [
        ("E201", "/id"),
        ("E202", "/source"),
        ("E202", "/conversations/0/images"),
        ("E205", "/conversations/0/user"),
        ("E201", "/conversations/1/user"),
        ("E203", "/conversations/1/usr"),
    ]


def test_every_unanswered_turn_is_named(tmp_path: Path) -> None:
    found = findings_of(tmp_path, record(conversations=[{"user": "u"}, {"user": "v"}, {"user": "w"}]))
    assert [finding.pointer for finding in found] == ["/conversations/0/assistant", "/conversations/1/assistant"]
    assert found[1].message.startswith("turn 2 of 3 has no 'assistant'")


@pytest.mark.parametrize(
    ("line", "words", "way_out"),
    [
        ({"id": "a", "image": "a.jpg", "conversations": [{"from": "human", "value": "x"}]}, "LLaVA", "convert llava"),
        ({"id": "a", "conversations": [{"from": "human", "value": "x"}]}, "ShareGPT", "convert llava"),
        ({"messages": [{"role": "user", "content": "x"}]}, "OpenAI", "convert messages"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}], "images": ["a"]}, "OpenAI", "messages"),
        ({"id": "a", "source": "s", "conversations": [{"role": "user", "content": "x"}]}, "OpenAI", "messages"),
        ({"prompt": "x", "completion": "y"}, "TRL", "convert messages"),
        ({"instruction": "x", "input": "", "output": "y"}, "Alpaca", "convert messages"),
        ({"query": "x", "response": "y", "images": ["a.jpg"]}, "ms-swift", "convert messages"),
        ({"question": "x", "answer": "y", "image": "a.jpg"}, "question answering", "convert messages"),
        ({"question": "x", "answers": ["y"], "image": "a.jpg"}, "question answering", "convert messages"),
    ],
)
def test_other_tools_formats_are_one_finding_with_a_way_out(
    tmp_path: Path, line: Any, words: str, way_out: str
) -> None:
    [finding] = findings_of(tmp_path, line)
    assert finding.code == "E207"
    assert words in finding.message
    assert way_out in finding.hint


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ({"conversations": [{"from": "human", "value": "x"}]}, "llava --source FILE"),
        (
            {"image": "a.jpg", "conversations": [{"from": "human", "value": "x"}]},
            "llava --source FILE --image_dir FOLDER",
        ),
        ({"messages": []}, "messages --source FILE"),
        ({"messages": [], "images": ["a.jpg"]}, "messages --source FILE --image_dir FOLDER"),
        ({"question": "x", "answer": "y", "image": "a.jpg"}, "messages --source NEW.jsonl --image_dir FOLDER"),
    ],
)
def test_the_command_that_converts_stands_last_and_names_the_images_folder(
    tmp_path: Path, line: Any, command: str
) -> None:
    [finding] = findings_of(tmp_path, line)
    assert finding.hint.endswith(f": phi3v-data convert {command} --out_dir DIR")


def test_fields_of_another_format_beside_conversations_are_only_unknown(tmp_path: Path) -> None:
    found = findings_of(tmp_path, record(question="x", answer="y"), record(id="b", messages=[]))
    assert [(finding.code, finding.pointer) for finding in found] == [
        ("E203", "/question"),
        ("E203", "/answer"),
        ("E203", "/messages"),
    ]


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        (b'{"id": "a",', "E101", "EOF while parsing"),
        ('{"id":"é" x}'.encode(), "E101", "at column 11"),
        (b"[", "E101", "EOF while parsing a list at column 1"),
        (json.dumps(record()).encode() * 2, "E115", "another begins at column 86"),
        (b'{"id": "\\ud800"}', "E117", "the escape \\ud800 at column 9"),
        (b'{"id": "a\tb"}', "E101", "control character"),
        (b'{"id": "caf\xe9"}', "E102", "byte E9 at byte 11"),
        (b'\xff\xfe{\x00"\x00', "E118", "2 NUL bytes from byte 3"),
        (b"[" * 100_000, "E108", "the limit is passed"),
        (b"[" * 100_000 + b"]" * 100_000, "E108", "the limit is passed"),
        (b'{"a":' * 50_000, "E108", "the limit is passed"),
    ],
)
def test_lines_that_are_no_json(tmp_path: Path, line: bytes, code: str, words: str) -> None:
    found = findings_of(tmp_path, line, record())
    assert [(finding.line, finding.code) for finding in found] == [(1, code)]
    assert words in found[0].message
    assert len(found[0].message) < 200


def test_a_number_that_is_none_is_named(tmp_path: Path) -> None:
    found = findings_of(tmp_path, b'{"id":NaN,"source":"s","conversations":[{"user":"u"}]}')
    assert [finding.message for finding in found] == ["'id' must be a string, not the number nan"]


def test_long_values_are_cut_in_messages(tmp_path: Path) -> None:
    found = findings_of(tmp_path, record(conversations="x" * 1_000_000), record(id="b", **{"k" * 100_000: 1}))
    assert all(len(finding.message) < 200 for finding in found)


@pytest.mark.parametrize(
    ("line", "code", "left"),
    [
        (record(**{f"k{number}": 1 for number in range(120)}), "E203", "100"),
        (record(**{f"k{number}": 1 for number in range(100_000)}), "E203", "over 500"),
        (record(conversations=[{"user": 1}] * 100_000), "E202", "over 500"),
        (record(conversations=["x"] * 100_000), "E202", "over 500"),
        (record(conversations=[{"user": "u", "images": [1] * 200_000}]), "E202", "over 500"),
        (record(conversations=[{"user": "u", "answers": [""] * 200_000}]), "E205", "over 500"),
        (record(conversations=[{"user": "u", **{f"k{number}": 1 for number in range(100_000)}}]), "E203", "over 500"),
        (record(conversations=[{"user": "u"}] * 100_000), "E206", "over 500"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_flood_of_faults_in_a_line_is_cut(tmp_path: Path, line: Any, code: str, left: str) -> None:
    found = findings_of(tmp_path, line)
    assert [finding.code for finding in found] == [code] * 20
    assert found[-1].message.endswith(f" (and {left} more faults in this line)")
    assert len({finding.pointer for finding in found}) == 20


def test_a_fault_behind_much_that_is_right_keeps_its_place() -> None:
    turns = [{"user": "u", "assistant": "a"}] * 20_000 + [{"user": ""}] * 2_000
    whole, problems = read_record(json.dumps(record(conversations=turns)).encode())
    assert whole is None
    assert (problems[0].rule.code, problems[0].pointer) == ("E205", "/conversations/20000/user")
    whole, problems = read_record(json.dumps(record(conversations=turns[:20_000])).encode())
    assert whole is not None
    assert (len(whole.conversations), problems) == (20_000, [])
