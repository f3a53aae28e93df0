"""What a person says about a table of pictures: which column is what, and where the pictures are."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 -- pydantic reads it
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from phi3v_converters.carved import CarvedOptions
from phi3v_data.convert.prompts import Prompt  # noqa: TC001 -- pydantic reads it

__all__ = ["CsvOptions"]


def _typed_tab(value: object) -> object:
    r"""Return a tab for the `\t` that a person types on a command line."""
    return "\t" if value == "\\t" else value


def _no_quote(value: str) -> str:
    if value in '"\r\n':
        raise ValueError("a quote or a line's end cannot part cells")
    return value


def _absolute(path: Path | None) -> Path | None:
    """Return a path that means the same wherever a worker runs."""
    return path and path.expanduser().absolute()


Column = Annotated[str, Field(min_length=1)]


class CsvOptions(CarvedOptions):
    """Which column is what, and what shapes the pictures and the splits."""

    local: ClassVar[frozenset[str]] = frozenset({"image_dir"})

    tables: list[Column] = Field(
        default=[], description="Tables to read, below the source. Default: every .csv and .tsv file in it."
    )
    image: list[Column] = Field(
        default=["image"],
        min_length=1,
        description="Column of the picture's path; several are several pictures, in this order. Default: image.",
    )
    image_dir: Annotated[Path | None, AfterValidator(_absolute)] = Field(
        default=None, description="Folder that the paths start from. Default: the source's folder."
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
        description="Column of the answer. Default: answer, where there is one; without, the records only ask.",
    )
    answers: Column | None = Field(
        default=None,
        description="Column of all accepted answers; without --answer the first of them is the answer.",
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
