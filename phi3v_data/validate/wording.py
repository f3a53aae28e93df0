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
    hint = (
        "Name the image files in the turn's list 'images', or drop the record: without them the model learns to guess. "
        "Where the text itself tells what the picture shows, leave it, with --ignore W704."
    )
    bad = '{"id": "a", "source": "s", "conversations": [{"user": "What is in the image?", "assistant": "A cat."}]}'
    good = bad.replace('[{"user"', '[{"images": ["a.jpg"], "user"')


_PICTURE = r"(?:image|picture|photo|photograph|screenshot|video|video clip|meme)s?"
_FIGURE = r"(?:figure|chart|diagram|graph)s?"
_WHICH = r"(?:left|right|left and right|two|three|following|given|attached|above|provided|shown)"
_ORDINAL = r"(?:first|second|third|last)"
_DETERMINER = r"(?:the|this|these|both|each)"
# What may follow: the end of a clause, or a word that makes no compound as in "the image format", "this video game".
# Not "of", "that" or "from": told of are "the image of women", "the picture that he paints", "the photo from Rome".
_END = (
    r"(?=\s*(?:$|[\n.,;:!?)\"'])|\s+(?:and|or|is|are|was|were|do|does|did|has|have|can|could|should|would|will"
    r"|to|in|into|using|based|taken|shown|given|provided|attached|above|below|(?:on|at)\s+the\s+(?:left|right|top|bottom)"
    r"|for\s+me|show\w*|contain\w*|depict\w*|include\w*|says?|means?|evokes?|suggests?|conveys?|represents?|looks?|carefully"
    r"|closely|briefly|correctly|hateful|offensive|funny|real|fake|wearing|doing|holding|sitting|standing)\b)"
)
_SPOKEN_OF = re.compile(
    rf"\b(?:shown|seen|depicted|displayed|visible)\s+(?:in|on)\s+{_DETERMINER}\s+(?:{_PICTURE}|{_FIGURE}){_END}"
    rf"|\b(?:(?:in|on)\s+{_DETERMINER}\s+(?:(?:{_WHICH}|{_ORDINAL})\s+)?{_PICTURE}"
    rf"|(?:this|these)\s+(?:{_WHICH}\s+)?{_PICTURE}"
    rf"|{_DETERMINER}\s+{_WHICH}\s+(?:{_PICTURE}|{_FIGURE})"
    rf"|(?:describe|caption|look\s+at|classify|watch|analy[sz]e|examine|observe)\s+the\s+{_PICTURE}"
    rf"|what\s+(?:does|do)\s+the\s+(?:{_PICTURE}|{_FIGURE})(?=\s+(?:show|depict)\b)"
    rf"|{_DETERMINER}\s+(?:{_PICTURE}|{_FIGURE})\s+(?:shown\s+)?(?:below|above)"
    rf"|{_DETERMINER}\s+(?:video|image|picture|photo)\s+shown(?!\s+(?:to|in|on|by)\b)){_END}"
    rf"|(?:^|[.!?\n])\s*(?:from|using|according\s+to|based\s+on|as\s+shown\s+in)\s+{_DETERMINER}\s+(?:{_PICTURE}|{_FIGURE})"
    rf"(?:\s+shown)?(?=\s*,)",
    re.IGNORECASE,
)
_CAPTION = re.compile(  # and nothing behind it that tells what is in the picture
    rf"[^.:\n]*?\b(?:caption|description|title|story)\s+(?:for|of|about)\s+((?:the|this)\s+{_PICTURE})\s*[.!]?\s*",
    re.IGNORECASE,
)
_NOUNS = ("image", "picture", "photo", "screenshot", "video", "meme", "figure", "chart", "diagram", "graph")
_PLAIN_PART = re.compile(r"[:\"`{<#]|(?<!\w)'|\n\s*\n")  # what stands behind may be the text that the question is about
_OTHER_TASK = re.compile(
    r"\s*(?:please\s+)?(?:translate|correct|rewrite|rephrase|paraphrase|summari[sz]e|continue|define|draw|paint|turn"
    r"|write|compose|create|generate|suggest|design|how\s+(?:do|can|would|should)|where\s+(?:do|can)|is\s+\w+\s+still)\b",
    re.IGNORECASE,
)
_OTHER_MATTER = re.compile(
    r"\b(?:imagine|suppose|pretend|grammar|correct\s+to\s+say|preposition|idiom|docker\w*|may\s+I"
    r"|how\s+(?:do|can|would|should)\s+I|the\s+(?:film|movie|novel|story|poem))\b",
    re.IGNORECASE,
)
_IDIOM = re.compile(r"\b(?:keep|kept|stay|stays|put|puts|get|gets|not)\s+(?:\w+\s+)?$", re.IGNORECASE)
# "She sent me a photo. In the photo …": it is the text that tells of one.
_TOLD_OF = re.compile(
    rf"(?<!\bgiven\s)\b(?:an?|my|her|his|our|their|two|three|\d+)\s+(?:\w+\s+)?{_PICTURE}\b", re.IGNORECASE
)
_LONGEST = 1000  # characters; a story or an article may speak of pictures of its own


def check_wording(record: Record) -> list[Problem]:
    """Return where a user's text speaks of an image or a video, in a record that has none.

    Only English is understood, and only plain references: "in the image", "this picture", "the video shown".
    """
    for number, turn in enumerate(record.conversations):
        text = turn.user
        if len(text) > _LONGEST or not _has_noun(text):
            continue
        if (spoken := _reference(text)) is not None:
            pointer = f"/conversations/{number}/user"
            return [ImageSpokenOf.problem(pointer=pointer, turn=number + 1, words=quote(spoken))]
        if _TOLD_OF.search(text):  # later turns may ask about that one
            break
    return []


def _has_noun(text: str) -> bool:
    """Whether ten glances find what the patterns would look for at every word."""
    lowered = text.lower()
    return any(noun in lowered for noun in _NOUNS)


def _reference(text: str) -> str | None:
    if caption := _CAPTION.fullmatch(text):
        return caption[1]
    plain = _PLAIN_PART.split(text, maxsplit=1)[0]
    if _OTHER_TASK.match(plain):
        return None
    for spoken in _SPOKEN_OF.finditer(plain):
        if _IDIOM.search(plain, 0, spoken.start()) or _TOLD_OF.search(plain, 0, spoken.start()):
            continue
        if "following" in spoken[0].lower() and text.startswith(":", len(plain)):  # a description follows
            continue
        return None if _OTHER_MATTER.search(plain) else spoken[0]
    return None
