"""Who is right about hostile data: the command runs as for a user, and `json`, Pydantic and Pillow judge its word."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
import warnings
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from PIL import Image

from phi3v_schemas import Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.validate.fuzzing import Picture

__all__ = ["BadRun", "Run", "judge", "line_faults", "picture_faults", "run_validate", "write_records"]

_BOM = b"\xef\xbb\xbf"
_ADDRESS_SPACE = 4 << 30  # bytes: far more than is held, for libraries reserve what they never use
_NOT_A_RECORD = {"E101", "E102", "E108", *(f"E20{number}" for number in range(1, 8))}


class BadRun(Exception):
    """The command crashed, hung, or said what nobody can read."""


class Run(NamedTuple):
    """What a run printed, the records it counted, the codes of the errors of each line, and how long it took."""

    output: bytes
    records: int
    errors: dict[int, set[str]]
    seconds: float


def judge(line: bytes) -> Literal["blank", "sound", "bad"]:
    """Say what a line is, by the words of Python's own decoder and of the schema."""
    if not line or line.isspace():
        return "blank"
    try:
        json.loads(line.decode())
        Record.model_validate_json(line)
    except (ValueError, RecursionError):
        return "bad"
    return "sound"


def run_validate(path: Path, *flags: str, timeout: int = 300) -> Run:
    """Run `phi3v-data validate` to its end, with every finding kept.

    Raises:
        BadRun: It ended by a signal, with a traceback or another exit code than 0 and 1, or was not done in time.
    """
    command = [sys.executable, "-m", "phi3v_data", "validate", str(path), "--format", "json", "--max_findings", "0"]
    started = time.perf_counter()
    process = subprocess.Popen(
        [*command, *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    resource.prlimit(process.pid, resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    try:
        output, words = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise BadRun(f"not done after {timeout} s") from None
    seconds = time.perf_counter() - started
    if process.returncode not in (0, 1) or b"Traceback" in words:
        raise BadRun(f"exit {process.returncode}: {words.decode(errors='replace')[-2000:]}")
    try:
        report: dict[str, Any] = json.loads(output)
    except ValueError as error:
        raise BadRun(f"its output is not JSON: {error}") from None
    return Run(output, report["records"], _errors_by_line(report["findings"]), seconds)


def line_faults(content: bytes, run: Run) -> Iterator[str]:
    """Yield where a run was wrong about the lines of a file: a bad line that passed, a sound one that did not."""
    lines = content.removesuffix(b"\n").split(b"\n")
    lines[0] = lines[0].removeprefix(_BOM)
    judged = [judge(line) for line in lines]
    held = len(lines) - judged.count("blank")
    if run.records != held:
        yield f"{run.records} records counted, of {held}"
    if beyond := [number for number in run.errors if number > len(lines)]:
        yield f"errors in lines that are not there: {beyond[:5]}"
    for number, (line, verdict) in enumerate(zip(lines, judged, strict=True), start=1):
        codes = run.errors.get(number, set())
        if verdict == "bad" and not codes:
            yield f"line {number} is bad and passed: {_shown(line)}"
        if verdict == "sound" and (wrong := sorted(codes & _NOT_A_RECORD)):
            yield f"line {number} is sound and has {', '.join(wrong)}: {_shown(line)}"


def write_records(folder: Path, pictures: Sequence[Picture]) -> Path:
    """Write a file of records, one for each image of `folder / "images"`, and return its path."""
    path = folder / "fuzz_train.jsonl"
    turns = ({"images": [picture.name], "user": "What is it?", "assistant": "A cat."} for picture in pictures)
    records = ({"id": str(number), "source": "made", "conversations": [turn]} for number, turn in enumerate(turns))
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def picture_faults(folder: Path, pictures: Sequence[Picture], run: Run, *, decoded: bool) -> Iterator[str]:
    """Yield where a run was wrong about the images of `write_records`: one that passed and that Pillow refuses.

    Args:
        folder: As for `write_records`.
        pictures: As for `write_records`.
        run: What was said about them.
        decoded: Whether those that passed must decode, or only open.
    """
    if run.records != len(pictures):
        yield f"{run.records} records counted, of {len(pictures)}"
    for number, picture in enumerate(pictures, start=1):
        codes = run.errors.get(number, set())
        if picture.is_whole and codes:
            yield f"{picture.name} is sound and has {', '.join(sorted(codes))}"
        if not codes and (words := _why_refused(folder / "images" / picture.name, decoded)):
            yield f"{picture.name} passed, and Pillow refuses it: {words}"


def _why_refused(path: Path, decoded: bool) -> str | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(path) as image:
                if decoded:
                    image.convert("RGB")
        except Exception as error:  # whatever the bytes make Pillow raise
            return f"{type(error).__name__}: {error}"
    return None


def _errors_by_line(findings: list[dict[str, Any]]) -> dict[int, set[str]]:
    errors: dict[int, set[str]] = {}
    for finding in findings:
        if finding["severity"] == "error" and finding["line"] is not None:
            errors.setdefault(finding["line"], set()).add(finding["code"])
    return errors


def _shown(line: bytes) -> str:
    return repr(line if len(line) <= 400 else line[:400] + b"...")
