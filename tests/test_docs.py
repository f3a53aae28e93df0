"""What the documents show is run as it is written."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from PIL import Image

from phi3v_train.model.tiny import write_tiny
from tests.helpers import run

ROOT = Path(__file__).parents[1]


def blocks(document: str, language: str) -> list[str]:
    """Return the fenced blocks of a document in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / document).read_text(), flags=re.DOTALL | re.MULTILINE)


def test_the_converter_of_the_readme(tmp_path: Path) -> None:
    code, project = blocks("converters/README.md", "python")[0], blocks("converters/README.md", "toml")[0]
    assert len(code.splitlines()) <= 35
    plugin = tmp_path / "plugin"
    info = plugin / "captions-1.dist-info"
    info.mkdir(parents=True)
    (plugin / "captions.py").write_text(code)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: captions\nVersion: 1\n")
    (group, points) = next(iter(tomllib.loads(project)["project"]["entry-points"].items()))
    (info / "entry_points.txt").write_text(
        f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in points.items())
    )
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    Image.new("RGB", (20, 10), "red").save(pictures / "cat.1.jpg")
    (pictures / "captions.csv").write_text("file,question,answer\ncat.1.jpg,What is it?,A cat.\ncat.1.jpg,Red?,Yes.\n")
    environment = {"PYTHONPATH": os.pathsep.join([str(plugin), *sys.path])}
    words = [
        "convert",
        "captions",
        "--source",
        pictures,
        "--out_dir",
        tmp_path / "dataset",
        "--prefix",
        "Look closely. ",
    ]
    run(*words, env=environment)
    lines = (tmp_path / "dataset/captions_train.jsonl").read_text().splitlines()
    turns = [json.loads(line)["conversations"][0] for line in lines]
    assert [(turn["user"], turn["assistant"]) for turn in turns] == [
        ("Look closely. What is it?", "A cat."),
        ("Look closely. Red?", "Yes."),
    ]
    run("validate", tmp_path / "dataset")


def test_the_question_of_the_training_page(tmp_path: Path) -> None:
    """With the tiny checkpoint, as the page has it."""
    write_tiny(tmp_path / "tiny")
    Image.new("RGB", (850, 1100), "white").save(tmp_path / "page.png")
    code = "\n".join(blocks("docs/training.md", "python"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, check=True, stdout=subprocess.PIPE, timeout=300)
    assert done.stdout.strip()


def test_links_between_documents_lead_somewhere() -> None:
    for document in [*ROOT.glob("*.md"), *ROOT.glob("*/*.md")]:
        if ".venv" in document.as_posix() or "build" in document.parts:
            continue
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document}: {target}"
