"""The loop: transformers' Trainer, with our order, optimizer, checkpoints, figures and ways to stop."""

from __future__ import annotations

import time
from collections import deque
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate.utils import AutocastKwargs
from safetensors import SafetensorError
from torch import Tensor, distributed
from transformers import Trainer

from phi3v_data.errors import CannotRun
from phi3v_train.base_weights import write_base
from phi3v_train.checkpoint_folder import share_weights
from phi3v_train.checkpoints import checkpoint_folder, complete, read_checkpoint, remove_checkpoint, remove_old
from phi3v_train.memory_check import peak_memory
from phi3v_train.optimizers import build_optimizer, linear_schedule, warmup_steps
from phi3v_train.readers import begun, readers_start, shielded
from phi3v_train.sampling import EvenData, tell_epochs
from phi3v_train.together import first_said, on_main, wait_for_all
from phi3v_train.write_errors import explain_write_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch.utils.data import DataLoader

    from phi3v_train.model import Phi3VProcessor
    from phi3v_train.options import TrainOptions
    from phi3v_train.runtime import Runtime
    from phi3v_train.sampling import EpochSampler

__all__ = ["Phi3VTrainer"]

_BESIDE_INPUTS = ("records", "failure")


class Phi3VTrainer(Trainer):
    """Trains one run.

    Args:
        options: The run's options.
        runtime: What the machine makes of them.
        processor: Saved with each checkpoint.
        sampler: The order of the training data.
        identity: What a checkpoint must have in common with a run that goes on from it.
        **kwargs: As `Trainer` takes them.
    """

    optimizer: Any
    lr_scheduler: Any
    control: Any

    def __init__(
        self,
        *,
        options: TrainOptions,
        runtime: Runtime,
        processor: Phi3VProcessor,
        sampler: EpochSampler,
        identity: Mapping[str, Any],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        # It would keep a copy of every weight in half precision until the forward pass ends, and use each once.
        self.accelerator.autocast_handler = AutocastKwargs(cache_enabled=False)
        self._options = options
        self._runtime = runtime
        self._processor = processor
        self._sampler = sampler
        self._identity = identity
        self._iterator: Any = None
        self._rows: deque[list[str]] = deque()
        self._work = torch.zeros(2, device=self.args.device, dtype=torch.float64)
        self._clock = time.perf_counter()

    # Data

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Return the batches of this process, in the sampler's order."""
        loader = super().get_train_dataloader()
        tell_epochs(loader, self._sampler)
        return shielded(loader)

    def _get_train_sampler(self, train_dataset: Any = None) -> EpochSampler:
        return self._sampler

    def get_batch_samples(self, epoch_iterator: Any, *args: Any, **kwargs: Any) -> tuple[list[Any], Any]:
        """Take the batches of one optimizer step, and what names their rows out of them.

        Raises:
            CannotRun: Some process could not read a record; the last step is saved.
        """
        begins = epoch_iterator is not self._iterator
        self._iterator = epoch_iterator
        with readers_start() if begins else nullcontext():
            batches, items = super().get_batch_samples(epoch_iterator, *args, **kwargs)
        failures = [batch["failure"] for batch in batches if "failure" in batch]
        if self._anywhere(bool(failures)):
            self._save_last_step()
            raise CannotRun(first_said(failures))
        self._rows.extend(batch.pop("records") for batch in batches)
        return batches, items

    def _anywhere(self, is_here: bool) -> bool:
        """Tell all processes whether something is so in one of them."""
        if self.args.world_size == 1:
            return is_here
        flag = torch.tensor(is_here, device=self.args.device, dtype=torch.uint8)
        distributed.all_reduce(flag, op=distributed.ReduceOp.MAX)
        return bool(flag)

    def _save_last_step(self) -> None:
        """Save what the steps so far have come to, unless it is saved."""
        step = self.state.global_step
        folder = checkpoint_folder(self._options.output_dir, step)
        if step and on_main(lambda: read_checkpoint(folder) is None):
            self._save_checkpoint(self.model_wrapped, None)

    # Step

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """Make the optimizer once."""
        if self.optimizer is None:
            self.optimizer = build_optimizer(model or self.model, self._options, self._runtime)
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """Make the linear schedule once."""
        if self.lr_scheduler is None:
            factor = linear_schedule(warmup_steps(self._options, num_training_steps), num_training_steps)
            self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer or self.optimizer, factor)
            self._created_lr_scheduler = True
        return self.lr_scheduler

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        """Load both, and set the learning rates of this run's plan, which may be longer than the checkpoint's."""
        super()._load_optimizer_and_scheduler(checkpoint)
        schedule = self.lr_scheduler
        for group, rate, factor in zip(
            self.optimizer.param_groups, schedule.base_lrs, schedule.lr_lambdas, strict=True
        ):
            group["lr"] = rate * factor(schedule.last_epoch)
        schedule._last_lr = [group["lr"] for group in self.optimizer.param_groups]  # what is logged of the next step

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Tensor:
        """Go forward and back over one batch.

        Raises:
            CannotRun: The loss is no number.
        """
        rows = self._rows.popleft()
        self._work[0] += inputs["attention_mask"].sum()
        self._work[1] += len(inputs.get("image_sizes", ()))
        loss: Tensor = super().training_step(model, inputs, num_items_in_batch)
        if not torch.isfinite(loss):
            raise CannotRun(
                f"the loss is {loss.item()} in step {self.state.global_step + 1} at {', '.join(rows)}: look at these "
                "records, then try a lower --learning_rate, or --precision bf16 instead of fp16"
            )
        return loss

    def floating_point_ops(self, inputs: Any) -> int:
        """Skip the count of operations, which goes through all parameters for a figure that nobody reads."""
        return 0

    # Figures

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add speed and memory to the figures of training."""
        if "loss" in logs:
            logs.update(self._speed())
        super().log(logs, None)

    def _speed(self) -> dict[str, float]:
        """Return tokens and images a second on all devices since the last call, and the highest peak of memory."""
        now = time.perf_counter()
        if self.args.world_size > 1:
            distributed.all_reduce(self._work)
        tokens, images = (self._work / (now - self._clock)).tolist()
        self._work.zero_()
        self._clock = now
        return {"tokens_per_second": tokens, "images_per_second": images, "peak_memory_gb": peak_memory() / 1e9}

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Compute the mean loss over the tokens of the evaluation split, each record counted once."""
        model = self.model_wrapped
        model.eval()
        total = torch.zeros(2, device=self.args.device, dtype=torch.float64)
        for batch in begun(self.get_eval_dataloader()):
            if "failure" in batch:
                raise CannotRun(batch["failure"])
            inputs = {name: value for name, value in batch.items() if name not in _BESIDE_INPUTS}
            with torch.no_grad():
                total[0] += model(**inputs, num_items_in_batch=1).loss
            total[1] += inputs["labels"][:, 1:].ne(-100).sum()
        if self.args.world_size > 1:
            distributed.all_reduce(total)
        metrics = {"eval_loss": float(total[0] / total[1])}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        self._clock = time.perf_counter()
        return metrics

    def get_eval_dataloader(self, eval_dataset: Any = None) -> DataLoader[Any]:
        """Return the batches of this process, as many as every other process has."""
        multiple = self.args.per_device_eval_batch_size * self.args.world_size
        return shielded(super().get_eval_dataloader(EvenData(self.eval_dataset, multiple)))

    # Checkpoints

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write a checkpoint that counts only once all of it, from every process, is on the disk."""
        folder = checkpoint_folder(self._options.output_dir, self.state.global_step)
        if self.is_world_process_zero():
            remove_checkpoint(folder)
        wait_for_all()
        try:
            super()._save_checkpoint(model, trial)
            wait_for_all()
            if self.is_world_process_zero():
                complete(folder, self.state.global_step, self._identity)
                remove_old(self._options.output_dir, self._options.save_total_limit)
        except (OSError, RuntimeError, SafetensorError) as error:
            sentence = explain_write_error(error, folder)
            remove_checkpoint(folder)  # what is there of it takes room that others lack
            raise CannotRun(sentence) from error
        wait_for_all()
        self._clock = time.perf_counter()

    def _save(self, output_dir: Any = None, state_dict: Any = None) -> None:
        if not self.args.should_save:
            return
        is_adapter = hasattr(self.model, "peft_config")
        # lm_head is a target of the adapters, for which PEFT would save the whole embedding beside them.
        own = {"save_embedding_layers": False} if is_adapter else {}
        self.model.save_pretrained(output_dir, state_dict=state_dict, **own)
        share_weights(Path(output_dir))
        self._processor.save_pretrained(output_dir)
        if is_adapter:
            write_base(Path(output_dir), self._options.model_name_or_path)
