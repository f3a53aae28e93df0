"""The hyperparameters that the original recipe publishes for three datasets, beside the scores they reached, as data.

Source: the tables under "Suggested hyperparameters and expected accuracy" of Microsoft's fine-tuning recipe,
`md/03.FineTuning/FineTuning_Vision.md` in the repository microsoft/Phi-3CookBook (now microsoft/PhiCookBook) at
commit d50eaa9. Its older edition under `md/04.Fine-tuning` and the translations have the same figures.

The tables give batch size, learning rate, epochs and, for LoRA, rank and alpha. All else is left to the flags'
defaults. Only NLVR2 was measured on Phi-3.5-vision; it has no LoRA yet, and nothing in fp16. The recipe calls the
model of the other two tables Phi-3-vision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from phi3v_data.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PRESETS", "Preset", "Setting", "preset_notes", "preset_options"]


class Setting(NamedTuple):
    """One row of the recipe's tables.

    Attributes:
        batch_size: Records in an optimizer step, over all devices.
        learning_rate: Highest learning rate.
        num_train_epochs: Passes over the data.
        score: What the recipe reached, in per cent of the preset's metric.
        lora_rank: None without LoRA.
        lora_alpha: Alpha itself, not its ratio to the rank; None without LoRA.
    """

    batch_size: int
    learning_rate: float
    num_train_epochs: int
    score: float
    lora_rank: int | None = None
    lora_alpha: int | None = None


class Preset(NamedTuple):
    """What the recipe publishes for one dataset.

    Attributes:
        model: Checkpoint on which the scores were measured.
        metric: What the scores are.
        settings: Those there are, by method and precision.
    """

    model: str
    metric: str
    settings: Mapping[tuple[str, str], Setting]


PRESETS: Mapping[str, Preset] = {
    "docvqa": Preset(
        model="Phi-3-vision-128k-instruct",
        metric="ANLS",
        settings={
            ("full", "bf16"): Setting(64, 5e-6, 2, 83.65),
            ("full", "fp16"): Setting(64, 5e-6, 2, 82.60),
            ("frozen_vision", "bf16"): Setting(64, 1e-4, 2, 79.19),
            ("frozen_vision", "fp16"): Setting(64, 1e-4, 2, 78.74),
            ("lora", "bf16"): Setting(64, 2e-4, 2, 82.46, lora_rank=32, lora_alpha=16),
            ("lora", "fp16"): Setting(64, 2e-4, 2, 82.34, lora_rank=32, lora_alpha=16),
            ("qlora", "bf16"): Setting(64, 2e-4, 2, 81.85, lora_rank=32, lora_alpha=16),
            ("qlora", "fp16"): Setting(64, 2e-4, 2, 81.85, lora_rank=32, lora_alpha=16),
        },
    ),
    "hateful_memes": Preset(
        model="Phi-3-vision-128k-instruct",
        metric="accuracy",
        settings={
            ("full", "bf16"): Setting(64, 5e-5, 2, 86.4),
            ("full", "fp16"): Setting(64, 5e-5, 2, 85.4),
            ("frozen_vision", "bf16"): Setting(64, 1e-4, 3, 79.4),
            ("frozen_vision", "fp16"): Setting(64, 1e-4, 3, 78.6),
            ("lora", "bf16"): Setting(64, 2e-4, 2, 86.6, lora_rank=128, lora_alpha=256),
            ("lora", "fp16"): Setting(64, 2e-4, 2, 85.2, lora_rank=128, lora_alpha=256),
            ("qlora", "bf16"): Setting(64, 2e-4, 2, 84.0, lora_rank=128, lora_alpha=256),
            ("qlora", "fp16"): Setting(64, 2e-4, 2, 83.8, lora_rank=128, lora_alpha=256),
        },
    ),
    "nlvr2": Preset(
        model="Phi-3.5-vision-instruct",
        metric="accuracy",
        settings={
            ("full", "bf16"): Setting(64, 1e-5, 3, 89.40),
            ("frozen_vision", "bf16"): Setting(64, 2e-5, 2, 89.20),
        },
    ),
}
"""The recipe's tables, by dataset."""


def preset_options(name: str, method: str, precision: str) -> dict[str, Any]:
    """Return the flags' values that the recipe publishes for a dataset.

    Args:
        name: One of `PRESETS`.
        method: As `phi3v_train.options.METHODS` names it.
        precision: bf16, fp16, or fp32, which takes the values of bf16.

    Returns:
        `batch_size`, `learning_rate`, `num_train_epochs` and, for LoRA, `lora_rank` and `lora_alpha_ratio`.

    Raises:
        UsageError: The recipe has no such table, or no such row in it.
    """
    setting = _find(name, method, precision)
    options: dict[str, Any] = {
        "batch_size": setting.batch_size,
        "learning_rate": setting.learning_rate,
        "num_train_epochs": setting.num_train_epochs,
    }
    if setting.lora_rank is not None and setting.lora_alpha is not None:
        options["lora_rank"] = setting.lora_rank
        options["lora_alpha_ratio"] = setting.lora_alpha / setting.lora_rank
    return options


def preset_notes(name: str, method: str, precision: str) -> str:
    """Say in one line for the log what the recipe reached with the values of `preset_options`, and on which model."""
    score = _find(name, method, precision).score
    preset = PRESETS[name]
    published = _published(precision)
    return f"the recipe's {name}, {method} in {published}: {score} {preset.metric}, measured on {preset.model}"


def _find(name: str, method: str, precision: str) -> Setting:
    if name not in PRESETS:
        raise UsageError(f"there is no preset {name}; there are {', '.join(PRESETS)}")
    settings = PRESETS[name].settings
    setting = settings.get((method, _published(precision)))
    if setting is None:
        there_are = ", ".join(f"{method} in {precision}" for method, precision in settings)
        raise UsageError(
            f"the recipe publishes no hyperparameters for {name} with {method} in {precision}; it has: {there_are} "
            "(bf16's serve fp32 too)"
        )
    return setting


def _published(precision: str) -> str:
    """Return the precision whose values serve: fp32 is for a machine without a GPU, and the recipe has none."""
    return "bf16" if precision == "fp32" else precision
