"""The job: what a worker needs to convert any part, kept in the output folder until the dataset is whole.

OUT/.convert/job.json        converter, options, root, shared facts, identity
OUT/.convert/plan.sqlite     the numbered sources
OUT/.convert/claims          one lockable byte per part
OUT/.convert/crashes.jsonl   sources whose worker died
OUT/.convert/parts/part-00012/   records.jsonl or samples.tar, rejects.jsonl, summary.json: a folder that exists is done
OUT/.convert/shards/             the dataset's files in the making
"""

from __future__ import annotations

import fcntl
import os
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from phi3v_data.convert.plan import Plan
from phi3v_data.convert.registry import import_converter
from phi3v_schemas import OutputInfo, SourceInfo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phi3v_data.convert.converter import Converter

__all__ = ["Claims", "Job", "JobFile", "JobFolder"]


class JobFile(BaseModel):
    """The document `job.json`."""

    model_config = ConfigDict(extra="forbid")

    converter: str
    dataset: str
    reference: str
    version: str
    code: str | None = None
    options: dict[str, Any]
    local: dict[str, Any] = {}
    limit: int | None
    output: OutputInfo | None = None
    shared: dict[str, Any]
    known_classes: dict[str, dict[str, int]] = {}
    root: Path
    source: SourceInfo
    plan_sha256: str


class JobFolder:
    """Paths of a job, and the small files in it."""

    def __init__(self, out_dir: Path) -> None:
        self.out_dir = out_dir
        self.path = out_dir / ".convert"
        self.job_file = self.path / "job.json"
        self.plan_file = self.path / "plan.sqlite"
        self.claims_file = self.path / "claims"
        self.crashes_file = self.path / "crashes.jsonl"
        self.parts = self.path / "parts"
        self.shards = self.path / "shards"

    def part(self, number: int) -> Path:
        """Return the folder of a part; it exists when the part is done."""
        return self.parts / f"part-{number:05d}"

    def read(self) -> JobFile | None:
        """Return the job, or None where there is none that can be read."""
        try:
            return JobFile.model_validate_json(self.job_file.read_bytes())
        except (OSError, ValueError):
            return None

    def add_crash(self, number: int) -> None:
        """Remember that a worker died while it converted this source."""
        import jsonlines

        with jsonlines.open(self.crashes_file, "a", flush=True) as lines:
            lines.write({"number": number})

    def crashes(self) -> Counter[int]:
        """Return how often each source killed its worker."""
        if not self.crashes_file.exists():
            return Counter()
        import jsonlines

        with jsonlines.open(self.crashes_file) as lines:
            return Counter(line["number"] for line in lines)


class Job:
    """An opened job: its plan and its converter, ready to convert."""

    def __init__(self, out_dir: Path) -> None:
        self.folder = JobFolder(out_dir)
        self.file = JobFile.model_validate_json(self.folder.job_file.read_bytes())
        self.plan = Plan(self.folder.plan_file)
        kind = import_converter(self.file.reference)
        options = kind.options_type.model_validate({**self.file.options, **self.file.local})
        self.converter: Converter[Any] = kind(options, self.file.root)
        self.converter.shared = self.file.shared


class Claims:
    """Who works on which part: a lock on one byte of a file, which the kernel drops when its holder dies.

    Locks of this kind reach across processes, and across machines where the file system carries them (NFS), so
    a claim never outlives its worker and needs no clean-up.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)

    def close(self) -> None:
        """Drop every claim."""
        os.close(self._file)

    @contextmanager
    def claim(self, part: int, *, wait: bool = False) -> Iterator[bool]:
        """Claim a part for the length of the block, or try to, unless told to wait; yields whether it is ours."""
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB, 1, part)
        except (BlockingIOError, PermissionError):  # the two answers that POSIX allows for a lock that is held
            yield False
            return
        try:
            yield True
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, part)
