"""How long `phi3v-train --help` and `--dry_run` take on 100,000 records with an image each, and the limit of each.

    python benchmarks/dry_run.py --records 100000 --rounds 3

Commands are whole processes on the tiny checkpoint; the parts of a dry run are timed in this one. A limit imports what
the command cannot do without, and reads or stats once what it must look at. Everything is run in turn, round after
round. Each image is a file of its own, of one of a thousand pictures, and all are in the system's cache.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image

from phi3v_data.manifest.renew import renew_manifest
from phi3v_train.encode import Encoder
from phi3v_train.lengths import Measure
from phi3v_train.options import TrainOptions
from phi3v_train.soundness import check_sound, fingerprint
from phi3v_train.sources import training_sources
from phi3v_train.survey import summarise, survey_records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NUM_CROPS = 4
PICTURES = IN_A_FOLDER = 1000
LENGTH = 131_072
WORDS = "what is the total on this page and who has signed it in which year near red blue figure table"
OF_HELP = "import click, pydantic"
OF_TRAINER = "import torch, peft, accelerate; from transformers import Trainer"


class Row(NamedTuple):
    """What is timed, what it takes at the least, and whether it goes through the records."""

    work: Callable[[], object]
    limit: Callable[[], object]
    goes_through: bool = True


def make_data(count: int, folder: Path) -> None:
    """Write records of a question, an image and an answer, and their manifest."""
    drawn = random.Random(0)
    pictures = [draw(drawn) for _ in range(PICTURES)]
    lines = []
    for number in range(count):
        name = f"{number // IN_A_FOLDER:04d}/{number:07d}.jpg"
        path = folder / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pictures[number % PICTURES])
        question, answer = (" ".join(drawn.choices(WORDS.split(), k=drawn.randint(3, 30))) for _ in range(2))
        turn = {"images": [name], "user": f"{question}?", "assistant": answer}
        lines.append(json.dumps({"id": f"r{number:07d}", "source": "made", "conversations": [turn]}))
    (folder / "made_train.jsonl").write_text("\n".join(lines) + "\n")
    assert renew_manifest(folder).manifest, "the validator finds errors in the data"


def draw(drawn: random.Random) -> bytes:
    """Draw a JPEG of 40 to 160 pixels a side."""
    size = drawn.randint(40, 160), drawn.randint(40, 160)
    picture = io.BytesIO()
    Image.frombytes("RGB", (8, 8), drawn.randbytes(192)).resize(size).save(picture, "JPEG")
    return picture.getvalue()


def command(*words: str | Path) -> None:
    """Run the interpreter."""
    subprocess.run([sys.executable, *map(str, words)], check=True, stdout=subprocess.DEVNULL)


def read(folder: Path) -> None:
    """Read the records' bytes."""
    with (folder / "made_train.jsonl").open("rb") as file:
        hashlib.file_digest(file, "sha256")


def images(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield all images."""
    for below in os.scandir(folder / "images"):
        yield from os.scandir(below)


def stat_images(folder: Path) -> None:
    """Ask for the size of each image."""
    for image in images(folder):
        image.stat()


def open_images(folder: Path) -> None:
    """Read the beginning of each image."""
    for image in images(folder):
        file = os.open(image, os.O_RDONLY)
        os.read(file, 4096)
        os.close(file)


def commands(folder: Path, tiny: Path, work: Path) -> dict[str, Row]:
    """Return the commands."""
    flags = ["--data_dir", folder, "--model_name_or_path", tiny, "--num_crops", str(NUM_CROPS), "--dry_run"]

    def dry_run(*more: str, output_dir: Path | None = None) -> None:
        output = output_dir or tempfile.mkdtemp(dir=work)
        command("-m", "phi3v_train", *flags, *more, "--output_dir", output)

    def limit(*parts: Callable[[Path], None]) -> None:
        command("-c", OF_TRAINER)
        for part in parts:
            part(folder)

    show_help = partial(command, "-m", "phi3v_train", "--help")
    dry_run(output_dir=work / "kept")
    return {
        "phi3v-train --help": Row(show_help, partial(command, "-c", OF_HELP), False),
        "phi3v-train --dry_run": Row(dry_run, partial(limit, read, stat_images)),
        "  again, with its data_check.json": Row(partial(dry_run, output_dir=work / "kept"), limit, False),
        "  with --group_by_length": Row(partial(dry_run, "--group_by_length"), partial(limit, read, open_images)),
    }


def parts(folder: Path, tiny: Path) -> dict[str, Row]:
    """Return what takes time in a dry run, in its order."""
    # Not above: the processes of a survey import this file again, and need no torch.
    from phi3v_train.methods import load_model
    from phi3v_train.pretrained import load_processor
    from phi3v_train.runtime import resolve_runtime

    options = TrainOptions(data_dir=[folder], model_name_or_path=str(tiny), num_crops=NUM_CROPS)
    encoder = Encoder(load_processor(str(tiny), NUM_CROPS).tokenizer)
    source = training_sources(options)[0]
    measure, measure_all = (
        Measure(source, encoder, num_crops=NUM_CROPS, limit=LENGTH, cuts=False, all_lengths=every)
        for every in (False, True)
    )
    survey = survey_records(measure, drops=False)
    reading = partial(read, folder)
    return {
        "hold all against the rules": Row(partial(check_sound, folder), lambda: (read(folder), stat_images(folder))),
        "look for records that are too long": Row(partial(survey_records, measure, drops=False), reading),
        "  and open every image": Row(
            partial(survey_records, measure_all, drops=False), lambda: (read(folder), open_images(folder))
        ),
        "measure 2,000 records exactly": Row(lambda: summarise([survey], seed=0), reading, False),
        "tell the data by its manifest": Row(lambda: fingerprint([source]), reading),
        "load the weights": Row(
            lambda: load_model(options, resolve_runtime(options)), (tiny / "model.safetensors").read_bytes, False
        ),
    }


def timed(work: Callable[[], object]) -> float:
    """Return how many seconds something takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def report(rows: dict[str, Row], rounds: int, records: int) -> None:
    """Run all in turn, round after round, and print the medians."""
    times = {name: ([], []) for name in rows}
    for _ in range(rounds):
        for name, row in rows.items():
            times[name][0].append(timed(row.work))
            times[name][1].append(timed(row.limit))
    for name, (of_work, of_limit) in times.items():
        work, limit = statistics.median(of_work), statistics.median(of_limit)
        rate = f"{records / work:,.0f}" if rows[name].goes_through else ""
        print(f"{name:38}{work:9.2f}{min(of_work):9.2f}{rate:>12}{limit:9.2f}{work / limit:9.1f}")


def main() -> None:
    """Parse the arguments, make the data, measure, report."""
    from phi3v_train.model.tiny import write_tiny
    from phi3v_train.quiet import quieten

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work_dir", type=Path, help="where to write; a new temporary folder by default")
    arguments = parser.parse_args()
    quieten()
    with tempfile.TemporaryDirectory(dir=arguments.work_dir) as name:
        work = Path(name)
        folder, tiny = work / "data", work / "tiny"
        make_data(arguments.records, folder)
        write_tiny(tiny)
        machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
        print(f"{arguments.records:,} records, {arguments.rounds} rounds; {machine}, {time.strftime('%Y-%m-%d')}")
        print(f"{'':38}{'median s':>9}{'least s':>9}{'records/s':>12}{'limit s':>9}{'× limit':>9}")
        report(commands(folder, tiny, work), arguments.rounds, arguments.records)
        report(parts(folder, tiny), arguments.rounds, arguments.records)


if __name__ == "__main__":
    main()
