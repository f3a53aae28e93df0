"""The record: one training or evaluation example, one line of a dataset's JSONL file."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

__all__ = ["Record", "Turn"]

Text = Annotated[str, Field(min_length=1)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, cache_strings="keys", defer_build=False)


class Turn(_Model):
    """One question and its answer, with the images that the question is about."""

    images: list[Text] | None = Field(
        default=None,
        description="Image paths, in the order the model sees them: relative, with '/', in the images folder.",
        examples=[["train/Basketball/v_Basketball_g01_c01.0.jpg"]],
    )
    user: Text = Field(
        description="What the user says. Image tags are not written here: the trainer places them.",
        examples=["Classify the video into one of the following classes: Archery, Basketball."],
    )
    assistant: Text | None = Field(
        default=None,
        description="What the model should answer; may be absent only in the last turn (an evaluation prompt).",
        examples=["Basketball"],
    )
    answers: list[Text] | None = Field(
        default=None,
        description="Every answer that an evaluation accepts (ANLS), where there is more than one.",
        examples=[["12 May 1998", "May 12, 1998"]],
    )


class Record(_Model):
    """A conversation about zero or more images."""

    id: Text = Field(description="Unique within the dataset.", examples=["train-0000000017"])
    source: Text = Field(description="The dataset the example comes from.", examples=["ucf101"])
    group: Text | None = Field(
        default=None,
        description="Examples that share a scene, document or image set share a group, which crosses no split.",
        examples=["Basketball/g01"],
    )
    system: Text | None = Field(
        default=None,
        description="A system prompt, placed before the first turn.",
        examples=["You are a careful annotator."],
    )
    conversations: list[Turn] = Field(
        min_length=1,
        description="The turns, first to last.",
        examples=[[{"images": ["a.jpg"], "user": "What is this?", "assistant": "A cat."}]],
    )
    metadata: dict[str, JsonValue] | None = Field(
        default=None,
        description="A JSON object that travels with the example and that nothing interprets.",
        examples=[{"licence": "CC-BY-4.0"}],
    )

    @model_validator(mode="after")
    def _only_the_last_turn_may_lack_an_answer(self) -> Record:
        if len(self.conversations) == 1:
            return self
        unanswered = [index for index, turn in enumerate(self.conversations[:-1]) if turn.assistant is None]
        if unanswered:
            raise PydanticCustomError(
                "assistant_missing",
                "turn {index} has no 'assistant'; only the last turn may lack one",
                {"index": unanswered[0], "unanswered": unanswered, "turns": len(self.conversations)},
            )
        return self

    def image_paths(self) -> list[str]:
        """Return every image path of the conversation, in the order the model sees them."""
        return [path for turn in self.conversations for path in turn.images or ()]

    def to_line(self) -> bytes:
        """Return the record as one line of JSONL (UTF-8, with the newline); absent fields are not written."""
        return self.model_dump_json(exclude_none=True).encode() + b"\n"
