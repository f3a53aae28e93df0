"""The plan: every source of a conversion, sorted and numbered, on disk, with the hash that identifies it.

It lives in SQLite so that memory stays flat whatever the number of sources: SQLite sorts on disk, and a worker
reads the few rows of its part.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import sys
import unicodedata
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from phi3v_data.convert.converter import Reject, Source
from phi3v_data.errors import CannotRun
from phi3v_data.paths import name_fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

__all__ = ["Plan", "PlannedSource", "write_plan"]

_SCHEMA = """
CREATE TABLE listed (split INTEGER, path TEXT, name TEXT, size INTEGER, grp TEXT, label TEXT, data TEXT);
CREATE TABLE source (number INTEGER PRIMARY KEY, split INTEGER, path TEXT, name TEXT, size INTEGER,
                     grp TEXT, label TEXT, data TEXT, folded TEXT, twin TEXT);
CREATE TABLE part (number INTEGER PRIMARY KEY, split INTEGER, first INTEGER, stop INTEGER);
CREATE TABLE split (rank INTEGER PRIMARY KEY, name TEXT, sources INTEGER);
CREATE TABLE reject (source TEXT, split TEXT, code TEXT, message TEXT);
"""
_NUMBER = """
INSERT INTO source (number, split, path, name, size, grp, label, data, folded)
SELECT row_number() OVER (ORDER BY split, path) - 1, split, path, name, size, grp, label, data, fold(name)
FROM (SELECT *, row_number() OVER (PARTITION BY split ORDER BY path) AS rank FROM listed) WHERE rank <= ?
"""
_TWINS = """
UPDATE source SET twin = first.path
FROM (SELECT split, folded, min(number) AS number FROM source GROUP BY split, folded HAVING count(*) > 1) AS same
JOIN source AS first ON first.number = same.number
WHERE source.split = same.split AND source.folded = same.folded AND source.number > same.number
"""
_REJECTS = "SELECT source, split, code, message FROM reject ORDER BY source, split, code, message"


@dataclass(frozen=True, slots=True)
class PlannedSource:
    """A source with its number and split; `reject` is set when the plan itself already refuses it."""

    number: int
    split: str
    source: Source
    reject: Reject | None


class Plan:
    """A written plan, open for reading; usable from any process."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def splits(self) -> dict[str, int]:
        """Return the number of sources of each split, in order."""
        return dict(self._db.execute("SELECT name, sources FROM split ORDER BY rank"))

    def parts(self) -> list[str]:
        """Return the split of each part, in order."""
        return [
            name for (name,) in self._db.execute("SELECT name FROM part JOIN split ON rank = split ORDER BY number")
        ]

    def rejects(self) -> Iterator[Reject]:
        """Yield what was refused before it got a number."""
        for source, split, code, message in self._db.execute(_REJECTS):
            yield Reject(source=source, split=split, code=code, message=message)

    def part(self, number: int) -> list[PlannedSource]:
        """Return the sources of one part, in order."""
        rows = self._db.execute(
            "SELECT source.number, split.name, path, source.name, size, grp, label, data, twin FROM part "
            "JOIN source ON source.number >= first AND source.number < stop "
            "JOIN split ON split.rank = source.split WHERE part.number = ? ORDER BY source.number",
            (number,),
        )
        return [_planned(*row) for row in rows]


def _planned(
    number: int,
    split: str,
    path: str,
    name: str,
    size: int,
    group: str | None,
    label: str | None,
    data: str,
    twin: str | None,
) -> PlannedSource:
    source = Source(path=path, name=name, size=size, group=group, label=label, data=json.loads(data))
    reject = None
    if twin is not None:
        message = f"its images would be named as those of {twin}; rename one of the two"
        reject = Reject(source=path, split=split, code="duplicate_output", message=message)
    return PlannedSource(number, split, source, reject)


