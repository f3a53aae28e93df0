"""Where the options of a run come from: flags, a TOML file, a preset; and the file that a run leaves behind."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import tomli_w
from pydantic import ValidationError

from phi3v_data.errors import CannotRun, UsageError
from phi3v_data.fs import write_atomic
from phi3v_train.options import TrainOptions, fold_aliases

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["gather_options", "read_config_file", "save_config", "with_preset"]


def gather_options(flags: Mapping[str, Any], config: Path | None = None) -> tuple[TrainOptions, frozenset[str]]:
    """Join the flags that were given with those of a file; flags win.

    Args:
        flags: Values by option name, only those given.
        config: A TOML file of the same names.

    Returns:
        The options, and the names that were given at all: a preset fills none of those.

    Raises:
        UsageError: A value does not fit, an option is missing or there is no such one.
        CannotRun: The file cannot be read.
    """
    given = {**fold_aliases(read_config_file(config) if config else {}), **fold_aliases(flags)}
    try:
        return TrainOptions.model_validate(given), frozenset(given)
    except ValidationError as error:
        raise UsageError(_sentence(error, flags, config)) from None


def read_config_file(path: Path) -> dict[str, Any]:
    """Read the options in a TOML file; paths in it are taken from the current folder, as in flags.

    Raises:
        CannotRun: There is no such file, or it is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CannotRun(f"--config {path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CannotRun(f"--config {path} is not TOML: {error}") from None


def save_config(options: TrainOptions, path: Path) -> None:
    """Write all options as a file that `--config` reads; what is not set is left out."""
    values = options.model_dump(mode="json", exclude_none=True)
    write_atomic(path, tomli_w.dumps(values).encode())


def with_preset(options: TrainOptions, given: frozenset[str], precision: str) -> TrainOptions:
    """Fill in the hyperparameters of a preset where no flag and no file names them.

    Raises:
        UsageError: The recipe publishes none for this method and precision.
    """
    from phi3v_train.presets import preset_options

    assert options.preset is not None
    values = preset_options(options.preset, options.method, precision)
    return options.model_copy(update={name: value for name, value in values.items() if name not in given})


def _sentence(error: ValidationError, flags: Mapping[str, Any], config: Path | None) -> str:
    """Return what is wrong with the first option at fault, and where it was given."""
    first = error.errors(include_url=False)[0]
    says = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:  # a rule about several options words itself
        return says
    name = str(first["loc"][0])
    if first["type"] == "missing":
        return f"--{name} is missing: {_description(name)}"
    if first["type"] == "extra_forbidden":
        return f"{config} has an option {name!r} that there is not: see phi3v-train --help"
    source = f"--{name}" if name in flags else f"{config}: {name}"
    return f"{source}: {says[:1].lower()}{says[1:]} (given: {first['input']!r})"


def _description(name: str) -> str:
    description = TrainOptions.model_fields[name].description or ""
    return description[:1].lower() + description[1:].rstrip(".")
