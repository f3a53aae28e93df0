"""JSON Schema (draft 2020-12) of the documents, for those who do not use Python.

`python -m phi3v_schemas.jsonschema` writes the files into this package again; a test holds them in sync.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from phi3v_schemas.findings import Report
from phi3v_schemas.manifest import SCHEMA_VERSION, Manifest
from phi3v_schemas.record import Record

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["SchemaName", "json_schema", "schema_text"]

SchemaName = Literal["record", "manifest", "report"]

_MODELS: dict[SchemaName, type[BaseModel]] = {"record": Record, "manifest": Manifest, "report": Report}
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_CHECKED_TURNS = 8


def json_schema(name: SchemaName) -> dict[str, Any]:
    """Return the JSON Schema of a document.

    Args:
        name: "record" (a line of a JSONL file), "manifest" (manifest.json) or "report" (what
            `validate --format json` prints).
    """
    schema = _MODELS[name].model_json_schema()
    title = f"phi3v {name}"
    if name == "record":
        schema["properties"]["conversations"].update(_only_the_last_turn_may_lack_an_answer())
    head = {"$schema": _DIALECT, "$id": f"urn:phi3v:schema:{name}:{SCHEMA_VERSION}", "title": title}
    return head | {key: value for key, value in schema.items() if key != "title"}


def schema_text(name: SchemaName) -> str:
    """Return a document's JSON Schema as the text of its file."""
    return json.dumps(json_schema(name), indent=2, ensure_ascii=False) + "\n"


def _only_the_last_turn_may_lack_an_answer() -> dict[str, Any]:
    """State the model's own rule as far as JSON Schema can: it counts places from the front only."""
    answered = {"properties": {"assistant": {"type": "string"}}, "required": ["assistant"]}
    return {
        "$comment": f"Only the last turn may lack 'assistant': exact up to {_CHECKED_TURNS} turns; of a "
        "longer conversation JSON Schema can only say that one turn at most lacks it.",
        "contains": {"not": answered},
        "minContains": 0,
        "maxContains": 1,
        "allOf": [
            {"if": {"minItems": turn + 2}, "then": {"prefixItems": [True] * turn + [answered]}}
            for turn in range(_CHECKED_TURNS - 1)
        ],
    }


if __name__ == "__main__":
    for schema_name in _MODELS:
        path = Path(__file__).with_name(f"{schema_name}.schema.json")
        path.write_text(schema_text(schema_name), encoding="utf-8")
