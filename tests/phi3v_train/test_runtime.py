"""What a machine makes of the options, on this one without a GPU."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
import torch

from phi3v_data.errors import CannotRun, UsageError
from phi3v_train.options import TrainOptions
from phi3v_train.plan import identify, make_plan
from phi3v_train.runtime import Processes, resolve_runtime
from phi3v_train.sharding import deepspeed_config

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="these are the rules for a CPU, and there is a GPU")


def options(**flags: Any) -> TrainOptions:
    return TrainOptions(data_dir="data", **flags)


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)


def set_processes(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    for name, value in (("WORLD_SIZE", count), ("RANK", 1), ("LOCAL_RANK", 1), ("LOCAL_WORLD_SIZE", count)):
        monkeypatch.setenv(name, str(value))


def test_a_plain_process_is_alone() -> None:
    runtime = resolve_runtime(options(num_workers=0))
    assert runtime.processes == Processes() and runtime.is_main
    assert (runtime.device, runtime.precision, runtime.attention, runtime.deepspeed) == ("cpu", "fp32", "sdpa", None)
    assert (runtime.accumulation, runtime.num_workers) == (16, 0)


def test_the_batch_is_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    set_processes(monkeypatch, 4)
    assert resolve_runtime(options(batch_size=24, batch_size_per_gpu=3)).accumulation == 2
    with pytest.raises(
        UsageError, match=r"--batch_size 16 is no multiple of 4 processes × .* 3: the nearest is 12 or 24"
    ):
        resolve_runtime(options(batch_size_per_gpu=3))
    with pytest.raises(UsageError, match="the nearest is 20"):
        resolve_runtime(options(batch_size_per_gpu=5))


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({"precision": "fp16"}, "a CPU does not compute in fp16: give --precision bf16"),
        ({"attention": "flash"}, "flash attention runs on GPUs only: give --attention sdpa"),
        ({"use_flash_attention": True}, "flash attention runs on GPUs only"),
        ({"deepspeed": "zero9"}, "--deepspeed 'zero9' is no file: give zero2, zero3, none or a configuration's path"),
        ({"deepspeed": "zero3", "use_qlora": True}, "weights in 4 bits are not cut into shards"),
        ({"report_to": "paper"}, "--report_to paper is no tracker that transformers knows: it knows azure_ml"),
    ],
)
def test_what_this_machine_cannot_do(flags: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        resolve_runtime(options(**flags))


def test_both_spellings_of_bf16() -> None:
    assert (
        resolve_runtime(options(bf16=True)).precision == resolve_runtime(options(precision="bf16")).precision == "bf16"
    )


def test_offload_brings_deepspeed_with_it() -> None:
    runtime = resolve_runtime(options(offload=True))
    config = deepspeed_config(options(offload=True), runtime)
    assert runtime.deepspeed == "zero2"
    assert config is not None and config["zero_optimization"]["offload_optimizer"]["device"] == "cpu"


def test_a_file_for_deepspeed_decides_but_for_what_is_said_elsewhere(tmp_path: Path) -> None:
    own = tmp_path / "ds.json"
    own.write_text('{"zero_optimization": {"stage": 3}, "train_batch_size": 999, "wall_clock_breakdown": true}')
    runtime = resolve_runtime(options(deepspeed=str(own)))
    config = deepspeed_config(options(), runtime)
    assert config is not None and config["wall_clock_breakdown"]
    assert config["train_batch_size"] == 16
    assert config["zero_optimization"] == {"stage": 3, "stage3_gather_16bit_weights_on_model_save": True}
    for text, says in (
        ('{"optimizer": {}}', "has a section 'optimizer', of which --learning_rate"),
        ("[]", "holds no JSON object: give"),
        ("{", "is not JSON: Expecting"),
    ):
        own.write_text(text)
        with pytest.raises(CannotRun, match=says):
            deepspeed_config(options(), runtime)


@pytest.mark.parametrize(
    ("records", "count", "flags", "steps"),
    [
        (64, 1, {"batch_size": 8}, (8, 8)),
        (65, 1, {"batch_size": 8}, (9, 9)),
        (65, 2, {"batch_size": 8, "batch_size_per_gpu": 4}, (9, 9)),
        (10, 2, {"batch_size": 8, "batch_size_per_gpu": 2, "num_train_epochs": 2.5}, (2, 5)),
        (10, 2, {"batch_size": 8, "batch_size_per_gpu": 2, "max_steps": 3, "num_train_epochs": 9}, (2, 3)),
    ],
)
def test_steps_are_counted_as_the_loop_counts(
    records: int, count: int, flags: dict[str, Any], steps: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_processes(monkeypatch, count)
    plan = make_plan(records, options(**flags), resolve_runtime(options(**flags)))
    assert (plan.steps_per_epoch, plan.steps) == steps


def test_identity_holds_what_shapes_the_losses_and_nothing_else() -> None:
    runtime = resolve_runtime(options())
    base = identify(options(), runtime, "f" * 64)
    for same in (
        {"save_steps": 1},
        {"max_steps": 9},
        {"batch_size_per_gpu": 2},
        {"num_workers": 3},
        {"logging_steps": 1},
    ):
        assert identify(options(**same), runtime, "f" * 64) == base
    for other in ({"seed": 1}, {"batch_size": 32}, {"use_lora": True}, {"num_crops": 4}, {"learning_rate": 1e-4}):
        assert identify(options(**other), runtime, "f" * 64) != base
    assert identify(options(), dataclasses.replace(runtime, precision="bf16"), "f" * 64) != base
    assert identify(options(), runtime, "0" * 64) != base
    sharded = dataclasses.replace(runtime, deepspeed="zero2")
    assert identify(options(), sharded, "f" * 64)["processes"] == 1
