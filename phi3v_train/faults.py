"""What is wrong with a record and where, in the validator's words wherever it knows the fault."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phi3v_data.image_folder import ImageFolder, UnsafePath
from phi3v_data.media.checks import BadImage
from phi3v_data.reader import BadRecord
from phi3v_data.validate.image_rules import FolderMissing
from phi3v_data.validate.images import ImageChecker

if TYPE_CHECKING:
    from phi3v_data.reader import Dataset, Split

__all__ = ["describe_fault"]


def describe_fault(dataset: Dataset, split: Split, position: int, error: Exception) -> str:
    """Say why a record could not be read or encoded.

    Args:
        dataset: Whose images they are.
        split: Where the record stands.
        position: The record's index in the split.
        error: What was raised.

    Returns:
        The file and the line, what is wrong, and the finding's code where there is one, without a full stop.
    """
    if isinstance(error, BadRecord):  # it names its place
        return str(error)
    where = split.place(position)
    if isinstance(error, UnsafePath | BadImage):
        checker = ImageChecker(dataset.images.root, "header")
        record, images = split.load(position)
        problems = checker.check(record, None if isinstance(images, ImageFolder) else images)
        if checker.needs_folder:
            problems.append(FolderMissing.problem(folder=dataset.images.root))
        if problem := next((problem for problem in problems if problem.rule.severity == "error"), None):
            return f"{where}: {problem.message} ({problem.rule.code})"
    if isinstance(error, OSError) and error.strerror:
        return f"{where}: {error.filename or dataset.path} cannot be read: {error.strerror}"
    code = getattr(error, "code", None)
    return f"{where}: {error} ({code})" if code else f"{where}: {error}"
