"""What a run says while it runs: lines of figures, a bar on a terminal, and `training.png` at every save."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click
from transformers import TrainerCallback

from phi3v_train.chart import draw_training

if TYPE_CHECKING:
    from pathlib import Path

    from rich.progress import Progress, TaskID

__all__ = ["ProgressReport", "figures_line"]

_SHOWN = (
    ("loss", "loss {:.4f}"),
    ("eval_loss", "evaluation loss {:.4f}"),
    ("learning_rate", "lr {:.2e}"),
    ("grad_norm", "grad norm {:.2f}"),
    ("tokens_per_second", "{:,.0f} tokens/s"),
    ("images_per_second", "{:,.1f} images/s"),
    ("peak_memory_gb", "peak {:.1f} GB"),
)


def figures_line(step: int, steps: int, figures: dict[str, Any]) -> str:
    """Return the figures of a step as one line."""
    shown = [form.format(figures[key]) for key, form in _SHOWN if isinstance(figures.get(key), (int, float))]
    return "  ".join([f"step {step:>{len(str(steps))}}/{steps}", *shown])


class ProgressReport(TrainerCallback):
    """Reports of the main process.

    Args:
        output_dir: Where `training.png` goes.
        bar: Whether to show a bar; it is shown on a terminal only.
    """

    def __init__(self, output_dir: Path, *, bar: bool) -> None:
        self._output_dir = output_dir
        self._wants_bar = bar and sys.stderr.isatty()
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Show the bar."""
        if not (self._wants_bar and state.is_world_process_zero):
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

        columns = ("training", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), "left", TimeRemainingColumn())
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task("training", total=state.max_steps, completed=state.global_step)
        self._bar.start()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Move the bar."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=state.global_step)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        """Print the figures."""
        if not state.is_world_process_zero or not logs or not {"loss", "eval_loss"} & set(logs):
            return
        line = figures_line(state.global_step, state.max_steps, logs)
        if self._bar is not None:
            self._bar.console.print(line, highlight=False, markup=False, soft_wrap=True)
        else:
            click.echo(line)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Draw the picture, for whose sake no run ends."""
        if state.is_world_process_zero:
            try:
                draw_training(state.log_history, self._output_dir / "training.png")
            except OSError as error:
                click.echo(f"Warning: training.png was not written: {error.strerror}", err=True)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Take the bar away."""
        self.close()

    def close(self) -> None:
        """Take the bar away, also after an error."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
