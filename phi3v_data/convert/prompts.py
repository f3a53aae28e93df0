"""Prompts as options of a converter."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

__all__ = ["Prompt", "requires"]


def _break_lines(prompt: str) -> str:
    r"""Return a prompt with the `\n` that a person types on a command line as new lines."""
    return prompt.replace("\\n", "\n")


Prompt = Annotated[str, Field(min_length=1), AfterValidator(_break_lines)]
r"""A prompt as an option: `\n` is a new line."""


def requires(placeholder: str) -> AfterValidator:
    """Return a validator for a prompt that has to hold a placeholder, such as {question}."""

    def check(prompt: str) -> str:
        if placeholder not in prompt:
            raise ValueError(f"a prompt without {placeholder} would ask the same of every picture")
        return prompt

    return AfterValidator(check)
