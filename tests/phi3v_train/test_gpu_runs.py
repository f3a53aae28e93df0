"""Short runs on a GPU: every method in half precision, with each attention, alone and sharded; skipped without one."""

from __future__ import annotations

import importlib.util
import json
from typing import TYPE_CHECKING, Any

import pytest
import torch

from phi3v_train.model.tiny import write_tiny
from tests.helpers import run_python
from tests.phi3v_train.made_data import record, turn, write_split
from tests.phi3v_train.runs import FLAGS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")

HAS_FLASH = importlib.util.find_spec("flash_attn") is not None
STEPS = 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gpu")
    write_tiny(folder / "tiny")
    images = {0: ("64x48-a.png",), 1: ("64x48-b.png", "48x64-c.png")}
    (folder / "data").mkdir()
    records = [record(f"r{number}", turn(images=images.get(number % 3, ()))) for number in range(12)]
    write_split(folder / "data", "train", records)
    return folder


def losses(folder: Path, output_dir: Path, *launcher: str, **flags: Any) -> list[float]:
    """Train some steps and return the loss of each."""
    usual = {"num_crops": 1, "batch_size": 4, "batch_size_per_gpu": 2, "max_steps": STEPS, "logging_steps": 1}
    usual |= {"learning_rate": 5e-3, "lora_rank": 4, "num_workers": 1, "output_dir": output_dir}
    usual |= {"data_dir": folder / "data", "model_name_or_path": folder / "tiny"}
    given = [
        part
        for name, value in (usual | flags).items()
        for part in ([f"--{name}"] if value is True else [f"--{name}", str(value)])
    ]
    run_python(*launcher, "-m", "phi3v_train", *given)
    history = json.loads((output_dir / "final" / "metrics.json").read_text())["history"]
    return [entry["loss"] for entry in history if "loss" in entry]


@pytest.mark.parametrize("attention", ["sdpa", "flash"])
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("method", FLAGS)
def test_the_loss_falls(folder: Path, tmp_path: Path, method: str, precision: str, attention: str) -> None:
    if precision == "bf16" and torch.cuda.get_device_capability() < (8, 0):
        pytest.skip("this GPU does not compute in bf16")
    if attention == "flash" and not HAS_FLASH:
        pytest.skip("flash-attn is not installed")
    found = losses(folder, tmp_path, precision=precision, attention=attention, **FLAGS[method])
    assert len(found) == STEPS and found[-1] < found[0]


@pytest.mark.parametrize("flags", [{"deepspeed": "zero2"}, {"deepspeed": "zero3"}, {"offload": True}])
def test_sharded_losses_are_those_of_one_process(folder: Path, tmp_path: Path, flags: dict[str, Any]) -> None:
    plain = losses(folder, tmp_path / "plain", precision="fp32")
    assert losses(folder, tmp_path / "sharded", precision="fp32", **flags) == pytest.approx(plain, rel=1e-4)


@pytest.mark.parametrize("optimizer", ["adamw8bit", "paged"])
def test_moments_of_eight_bits(folder: Path, tmp_path: Path, optimizer: str) -> None:
    found = losses(folder, tmp_path, optimizer=optimizer)
    assert found[-1] < found[0]


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="there are no two GPUs")
@pytest.mark.parametrize("deepspeed", ["none", "zero2", "zero3"])
def test_two_gpus_compute_what_one_computes(folder: Path, tmp_path: Path, deepspeed: str) -> None:
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
    one = losses(folder, tmp_path / "one", precision="fp32", deepspeed="none")
    two = losses(folder, tmp_path / "two", *launcher, precision="fp32", deepspeed=deepspeed)
    assert two == pytest.approx(one, rel=1e-4)
