"""Throughput of each training method, beside the published recipe's own way to train, in one run.

    python benchmarks/train.py --size mid --num_crops 4 --rounds 1
    python benchmarks/train.py --size real --batch_size 16 --steps 4

`ours` is the trainer of `phi3v-train`, from files on the disk to the optimizer's step, but without checkpoints. The
recipe's way (benchmarks/recipe_train.py) takes one record at a time and runs zero crops through CLIP; once with flash
attention, or sdpa where that cannot be had, and once with eager attention. All compute layers again in the backward
pass, and read the same drawn page. That both do the same work is checked first: same tokens, same crops, same loss.

Each measurement is a process of its own; they take turns, round after round, and medians are printed. The first steps
do not count. Tokens are images times the mean tokens of a record. Peak GB is of the GPU, or of the process that trains
where there is none. MFU is the share of the GPU's peak arithmetic that goes into what is mathematically needed
(`train_cases.flops`; PaLM, arXiv:2204.02311, appendix B): neither recomputation nor zero crops. The last column is our
images/s to those of the faster of the recipe's ways.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import recipe_train
import torch
import transformers
from memory import flags_of
from model import PEAK_TFLOPS
from train_cases import SIZES, flops, look_at, write_data, write_model
from transformers import TrainerCallback, set_seed
from transformers.trainer_utils import SaveStrategy

from phi3v_data.errors import CannotRun, UsageError
from phi3v_train.collate import Collator
from phi3v_train.devices import resolve_attention
from phi3v_train.encode import Encoder
from phi3v_train.memory import estimate_memory, skeleton
from phi3v_train.memory_check import available_memory, peak_memory
from phi3v_train.methods import load_model
from phi3v_train.model.hd_transform import normalize_tiles
from phi3v_train.options import METHODS, TrainOptions
from phi3v_train.out_of_memory import is_out_of_memory
from phi3v_train.prepare import prepare
from phi3v_train.quiet import quieten
from phi3v_train.runtime import resolve_runtime
from phi3v_train.train import _trainer

if TYPE_CHECKING:
    from collections.abc import Callable

    from train_cases import Page

    from phi3v_train.model import Phi3VConfig

MOST_ROWS, MARGIN = 4, 0.9
"""How many records ours takes at once at the most, and the share of the memory that an estimate may fill."""

TOLERANCE = 1e-4


class Measured(NamedTuple):
    """Seconds that a record takes, and the peak of memory in bytes."""

    seconds: float
    peak: float


class Clock(TrainerCallback):
    """Notes when optimizer steps end."""

    def __init__(self, warmup: int) -> None:
        self.warmup = warmup
        self.ends: list[float] = []

    def tick(self) -> None:
        """End a step; the peak of memory is that of those behind the warm-up."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.ends.append(time.perf_counter())
        if torch.cuda.is_available() and len(self.ends) == self.warmup:
            torch.cuda.reset_peak_memory_stats()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """End a step of our trainer."""
        self.tick()

    @property
    def step_seconds(self) -> float:
        """Mean seconds of a step behind the warm-up."""
        return (self.ends[-1] - self.ends[self.warmup - 1]) / (len(self.ends) - self.warmup)


def measure(is_ours: bool, options: TrainOptions, warmup: int) -> Measured | str:
    """Train; where there is no room, say so."""
    clock = Clock(warmup)
    try:
        train_ours(options, clock) if is_ours else recipe_train.train(options, clock.tick)
    except CannotRun as error:
        return str(error)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return "out of memory"
    return Measured(clock.step_seconds / options.batch_size, peak_memory())


def train_ours(options: TrainOptions, clock: Clock) -> None:
    """Train as `phi3v-train` does, but write no checkpoint."""
    run = prepare(options, frozenset())
    run.arguments.save_strategy = SaveStrategy.NO
    set_seed(options.seed)
    _trainer(run, load_model(run.options, run.runtime), [clock]).train()


def check_same(options: TrainOptions) -> float:
    """Hold both ways against each other on a record, and return by how much their losses differ."""
    torch.backends.cudnn.allow_tf32 = False
    run = prepare(options, frozenset())
    data, _ = run.data.open(options, Encoder(run.processor.tokenizer), run.processor.image_processor)
    ours, recipes = Collator(0)([data[0]]), recipe_train.Pages(options)[0]
    for name in ("input_ids", "labels", "image_sizes"):
        assert torch.equal(ours[name], recipes[name]), f"{name} differ"
    crops = normalize_tiles(ours["pixel_values"], ours["image_sizes"])
    torch.testing.assert_close(crops, recipes["pixel_values"][0, : len(crops)], rtol=0, atol=1e-5)
    first = loss_of(load_model(options, run.runtime).train(), ours, run.runtime.device)
    second = loss_of(recipe_train.load(options, run.runtime), recipes, run.runtime.device)
    assert abs(first - second) < TOLERANCE, f"the losses differ: {first} and {second}"
    return abs(first - second)


