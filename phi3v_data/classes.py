"""When answers are classes: where they are few, short, and given again and again."""

from __future__ import annotations

__all__ = ["LONGEST_CLASS", "MOST_CLASSES", "RECORDS_A_CLASS"]

MOST_CLASSES = 1000
LONGEST_CLASS = 100
"""Characters."""
RECORDS_A_CLASS = 2
"""On average; where answers hardly repeat, they are answers."""
