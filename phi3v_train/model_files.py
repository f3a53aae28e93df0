"""A trained model, an adapter or a published checkpoint, found by its name."""

from __future__ import annotations

import json
import re
import tomllib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from phi3v_data.errors import CannotRun, UsageError
from phi3v_train.checkpoints import FINAL

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ModelFiles", "Quantization", "find_model", "is_run"]

Quantization = Literal["none", "nf4"]

_ADAPTER = "adapter_config.json"
_RUN = "run.toml"
_WRITTEN_BY_A_RUN = re.compile(rf"{FINAL}|checkpoint-[0-9]+")


@dataclass(frozen=True)
class ModelFiles:
    """What a name stands for.

    Attributes:
        folder: The folder or the name on the hub that holds tokenizer and image processor.
        base: The checkpoint whose weights are loaded.
        adapter: The adapter that is put on it, if it is one.
        began_with: The model that the training began with, where it is known.
        run: The options of the training run that it came from, by name; empty where they are not known.
    """

    folder: str
    base: str
    adapter: Path | None
    began_with: str | None
    run: dict[str, Any]

    @property
    def quantization(self) -> Quantization:
        """How the base was kept in training."""
        return "nf4" if self.run.get("use_qlora") else "none"

    def before(self) -> ModelFiles:
        """Return what the run began with.

        Raises:
            UsageError: It is not known to come from a run.
            CannotRun: The model that a full run began with is not there.
        """
        name = self.began_with
        if name is None:
            raise UsageError(
                f"{self.folder} is not of a training run, so there is no before: give a run's --output_dir"
            )
        if self.adapter is None and _is_gone(name):
            raise CannotRun(
                f"the model that the run began with, {name}, is not there: give it by --base, or leave it out with "
                "--when after"
            )
        return ModelFiles(name, name, None, name, self.run)


def find_model(name: str, base: str | None = None, *, has_before: bool = False) -> ModelFiles:
    """Find out what a name stands for.

    Args:
        name: A training run's folder, a folder of a checkpoint or an adapter, or a name on the hub.
        base: The model that an adapter is put on, instead of the one it names.
        has_before: Whether `base` may also say what a run without an adapter began with.

    Raises:
        CannotRun: A run has not ended or its options cannot be read, or an adapter names no base that is there.
        UsageError: A base was given for what is no adapter.
    """
    folder = Path(name)
    if is_run(name):
        folder /= FINAL
        if not folder.is_dir():
            raise CannotRun(f"the run {name} has no {FINAL} yet: let it end, or give one of its checkpoints")
    run = _run_of(folder)
    if not (folder / _ADAPTER).is_file():
        if base is not None and not (has_before and is_run(name)):
            raise UsageError(f"{name} is no adapter, so it has no --base: leave that away")
        place = str(folder) if folder.is_dir() else name
        return ModelFiles(place, place, None, base or run.get("model_name_or_path"), run)
    base = base or _base_of(folder)
    has_processor = (folder / "preprocessor_config.json").is_file()
    return ModelFiles(str(folder) if has_processor else base, base, folder, base, run)


def is_run(name: str) -> bool:
    """Tell whether a name is that of a training run's folder, and not of a model's."""
    folder = Path(name)
    return (folder / _RUN).is_file() and not any((folder / file).is_file() for file in ("config.json", _ADAPTER))


def _run_of(folder: Path) -> dict[str, Any]:
    """Return the options of the run that a folder comes from; where it tells what they came to, that."""
    folder = folder.absolute()
    places = [folder, folder.parent] if _WRITTEN_BY_A_RUN.fullmatch(folder.name) else [folder]
    run = next((_read_run(place / _RUN) for place in places if (place / _RUN).is_file()), {})
    for file in (folder / "metrics.json", folder / "complete.json"):
        with suppress(OSError, ValueError, LookupError, TypeError, AttributeError):
            run |= _options_in(json.loads(file.read_bytes())["identity"])
    return run


def _read_run(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CannotRun(
            f"{file}, the options of a training run, cannot be read: {error}; the run keeps one in its "
            f"folder and a copy in {FINAL}: put the sound one in its place"
        ) from None


def _options_in(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a checkpoint tells of its run, which may be all that is left of it."""
    names = ("model_name_or_path", "precision", "num_crops")
    options = {name: identity[name] for name in names if name in identity}
    if "method" in identity:
        options["use_qlora"] = identity["method"].startswith("qlora")
    return options


def _base_of(adapter: Path) -> str:
    try:
        base = json.loads((adapter / _ADAPTER).read_bytes()).get("base_model_name_or_path")
    except (OSError, ValueError, AttributeError) as error:
        raise CannotRun(f"the adapter {adapter} cannot be read: {error}") from None
    if not base:
        raise CannotRun(f"the adapter {adapter} names no model that it was trained on: give it by --base")
    if _is_gone(str(base)):
        raise CannotRun(f"the model that the adapter {adapter} was trained on, {base}, is not there: give it by --base")
    return str(base)


def _is_gone(name: str) -> bool:
    """Tell whether a name is a folder's, and not one on the hub, and there is no such folder."""
    return Path(name).is_absolute() and not Path(name).is_dir()
