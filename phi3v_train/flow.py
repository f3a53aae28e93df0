"""What follows a step: whether to log, save and stop, and what an optimizer step is to find."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from transformers import TrainerCallback

if TYPE_CHECKING:
    from phi3v_train.interruption import Interruption

__all__ = ["FlowControl"]


class FlowControl(TrainerCallback):
    """Logs at every save, saves and stops where a signal asks for it, and lets all parameters take each step.

    Args:
        interruption: Catches the signals.
        is_sharded: Whether DeepSpeed keeps the gradients.
    """

    def __init__(self, interruption: Interruption, *, is_sharded: bool) -> None:
        self.interruption = interruption
        self._is_sharded = is_sharded

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Give a gradient of zero to what a step without images has left without one.

        Among several processes it has that anyway, and the losses are not to depend on their number.
        """
        if self._is_sharded:
            return
        for parameter in model.parameters():
            if parameter.requires_grad and parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        """Decide what follows the step; runs behind transformers' own rules."""
        if self.interruption.agreed(args.device) is not None:
            control.should_save = control.should_training_stop = True
        if control.should_save:
            control.should_log = True  # the mean of a log then never spans a resume
        return control
