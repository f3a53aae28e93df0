"""A process whose weights are cut into shards (DeepSpeed ZeRO-3): loads by a method, trains, and reports."""

import json
import sys
from pathlib import Path

import torch

from phi3v_train.methods import load_model
from phi3v_train.optimizers import build_optimizer, parameter_groups
from phi3v_train.parameters import parameter_count, parameter_table
from phi3v_train.sharding import prepare_deepspeed
from tests.phi3v_train.runs import batch, options, recompute, runtime

CONFIG = {
    "zero_optimization": {"stage": 3, "stage3_param_persistence_threshold": 0},
    "zero_force_ds_cpu_optimizer": False,
    "train_micro_batch_size_per_gpu": 1,
}


def main(checkpoint: str, method: str, report: str) -> None:
    machine = runtime(deepspeed="zero3")
    prepare_deepspeed(machine)
    import deepspeed
    from transformers.integrations import HfDeepSpeedConfig

    deepspeed.init_distributed("gloo")
    sharding = HfDeepSpeedConfig(CONFIG)  # in force for as long as it is referred to
    given = options(checkpoint, method, learning_rate=1e-3)
    model = load_model(given, machine)
    groups = [sorted(map(parameter_count, group["params"])) for group in parameter_groups(model, given)]
    parts = {part.name: [part.trainable, part.frozen] for part in parameter_table(model)}
    optimizer = build_optimizer(model, given, machine)
    engine, *_ = deepspeed.initialize(model=recompute(model), optimizer=optimizer, config=sharding.config)
    losses = []
    for _ in range(3):
        loss = engine(**batch()).loss
        engine.backward(loss)
        engine.step()
        losses.append(loss.item())
    torch.distributed.destroy_process_group()
    Path(report).write_text(json.dumps({"groups": groups, "parts": parts, "losses": losses}))


if __name__ == "__main__":
    main(*sys.argv[1:])
