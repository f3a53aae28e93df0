"""An entry of DocVQA, of the original and its copies: what it asks, about which page, and which answers are right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from phi3v_data.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["COLUMNS", "answers_of", "document_of", "is_docvqa", "number_of", "page_of", "question_of"]

_PAGE = ("docId", "ucsf_document_id", "ucsf_document_page_no")
COLUMNS = ("id", "questionId", "question", "query", "answers", *_PAGE)
"""Those of a Parquet file that are read while listing."""


def page_of(number: int, row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what tells the page of a row from others; a row that does not say is a page of its own."""
    page = tuple(row.get(column) for column in _PAGE)
    return (number,) if None in page else page


def is_docvqa(columns: set[str], split: str) -> bool:
    """Return whether a Parquet file has the columns of one of the copies; the pages of other datasets have no UCSF."""
    asks = "query" in columns or {"question", "ucsf_document_id"} <= columns
    return asks and "image" in columns and ("answers" in columns or split == "test")


def number_of(entry: Mapping[str, Any]) -> int | str | None:
    """Return the question's number, which some copies write as a string, and some lack."""
    number = entry.get("questionId", entry.get("id"))
    if number is not None and (isinstance(number, bool) or not isinstance(number, int | str)):
        raise SourceError("bad_id", f"the question's number is {str(number)[:100]}, expected an integer or a string")
    return number


def question_of(entry: Mapping[str, Any]) -> str:
    """Return the question; some copies have it in several languages."""
    query = entry.get("query")
    question = query.get("en") if isinstance(query, dict) else entry.get("question")
    if not isinstance(question, str) or not question.strip():
        raise SourceError("no_question", "the entry has no question")
    return question.strip()


def answers_of(entry: Mapping[str, Any]) -> list[str]:
    """Return the accepted answers, each once, in order."""
    value = entry.get("answers")
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(answer, str) for answer in value):
        raise SourceError("bad_answers", f"the answers are {str(value)[:100]!r}, expected a list of strings")
    return list(dict.fromkeys(answer.strip() for answer in value if answer.strip()))


def document_of(entry: Mapping[str, Any]) -> str | None:
    """Return the document a page is of; pages of one document must not cross splits."""
    document = entry.get("ucsf_document_id")
    return document if isinstance(document, str) and document else None
