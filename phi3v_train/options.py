"""What a training run can be told: every flag of `phi3v-train`, its default and its meaning."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["METHODS", "Method", "TrainOptions", "fold_aliases"]

Method = Literal["full", "frozen_vision", "lora", "lora_frozen_vision", "qlora", "qlora_frozen_vision"]

METHODS: dict[Method, str] = {
    "full": "full training",
    "frozen_vision": "full training of the language part, vision frozen",
    "lora": "LoRA on language and vision",
    "lora_frozen_vision": "LoRA on language",
    "qlora": "QLoRA on language and vision",
    "qlora_frozen_vision": "QLoRA on language",
}
"""The methods there are, each in words."""


_ALIASES = {"bf16": ("precision", "bf16"), "use_flash_attention": ("attention", "flash")}


def fold_aliases(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of options with those that are another's spelling put into that one, unless they contradict."""
    folded = dict(values)
    for alias, (name, value) in _ALIASES.items():
        if folded.get(alias) is True and folded.get(name, value) in ("auto", value):
            folded |= {alias: False, name: value}
    return folded


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, (str, float, int, Path)) else value


def _split_numbers(value: Any) -> Any:
    """Take 2,1 for two numbers, given at once or one by one."""
    return [part for item in _as_list(value) for part in (item.split(",") if isinstance(item, str) else [item])]


def _flag(default: Any, section: str, description: str, **limits: Any) -> Any:
    return Field(default, description=description, json_schema_extra={"section": section}, **limits)


