"""DeepSpeed: the configurations behind `--deepspeed zero2` and `zero3`, and nothing compiled on the way."""

from __future__ import annotations

import json
import os
import socket
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phi3v_data.errors import CannotRun

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phi3v_train.options import TrainOptions
    from phi3v_train.runtime import Runtime

__all__ = ["deepspeed_config", "prepare_deepspeed", "whole_models"]

_STAGES = {"zero2": 2, "zero3": 3}


def prepare_deepspeed(runtime: Runtime) -> None:
    """Set up what DeepSpeed needs of its environment, before anything else starts to communicate.

    A process that torchrun did not start is told that it is alone. On a CPU DeepSpeed would compile an extension for
    shared memory at its first run, for two minutes; without it the processes talk through gloo. There transformers
    does not start DeepSpeed's communication either.
    """
    if "RANK" not in os.environ:
        alone = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1"}
        os.environ.update(alone, MASTER_PORT=str(_free_port()))
    if runtime.device == "cpu":
        import deepspeed

        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
        deepspeed.init_distributed("gloo", verbose=False)


@contextmanager
def whole_models() -> Iterator[None]:
    """Let models be made or loaded whole, in one process alone, while a run is sharded."""
    from transformers.integrations import deepspeed

    sharded = deepspeed._hf_deepspeed_config_weak_ref
    deepspeed.unset_hf_deepspeed_config()
    try:
        yield
    finally:
        deepspeed._hf_deepspeed_config_weak_ref = sharded


def deepspeed_config(options: TrainOptions, runtime: Runtime) -> dict[str, Any] | None:
    """Return the configuration of a run, None without DeepSpeed; "auto" is filled in by transformers.

    Raises:
        CannotRun: The file given holds no JSON object, or speaks of what other options say.
    """
    if runtime.deepspeed is None:
        return None
    config: dict[str, Any] = {
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,  # torch's AdamW runs anywhere; DeepSpeed's is compiled at the first run
        "bf16": {"enabled": "auto"},
        "fp16": {"enabled": "auto", "initial_scale_power": 16},
        "gradient_clipping": "auto",
    }
    if runtime.deepspeed in _STAGES:
        config["zero_optimization"] = _zero(_STAGES[runtime.deepspeed], options, runtime)
    else:
        config |= _read(Path(runtime.deepspeed))
    if config.get("zero_optimization", {}).get("stage") == 3:  # without it checkpoints hold no weights
        config["zero_optimization"]["stage3_gather_16bit_weights_on_model_save"] = True
    return config | {
        "train_batch_size": options.batch_size,
        "train_micro_batch_size_per_gpu": options.batch_size_per_gpu,
        "gradient_accumulation_steps": runtime.accumulation,
    }


def _zero(stage: int, options: TrainOptions, runtime: Runtime) -> dict[str, Any]:
    on_gpu = runtime.device == "cuda"
    zero: dict[str, Any] = {"stage": stage, "overlap_comm": on_gpu, "contiguous_gradients": True}
    if stage == 3:
        sizes = ("reduce_bucket_size", "stage3_prefetch_bucket_size", "stage3_param_persistence_threshold")
        zero |= dict.fromkeys(sizes, "auto")
    if options.offload:
        zero["offload_optimizer"] = {"device": "cpu", "pin_memory": on_gpu}
    return zero


def _read(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_bytes())
    except ValueError as error:
        raise CannotRun(f"--deepspeed {path} is not JSON: {error}") from None
    if not isinstance(config, dict):
        raise CannotRun(f"--deepspeed {path} holds no JSON object: give DeepSpeed's configuration")
    if said_elsewhere := [name for name in ("optimizer", "scheduler") if name in config]:
        raise CannotRun(
            f"--deepspeed {path} has a section {said_elsewhere[0]!r}, of which --learning_rate, --wd, "
            "--warmup_steps and --optimizer tell: remove it"
        )
    return config


def _free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])
