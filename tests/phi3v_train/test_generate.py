"""`phi3v-train generate`: what is answered is what the model says by hand, and what cannot be asked is said at once."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import torch
from PIL import Image
from transformers import AutoModelForCausalLM, AutoProcessor

import phi3v_train.model  # noqa: F401  # makes Auto* know the model
from phi3v_data.errors import CannotRun, DataError, UsageError
from phi3v_train.cli import cli
from phi3v_train.model.tiny import write_tiny
from phi3v_train.model.tiny_tokenizer import tiny_tokenizer
from phi3v_train.streaming import AnswerStream
from tests.helpers import run_python
from tests.phi3v_train.end_to_end.commands import Commands, as_flags
from tests.phi3v_train.made_data import draw, record, turn, write_split

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

QUESTION = "What is it?"
TOKENS = 12
CUT = f"The answer was cut at --max_new_tokens {TOKENS}: give more.\n"

Ask = Callable[..., tuple[str, str]]
"""Runs the command in this process and returns what came on stdout and on stderr."""


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    with Commands(tmp_path_factory.mktemp("commands")) as started:
        yield started


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Write a checkpoint whose weights are so great that its answers depend on all that it is given."""
    root = tmp_path_factory.mktemp("models")

    def write(seed: int) -> Path:
        folder = root / str(seed)
        if not folder.exists():
            model = write_tiny(folder, seed=seed)
            with torch.no_grad():
                for weights in model.parameters():
                    weights.mul_(6 if weights.dim() > 1 else 1)
            model.save_pretrained(folder)
        return folder

    return write


@pytest.fixture(scope="module")
def model(models: Callable[[int], Path]) -> Path:
    return models(0)


@pytest.fixture(scope="module")
def endless_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a checkpoint that speaks until it is stopped: it rates every special token 0, and some word higher."""
    folder = tmp_path_factory.mktemp("endless") / "model"
    model = write_tiny(folder)
    special = list(tiny_tokenizer().added_tokens_decoder)
    with torch.no_grad():
        model.lm_head.weight[special] = 0
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    files = [tmp_path_factory.mktemp("pictures") / name for name in ("150x100.png", "100x150.png")]
    for file in files:
        draw(file)
    return files


@pytest.fixture(scope="module")
def run(commands: Commands, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a LoRA run of two steps."""
    data, out = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("run") / "out"
    write_split(data, "train", [record(str(number), turn(images=("64x48.png",))) for number in range(4)])
    options = {"num_crops": 1, "batch_size": 2, "max_steps": 2, "save_steps": 1, "use_lora": True, "lora_rank": 4}
    options |= {"data_dir": data, "model_name_or_path": model, "learning_rate": 0.05, "num_workers": 0}
    commands.run(*as_flags({**options, "output_dir": out}))
    return out


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Ask:
    def run_here(*args: str | Path, tokens: int = TOKENS) -> tuple[str, str]:
        flags = ["--max_new_tokens", str(tokens), "--num_crops", "1"]
        cli.main(["generate", *map(str, args), *flags], standalone_mode=False)
        said = capsys.readouterr()
        return said.out, said.err

    return run_here


def by_hand(folder: Path, question: str = QUESTION, images: Sequence[Path] = (), system: str | None = None) -> str:
    """Ask a model as its documentation does."""
    processor = AutoProcessor.from_pretrained(folder, num_crops=1)
    model = AutoModelForCausalLM.from_pretrained(folder)
    content = [{"type": "image"} for _ in images] + [{"type": "text", "text": question}]
    messages = [{"role": "system", "content": system}] if system else []
    prompt = processor.apply_chat_template(
        [*messages, {"role": "user", "content": content}], add_generation_prompt=True
    )
    inputs = processor(prompt, [Image.open(path) for path in images] or None, return_tensors="pt")
    ids = model.generate(**inputs, max_new_tokens=TOKENS, do_sample=False, eos_token_id=processor.stop_token_ids)
    return processor.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True).strip()


def with_images(images: Sequence[Path]) -> list[str]:
    return [part for path in images for part in ("--image", str(path))]