class TrainOptions(BaseModel):
    """The options of a run, as given or as `run.toml` holds them; what a machine makes of them is a `Runtime`."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    data_dir: Annotated[list[Path], BeforeValidator(_as_list)] = _flag(
        ..., "Data", "Dataset folder or JSONL file; several are mixed.", min_length=1
    )
    images_dir: Path | None = _flag(None, "Data", "Images folder, when it is not images/ beside the JSONL.")
    weights: Annotated[list[Annotated[float, Field(gt=0)]], BeforeValidator(_split_numbers)] = _flag(
        [], "Data", "Share of each --data_dir in an epoch, such as 2,1; default: their sizes."
    )
    train_split: str = _flag("train", "Data", "Split to train on.")
    eval_split: str = _flag("val", "Data", "Split for the loss at --eval_steps.")
    num_crops: int = _flag(16, "Data", "Most crops of 336 pixels an image is scaled to; 4 suits video.", ge=1, le=64)
    max_length: int | None = _flag(None, "Data", "Most tokens of a record; default: what the model can take.", ge=1)
    too_long: Literal["error", "drop", "cut"] = _flag(
        "error", "Data", "Records over --max_length: stop, leave out, or cut the text's end (never an image)."
    )
    group_by_length: bool = _flag(False, "Data", "Put records of similar length into one batch.")
    num_workers: int | None = _flag(
        None, "Data", "Processes that read and decode, for each device; default: up to 4.", ge=0
    )

    model_name_or_path: str = _flag("microsoft/Phi-3.5-vision-instruct", "Model", "Checkpoint: hub name or folder.")
    precision: Literal["auto", "bf16", "fp16", "fp32"] = _flag(
        "auto", "Model", "auto: bf16 where the GPU has it, else fp16; fp32 on a CPU."
    )
    bf16: bool = _flag(False, "Model", "The same as --precision bf16.")
    attention: Literal["auto", "sdpa", "flash", "eager"] = _flag(
        "auto", "Model", "auto: sdpa. flash needs the package flash-attn."
    )
    use_flash_attention: bool = _flag(False, "Model", "The same as --attention flash.")

    use_lora: bool = _flag(False, "Method", "Train LoRA adapters; without this, all weights.")
    use_qlora: bool = _flag(False, "Method", "LoRA over a base in 4 bits (NF4).")
    lora_rank: int = _flag(64, "Method", "Rank of the adapters.", ge=1)
    lora_alpha_ratio: float = _flag(2.0, "Method", "LoRA's alpha as a multiple of the rank.", gt=0)
    lora_dropout: float = _flag(0.0, "Method", "Dropout in front of the adapters.", ge=0, lt=1)
    freeze_vision_model: bool = _flag(False, "Method", "Keep the vision tower and the projector as they are.")
    preset: Literal["docvqa", "hateful_memes", "nlvr2"] | None = _flag(
        None, "Method", "The recipe's hyperparameters for this dataset; flags given beside it win."
    )

    batch_size: int = _flag(16, "Schedule", "Records in an optimizer step, over all devices.", ge=1)
    batch_size_per_gpu: int = _flag(1, "Schedule", "Records a device takes at once; the rest is accumulated.", ge=1)
    num_train_epochs: float = _flag(1, "Schedule", "Passes over the data.", gt=0)
    max_steps: int | None = _flag(None, "Schedule", "Stop after so many steps, whatever the epochs.", ge=1)
    learning_rate: float = _flag(4e-5, "Schedule", "Highest learning rate.", gt=0)
    vision_learning_rate: float | None = _flag(
        None, "Schedule", "For the vision tower and the projector; default: the same.", gt=0
    )
    warmup_steps: int | None = _flag(None, "Schedule", "Default: a tenth of the steps, at most 50.", ge=0)
    wd: float = _flag(0.01, "Schedule", "Weight decay.", ge=0)
    seed: int = _flag(0, "Schedule", "Order of the data, new weights, dropout.", ge=0, lt=2**32)

    optimizer: Literal["adamw", "adamw8bit", "paged"] = _flag(
        "adamw", "Memory", "adamw8bit and paged keep 8-bit moments (bitsandbytes)."
    )
    offload: bool = _flag(False, "Memory", "Keep the optimizer in the host's memory (DeepSpeed).")
    gradient_checkpointing: bool = _flag(True, "Memory", "Compute activations again instead of keeping them.")
    deepspeed: str | None = _flag(
        None, "Memory", "zero2, zero3, none or a FILE; default: zero2 to train all weights on more than one GPU."
    )
    device_memory: float | None = _flag(
        None,
        "Memory",
        "GiB of a device to plan for; with --dry_run it is a GPU elsewhere, computing in bf16.",
        gt=0,
    )

    output_dir: Path = _flag(Path("output"), "Output", "Folder of checkpoints, figures and the final model.")
    save_steps: int = _flag(500, "Output", "Steps between checkpoints.", ge=1)
    save_total_limit: int = _flag(2, "Output", "Checkpoints to keep.", ge=1)
    resume: str = _flag("auto", "Output", "auto: from the newest complete checkpoint; never; or a checkpoint's folder.")
    eval_steps: int | None = _flag(None, "Output", "Steps between losses on the evaluation split.", ge=1)
    logging_steps: int = _flag(10, "Output", "Steps between lines of figures.", ge=1)
    report_to: Annotated[list[str], BeforeValidator(_as_list)] = _flag(
        [], "Output", "tensorboard, wandb or another tracker that transformers knows."
    )
    no_tqdm: bool = _flag(False, "Output", "No progress bar.")
    dry_run: bool = _flag(False, "Output", "Load everything, print the plan, train nothing.")

    @model_validator(mode="before")
    @classmethod
    def _fold(cls, values: Any) -> Any:
        return fold_aliases(values) if isinstance(values, dict) else values

    @model_validator(mode="after")
    def _fit_together(self) -> TrainOptions:
        if self.weights and len(self.weights) != len(self.data_dir):
            raise ValueError(
                f"--weights has {len(self.weights)} numbers for {len(self.data_dir)} --data_dir: give one for each"
            )
        if self.bf16:  # not folded, since it contradicts
            raise ValueError(f"--bf16 and --precision {self.precision} exclude each other: give one of them")
        if self.use_flash_attention:
            raise ValueError(f"--use_flash_attention and --attention {self.attention} exclude each other: give one")
        if self.freeze_vision_model and self.vision_learning_rate is not None:
            raise ValueError(
                "--vision_learning_rate has nothing to act on with --freeze_vision_model: give one of them"
            )
        if self.images_dir is not None and len(self.data_dir) > 1:
            raise ValueError("--images_dir fits one --data_dir: put each dataset's images into images/ beside it")
        if self.offload and self.deepspeed == "none":
            raise ValueError("--offload is done by DeepSpeed: leave --deepspeed away, or give zero2 or zero3")
        if self.too_long != "error" and self.max_length is None:
            raise ValueError(f"--too_long {self.too_long} needs --max_length, the most tokens of a record")
        return self

    @property
    def method(self) -> Method:
        """The method that the flags name."""
        kind = "qlora" if self.use_qlora else "lora" if self.use_lora else "full"
        if not self.freeze_vision_model:
            return kind  # type: ignore[return-value]
        return "frozen_vision" if kind == "full" else f"{kind}_frozen_vision"  # type: ignore[return-value]

    @property
    def has_adapters(self) -> bool:
        """Whether adapters train, and not the weights themselves."""
        return self.use_lora or self.use_qlora

    @property
    def lora_alpha(self) -> int:
        """LoRA's alpha: the ratio times the rank, rounded as the recipe does."""
        return round(self.lora_rank * self.lora_alpha_ratio)
