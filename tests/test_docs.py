"""What the documents show is run as it is written."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from phi3v_train.cli import cli
from phi3v_train.model.tiny import write_tiny
from phi3v_train.options import TrainOptions
from phi3v_train.presets import PRESETS
from tests.helpers import run, run_python

ROOT = Path(__file__).parents[1]


def blocks(document: str, language: str) -> list[str]:
    """Return the fenced blocks of a document in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / document).read_text(), flags=re.DOTALL | re.MULTILINE)


def section(document: str, heading: str) -> str:
    """Return what stands below a heading of a document, up to the next one."""
    return (ROOT / document).read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]


def type_in(command: list[str], folder: Path, interrupt_at: str | None = None) -> str:
    """Run a command as in a terminal, with Ctrl-C once it prints something; returns what it prints."""
    scripts = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": scripts, "PYTHONPATH": os.pathsep.join(sys.path), "CUDA_VISIBLE_DEVICES": ""}
    process = subprocess.Popen(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    printed = ""
    with process:
        assert process.stdout is not None
        for line in process.stdout:
            printed += line
            if interrupt_at is not None and line.startswith(interrupt_at):
                process.send_signal(signal.SIGINT)
                interrupt_at = None
    assert "is saved" in printed or process.returncode == 0, printed
    return printed


def test_the_converter_of_the_readme(tmp_path: Path) -> None:
    """As the page saves it and runs it."""
    code, command = (blocks("converters/README.md", language)[0] for language in ("python", "bash"))
    (tmp_path / "captions.py").write_text(code)
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    Image.new("RGB", (20, 10), "red").save(pictures / "cat.1.jpg")
    rows = "file,question,answer\ncat.1.jpg,What is it?,A cat.\ncat.1.jpg,Red?,Yes.\n"
    (pictures / "questions.csv").write_text(rows)
    run(*shlex.split(command)[1:], cwd=tmp_path)
    lines = (tmp_path / "dataset/captions_train.jsonl").read_text().splitlines()
    turns = [json.loads(line)["conversations"][0] for line in lines]
    assert [(turn["user"], turn["assistant"]) for turn in turns] == [
        ("Look closely. What is it?", "A cat."),
        ("Look closely. Red?", "Yes."),
    ]
    run("validate", tmp_path / "dataset", "--strict")


def test_the_test_of_the_readme(tmp_path: Path) -> None:
    """In the package that the page's commands write; they are those that the command itself names."""
    _, install, *_ = blocks("converters/README.md", "bash")
    first, *steps = install.splitlines()
    shown = run(*first.split()[1:], cwd=tmp_path).stdout
    assert all(step in shown for step in (step.replace("cd ", "cd ./").replace("dataset", "out") for step in steps))
    (tmp_path / "captions/tests/test_captions.py").write_text(blocks("converters/README.md", "python")[1])
    code = "import sys, pytest; sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider']))"
    assert "1 passed" in run_python("-c", code, cwd=tmp_path / "captions").stdout


def test_the_question_of_the_models_page(tmp_path: Path) -> None:
    """With the tiny checkpoint, as the page has it."""
    write_tiny(tmp_path / "tiny")
    Image.new("RGB", (850, 1100), "white").save(tmp_path / "page.png")
    code = "\n".join(blocks("docs/model.md", "python"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, check=True, stdout=subprocess.PIPE, timeout=300)
    assert done.stdout.strip()


def test_the_first_run_of_the_training_page(tmp_path: Path) -> None:
    """Every command as the page has it; the one that trains is interrupted, then given again."""
    tour = section("docs/training.md", "A first run")
    install, *steps = re.findall(r"^```(bash|python)\n(.*?)^```", tour, flags=re.DOTALL | re.MULTILINE)
    assert install[1].startswith("pip install")
    printed = []
    for language, code in steps:
        command = ["bash", "-c", code] if language == "bash" else [sys.executable, "-c", code]
        if code.startswith("torchrun"):
            # Where no evaluation comes before the step is saved: torchrun waits for thirty seconds and no longer.
            stopped = type_in(command, tmp_path, interrupt_at="step  4/24")
        printed.append(type_in(command, tmp_path))
    _, _, shown, planned, trained, loaded = printed
    for line in shown.splitlines():
        assert line in tour or line.startswith(("C l a", "⟦ ⟧"))
    assert planned.startswith("Model    tiny\nMethod   full training\nData     data (64) records; 743 to 746 tokens")
    saved = re.search(r"^Interrupted at step [0-9]+ of 24: (\S+) is saved", stopped, re.MULTILINE)
    assert saved is not None and f"Going on from {saved[1]}." in trained
    for figure in (r"^step 24/24  loss ([0-9.]+)", r"^step 24/24  evaluation loss ([0-9.]+)"):
        ours, pages = (re.search(figure, text, re.MULTILINE) for text in (trained, tour))
        assert ours is not None and pages is not None
        assert float(ours[1]) == pytest.approx(float(pages[1]), rel=0.02)
    assert loaded.lstrip().startswith("Phi3VForCausalLM(") or "\nPhi3VForCausalLM(" in loaded


def test_links_between_documents_lead_somewhere() -> None:
    for document in [*ROOT.glob("*.md"), *ROOT.glob("*/*.md")]:
        if ".venv" in document.as_posix() or "build" in document.parts:
            continue
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document}: {target}"


def test_the_flags_of_the_training_page_are_there() -> None:
    of_torchrun = {"nproc_per_node", "nnodes", "rdzv_backend", "rdzv_endpoint", "shutdown_timeout"}
    of_others = {"help", "config", "no_gradient_checkpointing", "no-build-isolation", "exclude", "local-dir"}
    of_others |= {"trust-remote-code"}  # of the hub's client and a server
    of_commands = {str(flag.name) for command in cli.commands.values() for flag in command.params} | {"image"}
    page = (ROOT / "docs/training.md").read_text()
    for heading in re.findall(r"^## (.*)", page, re.MULTILINE)[1:]:
        flags = set(re.findall(r"--([a-z][a-z0-9_-]*)", section("docs/training.md", heading)))
        assert flags - of_torchrun - of_others <= TrainOptions.model_fields.keys() | of_commands


def test_the_scores_of_the_training_page_are_those_of_the_presets() -> None:
    methods = {"full": "full", "frozen vision": "frozen_vision", "LoRA": "lora", "QLoRA": "qlora"}
    table = section("docs/training.md", "What to choose").split("| bf16 / fp16")[1].split("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    assert [row[0] for row in rows] == list(methods)
    for name, *cells in rows:
        for cell, preset in zip(cells, PRESETS.values(), strict=True):
            published = [preset.settings.get((methods[name], precision)) for precision in ("bf16", "fp16")]
            settings = [setting for setting in published if setting is not None]
            numbers = [float(number) for number in re.findall(r"[0-9][0-9.]*(?:e-[0-9])?", cell)]
            assert numbers[: len(settings)] == [setting.score for setting in settings]
            if rest := numbers[len(settings) :]:
                first = settings[0]
                values = (first.learning_rate, first.num_train_epochs, first.lora_rank, first.lora_alpha)
                assert rest == [value for value in values if value is not None]
