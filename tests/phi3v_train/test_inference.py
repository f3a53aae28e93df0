"""A model found by its name: a run, an adapter, a checkpoint; and an adapter kept off weights that are not its own."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file, save_file

from phi3v_data.errors import CannotRun, UsageError
from phi3v_train.base_weights import fingerprint, identify_weights, write_base
from phi3v_train.inference import InferenceOptions, find_model, is_run, load_model
from phi3v_train.methods import prepare
from phi3v_train.model.tiny import write_tiny
from phi3v_train.pretrained import load_weights
from phi3v_train.settings import save_config
from tests.phi3v_train.runs import options, runtime

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny"
    write_tiny(folder)
    return folder


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the same shapes."""
    folder = tmp_path_factory.mktemp("checkpoint") / "other"
    write_tiny(folder, seed=1)
    return folder


@pytest.fixture
def run(tiny: Path, tmp_path: Path) -> Path:
    """What a run of LoRA leaves behind."""
    given = options(tiny, "lora", output_dir=tmp_path / "run")
    final = tmp_path / "run" / "final"
    prepare(load_weights(str(tiny)), given, runtime()).save_pretrained(final, save_embedding_layers=False)
    write_base(final, str(tiny))
    for folder in (final, final.parent):
        save_config(given, folder / "run.toml")
    identity = {"model_name_or_path": str(tiny), "precision": "fp32"}
    (final / "metrics.json").write_text(json.dumps({"step": 1, "identity": identity}))
    return final.parent


def loaded(name: Path, base: Path | None = None) -> torch.nn.Module:
    files = find_model(str(name), None if base is None else str(base))
    return load_model(files, InferenceOptions.resolve(files))


def test_names_stand_for_what_they_should(run: Path, tiny: Path) -> None:
    assert is_run(str(run)) and not is_run(str(run / "final")) and not is_run(str(tiny))
    for name in (run, run / "final"):
        files = find_model(str(name))
        assert (files.adapter, files.base, files.quantization) == (run / "final", str(tiny), "none")
        assert files.before().base == str(tiny) and files.before().adapter is None
    assert find_model("microsoft/Phi-3.5-vision-instruct").base == "microsoft/Phi-3.5-vision-instruct"
    assert find_model(str(tiny)).run == {}


def test_an_adapter_of_qlora_is_put_on_four_bits(run: Path) -> None:
    for file in (run / "run.toml", run / "final" / "run.toml"):
        file.write_text(file.read_text().replace("use_qlora = false", "use_qlora = true"))
    files = find_model(str(run))
    assert (
        InferenceOptions.resolve(files).quantization == InferenceOptions.resolve(files.before()).quantization == "nf4"
    )
    assert InferenceOptions.resolve(files, quantization="none").quantization == "none"


def test_a_run_that_has_not_ended_has_no_model_yet(run: Path) -> None:
    shutil.rmtree(run / "final")
    with pytest.raises(CannotRun, match="has no final yet: let it end, or give one of its checkpoints"):
        find_model(str(run))


def test_a_base_is_for_adapters(tiny: Path, other: Path) -> None:
    with pytest.raises(UsageError, match="is no adapter, so it has no --base"):
        find_model(str(tiny), str(other))


def test_other_weights_of_the_same_shapes_are_refused(run: Path, tiny: Path, other: Path, tmp_path: Path) -> None:
    with pytest.raises(CannotRun, match="was trained on other weights than those of"):
        loaded(run, other)
    moved = shutil.copytree(tiny, tmp_path / "moved")
    assert loaded(run, moved) is not None
    (run / "final" / "base.json").unlink()
    assert loaded(run, other) is not None, "what is not known is not refused"


def test_other_shapes_are_refused(run: Path) -> None:
    file = run / "final" / "adapter_model.safetensors"
    tensors = load_file(file)
    name = sorted(tensors)[0]
    save_file({**tensors, name: torch.zeros(3, 5)}, file, {"format": "pt"})
    with pytest.raises(
        CannotRun, match=r"1 of its tensors do not fit, such as .*, which is 3 × 5 and would have to be"
    ):
        loaded(run)
    save_file({key: tensor for key, tensor in tensors.items() if key != name}, file, {"format": "pt"})
    with pytest.raises(CannotRun, match="which is not there and would have to be"):
        loaded(run)


def test_a_broken_adapter_is_named(run: Path) -> None:
    file = run / "final" / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(CannotRun, match=r"the adapter .* cannot be loaded"):
        loaded(run)
    (run / "final" / "adapter_config.json").write_text("{}")
    with pytest.raises(CannotRun, match="names no model that it was trained on: give it by --base"):
        find_model(str(run))


def test_the_fingerprint_is_of_the_weights_alone(tiny: Path, other: Path, run: Path, tmp_path: Path) -> None:
    assert fingerprint(str(tiny)) != fingerprint(str(other))
    write_tiny(tmp_path / "shards", max_shard_size="200KB")
    assert fingerprint(str(tmp_path / "shards")) == fingerprint(str(tiny))
    load_weights(str(tiny), dtype=torch.bfloat16).save_pretrained(tmp_path / "half")
    assert fingerprint(str(tmp_path / "half")) == fingerprint(str(tiny))
    assert identify_weights(str(tiny), run / "final") != identify_weights(str(tiny), None) == fingerprint(str(tiny))
    (tmp_path / "empty").mkdir()
    assert fingerprint(str(tmp_path / "empty")) is None
