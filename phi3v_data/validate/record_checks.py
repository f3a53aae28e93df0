"""Every rule a record can be held against by itself, behind filters that cost clean data next to nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phi3v_data.image_folder import are_plain
from phi3v_data.validate.alike import likeness
from phi3v_data.validate.class_lists import check_class_list
from phi3v_data.validate.images import ImageChecker
from phi3v_data.validate.length import LengthChecker
from phi3v_data.validate.rule import RULES
from phi3v_data.validate.text import check_texts, concerns
from phi3v_data.validate.values import check_values
from phi3v_data.validate.wording import check_wording

if TYPE_CHECKING:
    from phi3v_data.formats.images import ImageStore
    from phi3v_data.validate.look import Look
    from phi3v_data.validate.piece import Outcome, Setting
    from phi3v_data.validate.rule import Problem
    from phi3v_schemas import Record

__all__ = ["RecordChecks"]


class RecordChecks:
    """Holds the records of a dataset against the rules wanted, and notes what is seen of their images.

    Args:
        setting: How.
    """

    def __init__(self, setting: Setting) -> None:
        checks, wanted = setting.checks, setting.checks.selection
        self._values = wanted.any("W208", "E209", "E119")
        self._texts = wanted.any("E701", "E702", "W703")
        self._wording = "W704" in wanted
        self._class_lists = "W705" in wanted
        self._length = (
            LengthChecker(checks.max_length, checks.num_crops, checks.tokenizer) if "E509" in wanted else None
        )
        self._images = ImageChecker(
            setting.images,
            checks.images,
            num_crops=checks.num_crops,
            on_look=self._on_look,
            likeness=likeness() if setting.compare_pictures else None,
        )
        self._only_paths = checks.images == "none"
        of_images = [code for code in RULES if code[1] == "4"]
        self._any_image_rule = wanted.any(*of_images, "W502", "W503", "E509")
        self.looks_further = (
            self._texts or self._wording or self._class_lists or self._any_image_rule or self._length is not None
        )
        """Whether a record must be checked whose values are beyond doubt."""
        self._compare_images = setting.compare_images
        self._sizes: list[tuple[int, int]] = []  # of the images of the record at hand

    def start_piece(self, outcome: Outcome) -> None:
        """Note what follows in an outcome."""
        self._outcome = outcome

    def start_block(self, data: bytes) -> None:
        """Look once at the lines that follow, for what they may hold."""
        self._may_concern = self._texts and concerns(data)

    def check(self, record: Record, size: int, held: ImageStore | None, *, is_plain: bool) -> list[Problem]:
        """Return what is wrong with the next record.

        Args:
            record: The record.
            size: Bytes of its line.
            held: Its images, where they are in the shard beside it.
            is_plain: What `glance` says of its values.
        """
        problems = [] if is_plain or not self._values else check_values(record)
        if not self.looks_further:
            return problems
        images = 0
        for turn in record.conversations:
            if turn.images:
                images += len(turn.images)
        if not images:
            if self._wording:
                problems += check_wording(record)
        elif self._any_image_rule and not (self._only_paths and are_plain(record.image_paths())):
            problems += self._check_images(record, held)
        if self._may_concern:
            problems += check_texts(record)
        if self._class_lists:
            problems += check_class_list(record)
        if self._length is not None and self._length.may_be_too_long(size, images):
            problems += self._length.check(record, [] if self._only_paths or not images else self._sizes)
        return problems

    def _check_images(self, record: Record, held: ImageStore | None) -> list[Problem]:
        self._sizes = []
        problems = self._images.check(record, held)
        self._outcome.needs_folder |= self._images.needs_folder
        return problems

    def _on_look(self, path: str, look: Look) -> None:
        self._outcome.images += not self._images.needs_folder
        self._sizes.append((look.width, look.height))
        if self._compare_images:
            self._outcome.facts.add_image(path, look)