def loss_of(model: torch.nn.Module, batch: dict[str, Any], device: str) -> float:
    """Return the loss of a batch."""
    inputs = {name: tensor.to(device) for name, tensor in batch.items() if name != "records"}
    with torch.no_grad():
        return float(model(**inputs, use_cache=False).loss)


def apart(work: Callable[..., Any], *arguments: Any) -> Any:
    """Do something in a process of its own, which has its own peak of memory."""
    # A fork of a process that has only imported spares the imports' seconds, but no fork of one that knows CUDA works.
    context = multiprocessing.get_context("spawn" if torch.cuda.is_available() else "forkserver")
    context.set_forkserver_preload(["__main__"])
    with ProcessPoolExecutor(1, mp_context=context, initializer=begin) as executor:
        return executor.submit(work, *arguments).result()


def begin() -> None:
    """Begin a process as a command begins: it forks its readers, and libraries keep quiet."""
    multiprocessing.set_start_method("fork" if sys.platform == "linux" else None, force=True)
    quieten()


def with_rows(options: TrainOptions, config: Phi3VConfig, page: Page, rows: int | None) -> TrainOptions | str:
    """Let ours take so many records at once, or as many as are estimated to fit; or say that none does."""
    sizes = {"sequence_length": page.most_tokens, "crops": page.crops}
    needs = 0.0
    for count in [rows] if rows else [n for n in range(MOST_ROWS, 0, -1) if options.batch_size % n == 0]:
        tried = options.model_copy(update={"batch_size_per_gpu": count})
        runtime = resolve_runtime(tried)
        needs = estimate_memory(config, tried, runtime, **sizes).total
        if needs <= (1 if count == 1 else MARGIN) * available_memory(tried, runtime):
            return tried
    return f"does not fit ({needs / 1e9:.1f} GB)"


def measure_method(ours: TrainOptions, rounds: int, warmup: int) -> dict[str, Measured | str]:
    """Let ours and the recipe's two ways take turns, and return each one's medians."""
    recipe = ours.model_copy(update={"batch_size_per_gpu": 1})
    ways = {
        "ours": (True, ours),
        f"recipe, {ours.attention}": (False, recipe),
        "recipe, eager": (False, recipe.model_copy(update={"attention": "eager"})),
    }
    found: dict[str, list[Measured | str]] = {way: [] for way in ways}
    for number in range(rounds):
        for way, (is_ours, options) in ways.items():
            if number == 0 or isinstance(found[way][-1], Measured):
                folder = options.output_dir / f"{options.method}-{way}-{number}"
                found[way].append(apart(measure, is_ours, options.model_copy(update={"output_dir": folder}), warmup))
    return {way: medians(several) for way, several in found.items()}


def medians(several: list[Measured | str]) -> Measured | str:
    """Return the medians, or why there are none."""
    if isinstance(several[-1], str):
        return several[-1]
    return Measured(*map(statistics.median, zip(*several, strict=True)))


def report(method: str, found: dict[str, Measured | str], rows: int, tokens: float, needed: float | None) -> None:
    """Print what was measured of a method.

    Args:
        method: Its name.
        found: By way, ours first.
        rows: Records that ours takes at once.
        tokens: Of a record.
        needed: Seconds that a record's arithmetic needs at the device's peak, if that is known.
    """
    others = [result.seconds for way, result in found.items() if way != "ours" and isinstance(result, Measured)]
    for way, result in found.items():
        is_ours = way == "ours"
        print(f"{method if is_ours else '':22}{way:16}{rows if is_ours else 1:5}", end="")
        if isinstance(result, str):
            print(f"  {result}")
            continue
        mfu = f"{needed / result.seconds:.1%}" if needed else ""
        ratio = f"{min(others) / result.seconds:.2f}" if is_ours and others else ""
        print(
            f"{1 / result.seconds:10.3f}{tokens / result.seconds:10.0f}{result.peak / 1e9:9.2f}{mfu:>8}{ratio:>8}",
            flush=True,
        )


