"""The contract: the JSON Schema files, the examples, and what is read and written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError

import phi3v_schemas
from phi3v_schemas import Manifest, Record, Turn
from phi3v_schemas.jsonschema import SchemaName, json_schema, schema_text

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(phi3v_schemas.__file__).parent
EXAMPLES = Path(__file__).parents[2] / "schemas" / "examples"
RECORD_SCHEMA = Draft202012Validator(json_schema("record"))


def pydantic_accepts(model: type[Record | Manifest], text: str | bytes) -> bool:
    try:
        model.model_validate_json(text)
    except ValidationError:
        return False
    return True


def jsonschema_accepts(validator: Draft202012Validator, text: bytes) -> bool:
    try:
        return bool(validator.is_valid(json.loads(text.decode())))
    except (ValueError, RecursionError):
        return False


def example_lines() -> Iterator[Any]:
    for path in sorted(EXAMPLES.rglob("*.jsonl")):
        for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
            if line.strip():
                yield pytest.param(line, id=f"{path.relative_to(EXAMPLES)}:{number}")


@pytest.mark.parametrize("name", get_args(SchemaName))
def test_schema_files_are_in_sync(name: SchemaName) -> None:
    """`python -m phi3v_schemas.jsonschema` writes them again."""
    assert (PACKAGE / f"{name}.schema.json").read_text(encoding="utf-8") == schema_text(name)


@pytest.mark.parametrize("name", get_args(SchemaName))
def test_schema_is_sound_and_every_field_is_described(name: SchemaName) -> None:
    schema = json_schema(name)
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"urn:phi3v:schema:{name}:{phi3v_schemas.SCHEMA_VERSION}"
    for part in (schema, *schema.get("$defs", {}).values()):
        for field, described in part.get("properties", {}).items():
            assert described.get("description"), field
            assert described.get("examples"), field


@pytest.mark.parametrize("line", list(example_lines()))
def test_pydantic_and_json_schema_agree_on_every_example(line: bytes) -> None:
    # 300 brackets are sound JSON to Python and to JSON Schema; only decoders with a limit refuse them.
    if b"[[[[" in line:
        pytest.skip("depth is not a matter of the schema")
    if rb'\ud83d"' in line:
        pytest.skip("half a character is none to decoders, and to the schema a string like any other")
    assert pydantic_accepts(Record, line) == jsonschema_accepts(RECORD_SCHEMA, line)


def test_examples_of_the_schema_rules_are_refused_and_valid_ones_accepted() -> None:
    for path in sorted(EXAMPLES.glob("invalid/E20[1-7]*.jsonl")):  # to the schema, E209's blank text is a text
        assert not any(pydantic_accepts(Record, line) for line in path.read_bytes().splitlines()), path
    for path in sorted(EXAMPLES.glob("valid/**/*.jsonl")):
        assert all(pydantic_accepts(Record, line) for line in path.read_bytes().split(b"\n") if line), path


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("manifest.json")), ids=lambda path: path.parent.name)
def test_pydantic_and_json_schema_agree_on_every_manifest(path: Path) -> None:
    data = path.read_bytes()
    accepted = jsonschema_accepts(Draft202012Validator(json_schema("manifest")), data)
    assert pydantic_accepts(Manifest, data) == accepted == ("E601" not in str(path))


def test_json_schema_knows_which_turn_may_lack_its_answer() -> None:
    for turns in range(1, 9):
        for lacking in range(turns):
            conversation = [{"user": "u", "assistant": "a"} for _ in range(turns)]
            del conversation[lacking]["assistant"]
            record = {"id": "a", "source": "s", "conversations": conversation}
            assert RECORD_SCHEMA.is_valid(record) == (lacking == turns - 1)
            assert pydantic_accepts(Record, json.dumps(record)) == (lacking == turns - 1)


def test_original_recipe_lines_are_records_and_come_back_unchanged() -> None:
    for line in (EXAMPLES / "valid" / "original-recipe.jsonl").read_bytes().splitlines():
        record = Record.model_validate_json(line)
        assert json.loads(record.to_line()) == json.loads(line)
        turn = json.loads(line)["conversations"][0]
        assert set(turn) == {"images", "user", "assistant"}


def test_null_reads_as_absent_and_is_never_written() -> None:
    record = Record.model_validate_json((EXAMPLES / "valid" / "null-is-absent.jsonl").read_bytes())
    assert record == Record(id="a", source="made", conversations=[Turn(user="Hi?")])
    assert record.to_line() == b'{"id":"a","source":"made","conversations":[{"user":"Hi?"}]}\n'


def test_null_in_a_required_field_is_refused() -> None:
    assert not pydantic_accepts(Record, '{"id":null,"source":"s","conversations":[{"user":"u"}]}')


def test_metadata_keeps_its_nulls() -> None:
    text = b'{"id":"a","source":"s","conversations":[{"user":"u"}],"metadata":{"a":null,"b":[null]}}\n'
    assert Record.model_validate_json(text).to_line() == text


text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
optional_text = st.none() | text
turns = st.builds(
    Turn,
    images=st.none() | st.lists(text, max_size=3),
    user=text,
    assistant=text,
    answers=st.none() | st.lists(text, max_size=2),
)
records = st.builds(
    Record,
    id=text,
    source=text,
    group=optional_text,
    system=optional_text,
    conversations=st.lists(turns, min_size=1, max_size=3),
    metadata=st.none() | st.dictionaries(text, values, max_size=3),
)


@given(records)
def test_round_trip(record: Record) -> None:
    line = record.to_line()
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert Record.model_validate_json(line) == record
    assert RECORD_SCHEMA.is_valid(json.loads(line))


field_values: st.SearchStrategy[Any] = st.sampled_from([None, "x", "", [], ["x"], {}, 0, True])
loose_turns = st.dictionaries(st.sampled_from(["images", "user", "assistant", "answers", "odd"]), field_values)
loose_records = st.fixed_dictionaries(
    {"id": field_values, "source": st.just("s"), "conversations": st.lists(loose_turns, max_size=3)},
    optional={"group": field_values, "system": field_values, "metadata": field_values, "odd": field_values},
)


@given(loose_records)
def test_pydantic_and_json_schema_agree_on_loose_records(record: dict[str, Any]) -> None:
    assert pydantic_accepts(Record, json.dumps(record)) == RECORD_SCHEMA.is_valid(record)
