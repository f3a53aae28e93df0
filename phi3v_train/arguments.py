"""A run's settings in the words of transformers' Trainer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from transformers import TrainingArguments

from phi3v_train.sharding import deepspeed_config

if TYPE_CHECKING:
    from phi3v_train.options import TrainOptions
    from phi3v_train.runtime import Runtime

__all__ = ["training_arguments"]

_CLIPPING = 1.0


def training_arguments(options: TrainOptions, runtime: Runtime) -> TrainingArguments:
    """Translate the settings; this starts the communication among processes.

    What our trainer does itself is not among them: order of the data, optimizer, schedule, rotation of checkpoints.
    The number of steps is set once the data has been looked at.
    """
    on_cpu = runtime.device == "cpu"
    arguments = TrainingArguments(
        output_dir=str(options.output_dir),
        max_steps=1,
        per_device_train_batch_size=options.batch_size_per_gpu,
        per_device_eval_batch_size=options.batch_size_per_gpu,
        gradient_accumulation_steps=runtime.accumulation,
        max_grad_norm=_CLIPPING,
        bf16=runtime.precision == "bf16",
        fp16=runtime.precision == "fp16",
        activation_checkpointing=options.gradient_checkpointing,
        activation_checkpointing_kwargs={"use_reentrant": False},
        logging_steps=options.logging_steps,
        logging_nan_inf_filter=False,
        eval_strategy="steps" if options.eval_steps else "no",
        eval_steps=options.eval_steps,
        save_steps=options.save_steps,
        seed=options.seed,
        use_cpu=on_cpu,
        ddp_backend=("gloo" if on_cpu else "nccl") if runtime.processes.count > 1 else None,
        ddp_find_unused_parameters=False,
        deepspeed=deepspeed_config(options, runtime),
        dataloader_num_workers=runtime.num_workers,
        dataloader_pin_memory=not on_cpu,
        remove_unused_columns=False,
        report_to=options.report_to or "none",
        disable_tqdm=True,
        log_level="error",
        log_level_replica="error",
    )
    # Without torchrun the Trainer would spread each batch over all GPUs it sees, in threads of one process.
    arguments._n_gpu = min(1, arguments.n_gpu)
    return arguments
