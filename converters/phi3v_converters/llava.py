r"""LLaVA's rows of one's own: conversations between `human` and `gpt`, with `<image>` where images belong.

A row of `train.json`, a JSON array or JSON lines, beside `coco/000000033471.jpg`:

    {"id": "000000033471", "image": "coco/000000033471.jpg", "conversations": [
     {"from": "human", "value": "<image>\nWhat are the colors of the bus in the image?"},
     {"from": "gpt", "value": "The bus in the image is white and red."},
     {"from": "human", "value": "Is there anybody in it?"}, {"from": "gpt", "value": "No."}]}

becomes

    {"id": "train-0000000000", "source": "llava", "group": "coco/000000033471.jpg", "conversations": [
     {"images": ["train/train/000000001.0.jpg"], "user": "What are the colors of the bus in the image?",
      "assistant": "The bus in the image is white and red."},
     {"user": "Is there anybody in it?", "assistant": "No."}],
     "metadata": {"id": "000000033471", "image": "coco/000000033471.jpg"}}

`image` may be a list, and be called `images`; tags take its images in order. `user` and `assistant` are roles too, and
a `system` prompt may stand beside the conversation or begin it, as ShareGPT's rows have it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from phi3v_converters.chat_rows import ChatConverter
from phi3v_converters.chat_turns import Message, Role, split_at_tags, text_of
from phi3v_data.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Llava"]

_ROLES: dict[object, Role] = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "system": "system",
}


class Llava(ChatConverter):
    """Your own LLaVA or ShareGPT rows (from, value, <image>) → conversations."""

    name: ClassVar[str] = "llava"
    version: ClassVar[str] = "1"
    conversation_keys = ("conversations", "conversation")

    def message(self, entry: Mapping[str, Any]) -> Message:
        """Return a message of a row.

        Raises:
            SourceError: It is none.
        """
        speaker = entry.get("from")
        if "role" in entry and speaker is None:
            raise SourceError("bad_message", "a message has 'role' instead of 'from': convert the file with messages")
        role = _ROLES.get(speaker) if isinstance(speaker, str) else None
        if role is None:
            raise SourceError("unknown_role", f"a message is from {str(speaker)[:100]!r}, expected human or gpt")
        return Message(role, split_at_tags(text_of(entry.get("value"), role)))

    @classmethod
    def write_sample(cls, folder: Path) -> None:
        """Write coloured shapes, and rows that ask about them."""
        from phi3v_converters.chat_samples import write_llava

        write_llava(folder)