class TestAnswers:
    """The answer is that of the model asked by hand."""

    def test_of_text_and_of_images_in_their_order(self, ask: Ask, model: Path, pictures: list[Path]) -> None:
        one, other = pictures
        answers = []
        for images in ([], [one], [one, other], [other, one]):
            out, err = ask(model, QUESTION, *with_images(images))
            assert (out, err) == (by_hand(model, images=images) + "\n", CUT)
            answers.append(out)
        assert len(set(answers)) == len(answers)

    def test_with_a_system_prompt(self, ask: Ask, model: Path) -> None:
        out, _ = ask(model, QUESTION, "--system", "Be brief.")
        assert out == by_hand(model, system="Be brief.") + "\n" != by_hand(model) + "\n"

    def test_that_ends_by_itself(self, ask: Ask, models: Callable[[int], Path]) -> None:
        assert ask(models(2), QUESTION) == (by_hand(models(2)) + "\n", "")

    def test_of_an_adapter_and_of_a_run(self, ask: Ask, model: Path, run: Path) -> None:
        answer = by_hand(run / "final") + "\n"
        assert answer != by_hand(model) + "\n"
        for folder in (run, run / "final"):
            assert ask(folder, QUESTION)[0] == answer
        assert ask(run / "checkpoint-1", QUESTION)[0] not in ("\n", answer)

    def test_with_as_many_crops_as_in_training(
        self, run: Path, pictures: list[Path], capsys: pytest.CaptureFixture[str]
    ) -> None:
        cli.main(
            ["generate", str(run), QUESTION, *with_images(pictures), "--max-new-tokens", str(TOKENS)],
            "phi3v-train",
            standalone_mode=False,
        )
        assert capsys.readouterr().out == by_hand(run / "final", images=pictures) + "\n"

    def test_drawn_at_random_by_the_seed(self, ask: Ask, model: Path) -> None:
        drawn = [ask(model, QUESTION, "--temperature", "2", "--seed", seed)[0] for seed in ("1", "1", "2")]
        assert drawn[0] == drawn[1] != drawn[2]