def measure_size(size: str, arguments: argparse.Namespace, work: Path) -> None:
    """Measure all methods with a model of one size."""
    folder = work / size
    config = apart(write_model, size, folder)
    page = look_at(work / "data", arguments.page, arguments.num_crops)
    steps = arguments.warmup + arguments.steps
    common = {"data_dir": [work / "data"], "model_name_or_path": str(folder), "num_crops": arguments.num_crops}
    common |= {"batch_size": arguments.batch_size, "max_steps": steps, "output_dir": work, "resume": "never"}
    attention = "flash" if can_flash() else "sdpa"
    checked = flags_of("lora_frozen_vision") | {"precision": "fp32", "attention": "sdpa", "output_dir": work / "check"}
    difference = apart(check_same, TrainOptions(**(common | checked)))
    print(
        f"\n{size}: {page.tokens:.0f} tokens and {page.crops} crops a record (the recipe's "
        f"{arguments.num_crops + 1}), {arguments.batch_size} records a step, {arguments.rounds} rounds of "
        f"{arguments.steps} steps; losses differ by {difference:.1e}"
    )
    print(f"{'':22}{'':16}{'rows':>5}{'images/s':>10}{'tokens/s':>10}{'peak GB':>9}{'MFU':>8}{'ratio':>8}", flush=True)
    for method in arguments.methods:
        options = TrainOptions(**common, **flags_of(method), attention=attention)
        options = with_rows(options, config, page, arguments.batch_size_per_gpu)
        if isinstance(options, str):
            print(f"{method:22}{options}", flush=True)
            continue
        found = measure_method(options, arguments.rounds, arguments.warmup)
        model = skeleton(config, options, resolve_runtime(options))
        needed = flops(model, config, page)
        peak = peak_flops()
        report(method, found, options.batch_size_per_gpu, page.tokens, needed / peak if peak else None)


def can_flash() -> bool:
    """Tell whether flash attention can be had here."""
    try:
        return bool(resolve_attention("flash", "auto"))
    except (CannotRun, UsageError):
        return False


def peak_flops() -> float | None:
    """Return the arithmetic that the GPU does in a second at its best, in half precision."""
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    return next((tflops * 1e12 for known, tflops in PEAK_TFLOPS.items() if known in name), None)


def machine() -> str:
    """Describe where this runs."""
    gpu = f"{torch.cuda.get_device_name()}, " if torch.cuda.is_available() else ""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    cpu = next((line.split(": ")[1] for line in lines if line.startswith("model name")), platform.machine())
    return (
        f"{gpu}{cpu}, {os.cpu_count()} cores, Python {platform.python_version()}, torch {torch.__version__}, "
        f"transformers {transformers.__version__}, {time.strftime('%Y-%m-%d')}"
    )


def main() -> None:
    """Parse the arguments, make the data, measure, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--size", nargs="+", choices=SIZES, default=["tiny", "mid"], help="real needs a GPU; default: tiny mid")
    add("--methods", nargs="+", choices=METHODS, default=[*METHODS], help="default: all")
    add("--num_crops", type=int, default=16)
    add("--page", type=int, nargs=2, default=(1700, 2200), metavar=("WIDTH", "HEIGHT"), help="pixels")
    add("--records", type=int, help="default: as many as a run reads")
    add("--batch_size", type=int, default=4, help="records of an optimizer step")
    add("--batch_size_per_gpu", type=int, help=f"records ours takes at once; default: up to {MOST_ROWS}, as fit")
    add("--steps", type=int, default=2, help="optimizer steps that count")
    add("--warmup", type=int, default=1, help="optimizer steps before them, at least 1")
    add("--rounds", type=int, default=3)
    add("--work_dir", type=Path, help="where to write; a new temporary folder by default")
    arguments = parser.parse_args()
    if "real" in arguments.size and not torch.cuda.is_available():
        parser.error("--size real needs a GPU")
    if min(arguments.warmup, arguments.steps, arguments.rounds) < 1:
        parser.error("--warmup, --steps and --rounds are at least 1")
    if arguments.batch_size % (arguments.batch_size_per_gpu or 1):
        parser.error("--batch_size is a multiple of --batch_size_per_gpu")
    quieten()
    with tempfile.TemporaryDirectory(dir=arguments.work_dir) as name:
        count = arguments.records or (arguments.warmup + arguments.steps) * arguments.batch_size
        write_data(Path(name) / "data", count, tuple(arguments.page))
        for size in arguments.size:
            measure_size(size, arguments, Path(name))
    print(f"\n{machine()}")


if __name__ == "__main__":
    main()
