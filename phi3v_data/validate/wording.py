"""W704: questions about images in records that have none."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from phi3v_data.printable import quote
from phi3v_data.validate.rule import Problem, Rule

if TYPE_CHECKING:
    from phi3v_schemas import Record

__all__ = ["ImageSpokenOf", "check_wording"]


class ImageSpokenOf(Rule):
    """A question speaks of an image, and the record has none."""

    code = "W704"
    slug = "image-spoken-of"
    message = "'user' of turn {turn} says {words}, and the record has no image"
    hint = "Name the image files in the turn's list 'images'; without them the model learns to guess."
    bad = '{"id": "a", "source": "s", "conversations": [{"user": "What is in the image?", "assistant": "A cat."}]}'
    good = bad.replace('[{"user"', '[{"images": ["a.jpg"], "user"')


_PICTURE = r"(?:image|picture|photo|photograph|screenshot|video|video clip|meme)s?"
_FIGURE = r"(?:figure|chart|diagram|graph)s?"
_WHICH = (
    r"(?:first|second|third|last|left|right|left and right|two|three|following|given|attached|above|provided|shown)"
)
_DETERMINER = r"(?:the|this|these|both|each)"
# What may follow: the end of a clause, or a word that makes no compound as in "the image format", "this video game".
_END = (
    r"(?=\s*(?:$|[\n.,;:!?)\"'])|\s+(?:and|or|is|are|was|were|do|does|did|has|have|can|could|should|would|will|that|which"
    r"|who|with|of|to|at|on|in|from|into|for|by|as|using|based|taken|shown|given|provided|attached|above|below"
    r"|show\w*|contain\w*|depict\w*|include\w*|carefully|closely|briefly|correctly|hateful|offensive|funny|real|fake)\b)"
)
_SPOKEN_OF = re.compile(
    rf"\b(?:shown|seen|depicted|displayed|visible)\s+(?:in|on)\s+{_DETERMINER}\s+(?:{_PICTURE}|{_FIGURE})\b(?!\s+of\b)"
    rf"|\b(?:(?:in|on)\s+{_DETERMINER}\s+(?:{_WHICH}\s+)?{_PICTURE}"
    rf"|(?:this|these)\s+(?:{_WHICH}\s+)?{_PICTURE}"
    rf"|{_DETERMINER}\s+{_WHICH}\s+(?:{_PICTURE}|{_FIGURE})"
    rf"|(?:describe|caption|look\s+at|classify|watch)\s+the\s+{_PICTURE}"
    rf"|{_DETERMINER}\s+(?:video|image|picture|photo)\s+shown){_END}",
    re.IGNORECASE,
)
_NOUNS = ("image", "picture", "photo", "screenshot", "video", "meme", "figure", "chart", "diagram", "graph")
_PLAIN_PART = re.compile(r"[:\"`{<#]|(?<!\w)'|\n\s*\n")  # what stands behind may be the text that the question is about
_OTHER_TASK = re.compile(
    r"\s*(?:please\s+)?(?:translate|correct|rewrite|rephrase|paraphrase|summari[sz]e|continue|define|write|compose|create"
    r"|generate|design|suggest|how\s+(?:do|can|would|should)|where\s+(?:do|can)|is\s+\w+\s+still)\b",
    re.IGNORECASE,
)
_IDIOM = re.compile(r"\b(?:keep|kept|stay|stays|put|puts|get|gets|not)\s+(?:\w+\s+)?$", re.IGNORECASE)
_LONGEST = 1000  # characters; a story or an article may speak of pictures of its own


def check_wording(record: Record) -> list[Problem]:
    """Return where a user's text speaks of an image or a video, in a record that has none.

    Only English is understood, and only plain references: "in the image", "this picture", "the video shown".
    """
    for number, turn in enumerate(record.conversations):
        text = turn.user
        if len(text) <= _LONGEST and (spoken := _reference(text)) is not None:
            pointer = f"/conversations/{number}/user"
            return [ImageSpokenOf.problem(pointer=pointer, turn=number + 1, words=quote(spoken))]
    return []


def _reference(text: str) -> str | None:
    text = _PLAIN_PART.split(text, maxsplit=1)[0]
    if _OTHER_TASK.match(text):
        return None
    lowered = text.lower()
    if not any(noun in lowered for noun in _NOUNS):  # ten glances; the pattern would look at every word
        return None
    for spoken in _SPOKEN_OF.finditer(text):
        if not _IDIOM.search(text, 0, spoken.start()):
            return spoken[0]
    return None
