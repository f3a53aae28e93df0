r"""Chat messages of one's own: `role` and `content`, with images in the content or in a column `images`.

A row of `train.jsonl`, JSON lines or a JSON array, beside `images/bus.jpg`:

    {"messages": [
     {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What colour is the bus?"}]},
     {"role": "assistant", "content": [{"type": "text", "text": "White and red."}]}], "images": ["images/bus.jpg"]}

becomes

    {"id": "train-0000000000", "source": "messages", "group": "images/bus.jpg", "conversations": [
     {"images": ["train/train/000000001.0.jpg"], "user": "What colour is the bus?", "assistant": "White and red."}],
     "metadata": {"images": ["images/bus.jpg"]}}

A content may also be one text, with `<image>` where the column's images belong; where nothing in the messages says so,
they belong to the first question. A part may hold its image itself: {"type": "image", "image": "bus.jpg"}, or `path`,
`url`, `base64`, and {"type": "image_url", "image_url": {"url": "data:image/png;base64,…"}}. Parts of text are joined by
new lines. TRL's `prompt` and `completion` are taken as one list of messages, and `developer` is the system prompt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from phi3v_converters.carried_images import carried_image
from phi3v_converters.chat_rows import ChatConverter
from phi3v_converters.chat_turns import Message, Piece, Role, split_at_tags, text_of
from phi3v_data.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Messages"]

_ROLES: dict[object, Role] = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
_IMAGE_KEYS = ("image", "path", "url", "base64")


class Messages(ChatConverter):
    """Your own chat messages (role, content, images), as TRL, OpenAI or ms-swift have them → conversations."""

    name: ClassVar[str] = "messages"
    version: ClassVar[str] = "1"
    conversation_keys = ("messages", "conversations", "conversation")
    places_are_optional = True

    def usual(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return TRL's `prompt` and `completion`, two texts or two lists of messages, as one list."""
        prompt, completion = row.get("prompt"), row.get("completion")
        if any(isinstance(row.get(key), list) for key in self.conversation_keys):
            return row
        if isinstance(prompt, str) and isinstance(completion, str):
            prompt = [{"role": "user", "content": prompt}]
            completion = [{"role": "assistant", "content": completion}]
        if not (isinstance(prompt, list) and isinstance(completion, list)):
            return row
        rest = {key: value for key, value in row.items() if key not in ("prompt", "completion")}
        return {**rest, "messages": [*prompt, *completion]}

    def message(self, entry: Mapping[str, Any]) -> Message:
        """Return a message of a row.

        Raises:
            SourceError: It is none.
        """
        speaker = entry.get("role")
        if "from" in entry and speaker is None:
            raise SourceError("bad_message", "a message has 'from' instead of 'role': convert the file with llava")
        role = _ROLES.get(speaker) if isinstance(speaker, str) else None
        if role is None:
            raise SourceError(
                "unknown_role", f"a message is of the role {str(speaker)[:100]!r}, expected user or assistant"
            )
        content = entry.get("content")
        if not isinstance(content, list):
            return Message(role, split_at_tags(text_of(content, role)))
        pieces: list[Piece] = []
        for part in content:
            pieces += ["\n"] if pieces else []
            pieces += _pieces(part, role)
        return Message(role, pieces)

    @classmethod
    def write_sample(cls, folder: Path) -> None:
        """Write coloured shapes, and rows that ask about them."""
        from phi3v_converters.chat_samples import write_messages

        write_messages(folder)


def _pieces(part: object, role: str) -> list[Piece]:
    """Return the pieces of a message that one part of its content makes.

    Raises:
        SourceError: It is neither text nor image.
    """
    kind = part.get("type") if isinstance(part, dict) else None
    if not isinstance(part, dict) or not isinstance(kind, str):
        raise SourceError("bad_message", f"a part of a message is {str(part)[:100]!r}, expected text or an image")
    if kind == "text":
        return split_at_tags(text_of(part.get("text"), role))
    if kind == "image_url":
        return [carried_image(part.get("image_url"))]
    if kind == "image":
        key = next((key for key in _IMAGE_KEYS if part.get(key) is not None), None)
        return [None if key is None else carried_image(part if key == "base64" else part[key])]
    code = "not_images" if "video" in kind or "audio" in kind else "bad_message"
    raise SourceError(code, f"a part of a message is of the type {kind[:100]!r}, expected text or image")
