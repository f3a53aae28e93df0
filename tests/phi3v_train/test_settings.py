"""Options from flags, a file and a preset, and the file that a run leaves behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from phi3v_data.errors import CannotRun, UsageError
from phi3v_train.options import TrainOptions
from phi3v_train.plan import identify
from phi3v_train.runtime import Processes, Runtime
from phi3v_train.settings import gather_options, read_config_file, save_config, with_preset

if TYPE_CHECKING:
    from pathlib import Path


def test_flags_win_over_the_file_and_both_over_defaults(tmp_path: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text('data_dir = "data"\nbatch_size = 64\nuse_lora = true\nweights = 2\n')
    options, given = gather_options({"batch_size": "32"}, config)
    assert (options.batch_size, options.use_lora, options.weights, options.wd) == (32, True, [2.0], 0.01)
    assert given == {"data_dir", "batch_size", "use_lora", "weights"}


def test_a_saved_file_gives_the_same_options(tmp_path: Path) -> None:
    flags = {"data_dir": ["a", "b"], "weights": ["2,1"], "max_steps": 7, "use_qlora": True, "report_to": "tensorboard"}
    options, _ = gather_options(flags)
    save_config(options, tmp_path / "run.toml")
    assert gather_options({}, tmp_path / "run.toml")[0] == options
    assert "eval_steps" not in read_config_file(tmp_path / "run.toml")


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({}, "--data_dir is missing: dataset folder or JSONL file; several are mixed"),
        ({"batch_size": "many"}, r"--batch_size: input should be a valid integer.* \(given: 'many'\)"),
        ({"lora_dropout": "1"}, r"--lora_dropout: input should be less than 1 \(given: '1'\)"),
        ({"weights": ["2,1"]}, "--weights has 2 numbers for 1 --data_dir: give one for each"),
        ({"weights": ["0"]}, "--weights: input should be greater than 0"),
        ({"bf16": True, "precision": "fp32"}, "--bf16 and --precision fp32 exclude each other"),
        ({"use_flash_attention": True, "attention": "eager"}, "--use_flash_attention and --attention eager exclude"),
        ({"freeze_vision_model": True, "vision_learning_rate": 1e-5}, "--vision_learning_rate has nothing to act on"),
        ({"data_dir": ["a", "b"], "images_dir": "c"}, "--images_dir fits one --data_dir"),
        ({"offload": True, "deepspeed": "none"}, "--offload is done by DeepSpeed"),
        ({"too_long": "drop"}, "--too_long drop needs --max_length"),
        ({"attention": "fast"}, "--attention: input should be 'auto', 'sdpa', 'flash' or 'eager'"),
    ],
)
def test_what_does_not_fit_is_one_sentence(flags: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        gather_options({"data_dir": "data", **flags} if flags else {})


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("batch_sise = 3", UsageError, "run.toml has an option 'batch_sise' that there is not: see phi3v-train --help"),
        ("batch_size = 'x'", UsageError, "run.toml: batch_size: input should be a valid integer"),
        ("batch_size", CannotRun, "run.toml is not TOML: "),
    ],
)
def test_a_file_with_faults(tmp_path: Path, text: str, error: type[Exception], says: str) -> None:
    config = tmp_path / "run.toml"
    config.write_text(text)
    with pytest.raises(error, match=says):
        gather_options({"data_dir": "data"}, config)
    with pytest.raises(CannotRun, match=r"nothing\.toml cannot be read: No such file"):
        read_config_file(tmp_path / "nothing.toml")


def test_a_preset_fills_in_what_was_not_given() -> None:
    options, given = gather_options({"data_dir": "d", "preset": "docvqa", "use_lora": True, "num_train_epochs": 5})
    filled = with_preset(options, given, "bf16")
    assert (filled.learning_rate, filled.lora_rank, filled.lora_alpha, filled.batch_size) == (2e-4, 32, 16, 64)
    assert filled.num_train_epochs == 5


@pytest.mark.parametrize(
    ("flags", "method"),
    [
        ({}, "full"),
        ({"freeze_vision_model": True}, "frozen_vision"),
        ({"use_lora": True}, "lora"),
        ({"use_lora": True, "use_qlora": True}, "qlora"),
        ({"use_qlora": True, "freeze_vision_model": True}, "qlora_frozen_vision"),
    ],
)
def test_flags_name_the_method(flags: dict[str, bool], method: str) -> None:
    assert TrainOptions(data_dir="d", **flags).method == method


def test_a_flag_wins_over_the_file_in_either_spelling(tmp_path: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text('data_dir = "d"\nprecision = "fp32"\nattention = "eager"\nbf16 = false\nuse_lora = true\n')
    options, _ = gather_options({"bf16": True, "use_flash_attention": True, "use_lora": False}, config)
    assert (options.precision, options.attention, options.bf16, options.use_lora) == ("bf16", "flash", False, False)


def test_every_option_either_shapes_the_losses_or_does_not() -> None:
    """A new option must be put into one of the two, or a run would go on under another one unasked."""
    runtime = Runtime(Processes(), "cpu", "fp32", "sdpa", None, 1, 0)
    identity = identify(TrainOptions(data_dir="d", use_lora=True), runtime, "f" * 64)
    by_other_names = {"data_dir", "use_lora", "use_qlora", "freeze_vision_model", "preset", "bf16"}
    length = {"num_train_epochs", "max_steps"}
    speed_and_memory = {"batch_size_per_gpu", "num_workers", "attention", "use_flash_attention", "offload"}
    speed_and_memory |= {"gradient_checkpointing", "deepspeed", "device_memory"}
    output = {"output_dir", "save_steps", "save_total_limit", "resume", "eval_steps", "eval_split", "logging_steps"}
    output |= {"report_to", "no_tqdm", "dry_run"}
    place = {"images_dir"}
    rest = by_other_names | length | speed_and_memory | output | place
    assert set(TrainOptions.model_fields) == (identity.keys() & set(TrainOptions.model_fields)) | rest
    assert not identity.keys() & rest
