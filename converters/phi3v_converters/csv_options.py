"""What a person says about a table of pictures: which column is what, and where the pictures are."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from phi3v_converters.local_folders import LocalFolderOptions
from phi3v_data.convert.prompts import Prompt  # noqa: TC001 -- pydantic reads it

__all__ = ["CsvOptions"]


def _typed_tab(value: object) -> object:
    r"""Return a tab for the `\t` that a person types on a command line."""
    return "\t" if value == "\\t" else value


def _no_quote(value: str) -> str:
    if value in '"\r\n':
        raise ValueError("a quote or a line's end cannot part cells")
    return value


Column = Annotated[str, Field(min_length=1)]


class CsvOptions(LocalFolderOptions):
    """Which column is what, and what shapes the pictures and the splits."""

    tables: list[Column] = Field(
        default=[], description="Tables to read, below the source. Default: every .csv and .tsv file in it."
    )
    image: list[Column] = Field(
        default=["image"],
        min_length=1,
        description="Column of the picture's path; several are several pictures, in this order. Default: image.",
    )
    question: Column | None = Field(
        default=None, description="Column of the question. Default: question, where there is no --prompt."
    )
    prompt: Prompt | None = Field(
        default=None,
        description="The question of every row; {NAME} becomes the row's cell of that column, {{ and }} are braces.",
    )
    answer: Column | None = Field(
        default=None,
        description="Column of the answer; without one, nor --answers, all rows must be of a test split. "
        "Default: answer.",
    )
    answers: Column | None = Field(
        default=None,
        description="Column of all accepted answers; the first of them is the answer where no other is given.",
    )
    answers_delimiter: str = Field(default="|", min_length=1, description="What stands between accepted answers.")
    group: Column | None = Field(
        default=None, description="Column of what must not cross splits. Default: the first picture's path."
    )
    split_column: Column | None = Field(
        default=None, description="Column of the split. Default: the table's name says it, or it is train."
    )
    label: Column | None = Field(default=None, description="Column of a class, which the manifest counts.")
    metadata: list[Column] = Field(default=[], description="Column that the record carries along as metadata.")
    delimiter: (
        Annotated[str, Field(min_length=1, max_length=1), BeforeValidator(_typed_tab), AfterValidator(_no_quote)] | None
    ) = Field(
        default=None,
        description=r"What stands between cells. Default: a tab in .tsv files, a comma in others.",
    )
    val_fraction: float = Field(
        default=0,
        ge=0,
        lt=1,
        description="Part carved off as val, where the source has no split but train.",
    )

    @model_validator(mode="after")
    def _one_question(self) -> CsvOptions:
        if self.question is not None and self.prompt is not None:
            raise ValueError("--question and --prompt both say what is asked: give one of them")
        return self