def write_plan(
    path: Path,
    splits: Mapping[str, Iterable[Source | Reject]],
    rejects: Iterable[Reject] = (),
    *,
    limit: int | None = None,
    part_size: int | None = None,
) -> tuple[str, int]:
    """Sort and number the sources of all splits and write the plan.

    Args:
        path: The file to write; must not exist.
        splits: Sources of each split, in any order within it.
        rejects: What is refused before it belongs to any split.
        limit: At most this many sources per split, the first ones in sorted order.
        part_size: Sources per part; None chooses it from their number.

    Returns:
        The SHA-256 over every source in order, as it was listed, and over every reject; and the number of sources.

    Raises:
        CannotRun: A converter listed the same path twice in a split.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.create_function("fold", 1, _fold, deterministic=True)
        db.execute("PRAGMA journal_mode = OFF")  # a plan that was not finished is written anew
        db.execute("PRAGMA synchronous = OFF")
        db.executescript(_SCHEMA)
        db.execute("BEGIN")
        for rank, (split, sources) in enumerate(splits.items()):
            db.execute("INSERT INTO split VALUES (?, ?, 0)", (rank, split))
            _list(db, rank, split, sources)
        _refuse(db, rejects)
        db.execute(_NUMBER, (sys.maxsize if limit is None else limit,))
        db.execute("CREATE INDEX by_name ON source (split, folded)")
        db.execute(_TWINS)
        db.execute("DROP TABLE listed")
        db.execute("UPDATE split SET sources = (SELECT count(*) FROM source WHERE source.split = rank)")
        total = db.execute("SELECT count(*) FROM source").fetchone()[0]
        _cut(db, part_size or _part_size(total))
        digest = _digest(db)
        db.execute("COMMIT")
    return digest, total


def _list(db: sqlite3.Connection, rank: int, split: str, sources: Iterable[Source | Reject]) -> None:
    for source in sources:
        if isinstance(source, Reject):
            _refuse(db, [source])
        elif fault := name_fault(source.path) or name_fault(source.name):
            message = f"its name {fault}; rename it"
            _refuse(db, [Reject(source=source.path, split=split, code="unsafe_name", message=message)])
        else:
            try:
                db.execute("INSERT INTO listed VALUES (?, ?, ?, ?, ?, ?, ?)", _row(rank, source))
            except UnicodeEncodeError:
                message = "it holds half of a surrogate pair, or a file name that is not UTF-8"
                _refuse(db, [Reject(source=source.path, split=split, code="not_unicode", message=message)])


def _refuse(db: sqlite3.Connection, rejects: Iterable[Reject]) -> None:
    for reject in rejects:
        # Neither a name nor what a message quotes need be UTF-8.
        source, message = (
            text.encode("utf-8", "backslashreplace").decode() for text in (reject.source, reject.message)
        )
        db.execute("INSERT INTO reject VALUES (?, ?, ?, ?)", (source, reject.split, reject.code, message))


def _row(rank: int, source: Source) -> tuple[Any, ...]:
    data = json.dumps(dict(source.data), ensure_ascii=False, sort_keys=True)
    return rank, source.path, source.name, source.size, source.group, source.label, data


def _fold(name: str) -> str:
    """Return the name as a file system blind to case and to Unicode's composed forms would compare it."""
    return unicodedata.normalize("NFC", name).casefold()


def _part_size(total: int) -> int:
    """Return sources per part: small enough to lose little to a kill, large enough for few parts."""
    return min(max(total // 256, 16), 4096)


def _cut(db: sqlite3.Connection, size: int) -> None:
    """Cut each split into parts; a part never spans two splits, so that each file is a run of parts."""
    first = part = 0
    for rank, count in db.execute("SELECT rank, sources FROM split ORDER BY rank").fetchall():
        for start in range(first, first + count, size):
            db.execute("INSERT INTO part VALUES (?, ?, ?, ?)", (part, rank, start, min(start + size, first + count)))
            part += 1
        first += count


def _digest(db: sqlite3.Connection) -> str:
    digest = hashlib.sha256()
    previous = None
    rows = db.execute(
        "SELECT split.name, path, size, source.name, grp, label, data FROM source JOIN split ON rank = split "
        "ORDER BY number"
    )
    for split, path, *facts in rows:
        if previous == (split, path):
            raise CannotRun(f"the converter listed {path!r} twice in the split {split!r}: this is a fault in it")
        previous = (split, path)
        digest.update(json.dumps([split, path, *facts]).encode() + b"\n")
    for row in db.execute(_REJECTS):
        digest.update(json.dumps(row).encode() + b"\n")
    return digest.hexdigest()
