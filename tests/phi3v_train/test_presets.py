"""The presets against the recipe's tables, typed by hand from its page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, get_args

import pytest

from phi3v_data.errors import UsageError
from phi3v_train.options import METHODS, TrainOptions
from phi3v_train.presets import PRESETS, preset_notes, preset_options

if TYPE_CHECKING:
    from collections.abc import Callable

DOCVQA = """
full          bf16 -  -  64 5e-6 2 83.65
full          fp16 -  -  64 5e-6 2 82.60
frozen_vision bf16 -  -  64 1e-4 2 79.19
frozen_vision fp16 -  -  64 1e-4 2 78.74
lora          bf16 32 16 64 2e-4 2 82.46
lora          fp16 32 16 64 2e-4 2 82.34
qlora         bf16 32 16 64 2e-4 2 81.85
qlora         fp16 32 16 64 2e-4 2 81.85
"""
HATEFUL_MEMES = """
full          bf16 -   -   64 5e-5 2 86.4
full          fp16 -   -   64 5e-5 2 85.4
frozen_vision bf16 -   -   64 1e-4 3 79.4
frozen_vision fp16 -   -   64 1e-4 3 78.6
lora          bf16 128 256 64 2e-4 2 86.6
lora          fp16 128 256 64 2e-4 2 85.2
qlora         bf16 128 256 64 2e-4 2 84.0
qlora         fp16 128 256 64 2e-4 2 83.8
"""
NLVR2 = """
full          bf16 - - 64 1e-5 3 89.40
frozen_vision bf16 - - 64 2e-5 2 89.20
"""
TABLES = {"docvqa": DOCVQA, "hateful_memes": HATEFUL_MEMES, "nlvr2": NLVR2}
ROWS = [(name, *row.split()) for name, table in TABLES.items() for row in table.strip().splitlines()]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "-".join(row[:3]))
def test_a_row_of_the_recipe(row: tuple[str, ...]) -> None:
    name, method, precision, rank, alpha, batch_size, learning_rate, epochs, score = row
    setting = PRESETS[name].settings[method, precision]
    assert setting.score == float(score)
    assert [str(value or "-") for value in (setting.lora_rank, setting.lora_alpha)] == [rank, alpha]
    lora = {} if rank == "-" else {"lora_rank": int(rank), "lora_alpha_ratio": int(alpha) / int(rank)}
    assert preset_options(name, method, precision) == {
        "batch_size": int(batch_size),
        "learning_rate": float(learning_rate),
        "num_train_epochs": int(epochs),
        **lora,
    }


def test_there_are_no_other_rows() -> None:
    there_are = [(name, *cell) for name, preset in PRESETS.items() for cell in preset.settings]
    assert there_are == [row[:3] for row in ROWS]
    assert {method for _, method, _ in there_are} <= set(METHODS)
    assert set(get_args(get_args(TrainOptions.model_fields["preset"].annotation)[0])) == set(PRESETS)


@pytest.mark.parametrize(("name", "ratio"), [("docvqa", 0.5), ("hateful_memes", 2.0)])
def test_the_flag_is_alpha_over_rank_and_gives_alpha_back(name: str, ratio: float) -> None:
    options = preset_options(name, "lora", "bf16")
    assert options["lora_alpha_ratio"] == ratio
    flags = TrainOptions(data_dir=["data"], use_lora=True, **options)
    assert flags.lora_alpha == PRESETS[name].settings["lora", "bf16"].lora_alpha


def test_fp32_takes_what_bf16_has() -> None:
    for name, preset in PRESETS.items():
        for method in {method for method, _ in preset.settings}:
            assert preset_options(name, method, "fp32") == preset_options(name, method, "bf16")
            assert preset_notes(name, method, "fp32") == preset_notes(name, method, "bf16")


def test_the_log_says_what_was_measured_on_which_model() -> None:
    assert preset_notes("docvqa", "lora", "fp16") == (
        "the recipe's docvqa, lora in fp16: 82.34 ANLS, measured on Phi-3-vision-128k-instruct"
    )
    assert preset_notes("hateful_memes", "qlora", "bf16") == (
        "the recipe's hateful_memes, qlora in bf16: 84.0 accuracy, measured on Phi-3-vision-128k-instruct"
    )
    assert preset_notes("nlvr2", "full", "bf16") == (
        "the recipe's nlvr2, full in bf16: 89.4 accuracy, measured on Phi-3.5-vision-instruct"
    )


@pytest.mark.parametrize("ask", [preset_options, preset_notes])
@pytest.mark.parametrize(
    ("method", "precision"), [("full", "fp16"), ("lora", "bf16"), ("lora", "fp32"), ("full", "auto")]
)
def test_an_empty_cell_is_refused_by_naming_those_there_are(
    ask: Callable[[str, str, str], object], method: str, precision: str
) -> None:
    message = (
        f"the recipe publishes no hyperparameters for nlvr2 with {method} in {precision}; "
        "it has: full in bf16, frozen_vision in bf16 (bf16's serve fp32 too)"
    )
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        ask("nlvr2", method, precision)


def test_lora_on_the_language_alone_is_in_no_table() -> None:
    for name in PRESETS:
        for method in ("lora_frozen_vision", "qlora_frozen_vision"):
            with pytest.raises(UsageError, match=f"for {name} with {method} in bf16"):
                preset_options(name, method, "bf16")


def test_an_unknown_preset_is_refused_by_naming_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"^there is no preset ucf101; there are docvqa, hateful_memes, nlvr2$"):
        preset_options("ucf101", "full", "bf16")
