"""The folder `final`: what a run was for, in the form that loads with one line."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from phi3v_data.errors import CannotRun
from phi3v_data.fs import write_folder
from phi3v_train.base_weights import ADAPTER_WEIGHTS, BASE_FILE, write_base
from phi3v_train.checkpoint_folder import share_weights
from phi3v_train.checkpoints import FINAL, Checkpoint, trainer_state
from phi3v_train.methods import COMPUTE_DTYPES
from phi3v_train.settings import save_config
from phi3v_train.sharding import whole_models
from phi3v_train.write_errors import explain_write_error

if TYPE_CHECKING:
    from pathlib import Path

    from phi3v_train.options import TrainOptions
    from phi3v_train.runtime import Runtime

__all__ = ["find_final", "is_finished", "write_final"]

_METRICS = "metrics.json"
_ADAPTER_CONFIG = "adapter_config.json"


def find_final(output_dir: Path) -> Checkpoint | None:
    """Return what `final` holds, as a checkpoint that nothing goes on from; None where it is not there or not whole."""
    try:
        metrics = json.loads((output_dir / FINAL / _METRICS).read_bytes())
        return Checkpoint(output_dir / FINAL, int(metrics["step"]), dict(metrics["identity"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_finished(final: Checkpoint | None, checkpoint: Checkpoint | None, steps: int) -> bool:
    """Tell whether nothing is left to do of a run.

    Raises:
        CannotRun: It has become longer since, and there is no checkpoint to go on from.
    """
    if final is None:
        return False
    if final.step < steps and checkpoint is None:
        raise CannotRun(
            f"{final.folder} is of step {final.step} and this run is of {steps}, but there is no checkpoint to go on "
            "from: give another --output_dir"
        )
    return final.step >= steps


def write_final(checkpoint: Checkpoint, options: TrainOptions, runtime: Runtime) -> Path:
    """Write `final` from the run's last checkpoint: model or adapter, processor, options and figures.

    An adapter stays float32. A whole model is written in the precision that it was trained in, half the size of the
    checkpoint's float32 weights for bf16 and fp16.

    Returns:
        The folder.

    Raises:
        CannotRun: It cannot be written.
    """
    final = options.output_dir / FINAL
    try:
        with write_folder(final, last=_METRICS) as folder:
            if (checkpoint.folder / _ADAPTER_CONFIG).exists():
                _copy_adapter(checkpoint.folder, folder, options.model_name_or_path)
            else:
                _write_model(checkpoint.folder, folder, runtime.precision)
            _write_processor(checkpoint.folder, folder)
            save_config(options, folder / "run.toml")
            picture = options.output_dir / "training.png"
            if picture.exists():
                shutil.copyfile(picture, folder / picture.name)
            (folder / _METRICS).write_text(json.dumps(_metrics(checkpoint), indent=2) + "\n", encoding="utf-8")
    except (OSError, RuntimeError, SafetensorError) as error:
        raise CannotRun(explain_write_error(error, final)) from error
    return final


def _copy_adapter(source: Path, folder: Path, base: str) -> None:
    for name in (_ADAPTER_CONFIG, ADAPTER_WEIGHTS):
        shutil.copyfile(source / name, folder / name)
    if (source / BASE_FILE).exists():
        shutil.copyfile(source / BASE_FILE, folder / BASE_FILE)
    else:  # checkpoints of earlier versions have none
        write_base(folder, base)


def _write_model(source: Path, folder: Path, precision: str) -> None:
    from phi3v_train.model import Phi3VForCausalLM

    with whole_models():
        model = Phi3VForCausalLM.from_pretrained(source, dtype=COMPUTE_DTYPES[precision])
    model.save_pretrained(folder, max_shard_size="5GB")
    share_weights(folder)


def _write_processor(source: Path, folder: Path) -> None:
    from phi3v_train.model import Phi3VProcessor

    Phi3VProcessor.from_pretrained(source).save_pretrained(folder)


def _metrics(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the figures of the run's log, the last of each first."""
    history = trainer_state(checkpoint)["log_history"]
    last = {key: value for entry in history for key, value in entry.items()}
    return {"step": checkpoint.step, "identity": checkpoint.identity, "last": last, "history": history}