class TestQuestion:
    """Where it is read, and what is none."""

    @pytest.mark.parametrize("dash", [[], ["-"]])
    def test_on_stdin(self, ask: Ask, model: Path, monkeypatch: pytest.MonkeyPatch, dash: list[str]) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{QUESTION}\n".encode())))
        assert ask(model, *dash)[0] == by_hand(model) + "\n"

    def test_not_on_a_terminal(self, ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        leader, terminal = os.openpty()
        with os.fdopen(terminal) as stdin, os.fdopen(leader):
            monkeypatch.setattr(sys, "stdin", stdin)
            with pytest.raises(UsageError, match=r"^there is no question: give it behind the model, or on stdin$"):
                ask(tmp_path)

    @pytest.mark.parametrize(
        ("args", "says"),
        [
            ([" \n"], "the question is empty: say something"),
            (["a", "--system", ""], "--system is empty: say something"),
            (["\udcff"], "the question is not UTF-8: write it in that"),
            (["a<|end|>"], r"the question holds the special token '<|end|>': leave it out"),
            (["<|image_1|>"], r"the question holds the image tag '<|image_1|>': leave it out"),
            (["a", "--system", "<|user|>"], r"--system holds the special token '<|user|>': leave it out"),
        ],
    )
    def test_refused(self, ask: Ask, tmp_path: Path, args: list[str], says: str) -> None:
        with pytest.raises(UsageError) as caught:
            ask(tmp_path, *args)
        assert str(caught.value).startswith(says)

    def test_too_long(self, ask: Ask, model: Path, pictures: list[Path]) -> None:
        with pytest.raises(UsageError, match=r"^the prompt takes .* the model can take 131,072: lower --num_crops or "):
            ask(model, QUESTION, *with_images(pictures), tokens=131_000)


class TestImages:
    """They lie anywhere, and are looked at before anything is loaded."""

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            (None, "does not exist"),
            (b"", "is empty (0 bytes)"),
            (b"<!DOCTYPE html><p>Not found", "is a web page, not an image: the download failed"),
            (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer, not the image itself"),
            (b"\x89PNG\r\n\x1a\n\0\0", "is cut short: its PNG end marker is missing"),
            (b"P4 10000 10000\n", "is 10000x10000 pixels, over the limit of 89,478,485"),
        ],
    )
    def test_refused_by_their_headers(self, ask: Ask, tmp_path: Path, content: bytes | None, says: str) -> None:
        image = tmp_path / "a.png"
        if content is not None:
            image.write_bytes(content)
        with pytest.raises(DataError) as caught:
            ask(tmp_path, QUESTION, "--image", image)
        assert str(caught.value) == f"--image {image} {says}; give an image that can be opened"

    def test_refused_when_decoded(self, ask: Ask, model: Path, pictures: list[Path], tmp_path: Path) -> None:
        (model_without_weights := tmp_path / "model").mkdir()
        for file in model.glob("*.json"):
            (model_without_weights / file.name).write_bytes(file.read_bytes())
        broken = bytearray(pictures[0].read_bytes())
        broken[1000:2000] = bytes(1000)
        (image := tmp_path / "a.png").write_bytes(broken)
        Image.new("L", (1400, 1)).save(thin := tmp_path / "thin.png")
        for path, says in ((image, "cannot be read: "), (thin, "too thin")):
            with pytest.raises(DataError) as caught:
                ask(model_without_weights, QUESTION, *with_images([pictures[1], path]))
            assert str(caught.value).startswith(f"--image {path}") and says in str(caught.value)
            assert str(caught.value).endswith("; give another image")

    def test_by_a_relative_path(
        self, ask: Ask, model: Path, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(model)
        there = f"../{os.path.relpath(pictures[0], model.parent)}"
        assert ask(".", QUESTION, "--image", there)[0] == by_hand(model, images=pictures[:1]) + "\n"


def test_no_such_model(ask: Ask, tmp_path: Path) -> None:
    with pytest.raises(CannotRun, match=f"^there is no folder {tmp_path}/nowhere"):
        ask(tmp_path / "nowhere", QUESTION)


class Notes(io.StringIO):
    """Remembers each piece by itself."""

    def __init__(self, is_terminal: bool = False) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self._is_terminal = is_terminal

    def write(self, text: str) -> int:
        self.pieces.append(text)
        return len(text)

    def isatty(self) -> bool:
        return self._is_terminal


class TestStream:
    """Pieces are written as they come, whole, and never taken back."""

    def pieces(self, *tokens: str, is_terminal: bool = False) -> list[str]:
        tokenizer = tiny_tokenizer()
        stream = AnswerStream(tokenizer, notes := Notes(is_terminal))
        stream.put(torch.tensor([[1, -1, -1, -2, 300]]))
        for number in tokenizer.convert_tokens_to_ids(list(tokens)):
            stream.put(torch.tensor([number]))
        stream.end()
        return notes.pieces

    def spelt(self, text: str) -> list[str]:
        return [f"<0x{byte:02X}>" for byte in text.encode()]

    def test_letter_by_letter(self) -> None:
        assert self.pieces("▁", "A", "▁", "c", "<|end|>") == ["A", " c", "\n"]

    def test_a_line_and_the_space_that_begins_it(self) -> None:
        assert self.pieces("a", "<0x0A>", "▁", "b") == ["a", "\n b", "\n"]

    @pytest.mark.parametrize("text", ["東京", "👍🏽", "é"])
    def test_characters_of_several_tokens_are_whole(self, text: str) -> None:
        assert self.pieces("a", *self.spelt(text), "b") == ["a", f"{text}b", "\n"]
        assert self.pieces("a", *self.spelt(text)) == ["a", text, "\n"]

    def test_bytes_that_are_no_character(self) -> None:
        assert self.pieces("<0xE6>", "<s>", "<0x97>", "<0xA5>", "b", "<0xFF>") == ["日b", "\ufffd", "\n"]

    def test_nothing(self) -> None:
        assert self.pieces("▁", "<|end|>") == ["\n"]

    def test_a_terminal_is_not_moved(self) -> None:
        said = ["<0x1B>", "[", "2", "J", "<0x0A>", *self.spelt("👩\u200d🚀\u3000。"), "b"]
        assert "".join(self.pieces(*said, is_terminal=True)) == "\\x1b[2J\n👩\u200d🚀\u3000。b\n"
        assert "".join(self.pieces(*said)) == "\x1b[2J\n👩\u200d🚀\u3000。b\n"


class TestProcess:
    """What only a process of its own shows."""

    def test_interrupted(self, commands: Commands, endless_model: Path) -> None:
        command = commands.start("generate", str(endless_model), QUESTION, "--max_new_tokens", "100000")
        command.until(lambda: len(command.stdout) > 3).send(signal.SIGINT).wait(130)
        assert command.stdout.endswith("\n") and command.stdout.strip()
        assert command.stderr == "Interrupted.\n"

    def test_without_a_reader(self, endless_model: Path) -> None:
        generate = ["generate", str(endless_model), QUESTION, "--max_new_tokens", "100000"]
        command = [sys.executable, "-m", "phi3v_train", *generate]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None and process.stderr is not None
            assert process.stdout.read(1)
            process.stdout.close()
            assert (process.wait(), process.stderr.read()) == (141, b"")

    def test_out_of_memory(self, commands: Commands, model: Path, pictures: list[Path]) -> None:
        limits = {"RLIMIT_AS": commands.address_space + 10**9}
        flags = ["--attention", "eager", *with_images(pictures)]
        command = commands.start("generate", str(model), "x" * 20_000, *flags, limits=limits).wait(3)
        assert command.stderr == "Error: out of memory: give --num_crops 2 or --quantization nf4\n"
        assert command.stdout == ""

    def test_a_bad_image_is_refused_without_torch(self, tmp_path: Path) -> None:
        code = (
            "import sys; sys.modules['torch'] = sys.modules['transformers'] = None\n"
            "from phi3v_train.cli import main\n"
            f"sys.argv = ['phi3v-train', 'generate', {str(tmp_path)!r}, 'Why?', *sys.argv[1:]]; main()"
        )
        done = run_python("-c", code, "--image", "no.png", code=1)
        assert done.stderr == "Error: --image no.png does not exist; give an image that can be opened\n"
        done = run_python("-c", code, code=3)
        assert done.stderr.startswith("Error: Phi-3.5-vision needs the package 'torch': run pip install ")
        assert done.stderr.count("\n") == 1
        assert "--image PATH" in run_python("-c", code, "--help").stdout
