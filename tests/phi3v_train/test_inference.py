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
from phi3v_train.checkpoints import Checkpoint
from phi3v_train.cli import cli
from phi3v_train.final import write_final
from phi3v_train.inference import InferenceOptions, load_answering_processor, load_model, resolve_num_crops
from phi3v_train.methods import prepare
from phi3v_train.model import Phi3VProcessor
from phi3v_train.model.tiny import write_tiny
from phi3v_train.model_files import find_model, is_run
from phi3v_train.pretrained import load_weights
from phi3v_train.settings import save_config
from tests.phi3v_train.made_data import record, turn, write_split
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


def test_a_moved_base_is_given_anew(run: Path, tiny: Path, tmp_path: Path) -> None:
    there = shutil.copytree(tiny, tmp_path / "there")
    assert find_model(str(run), str(there)).before().base == str(there)
    config = run / "final" / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"base_model_name_or_path": str(tmp_path / "gone")}))
    assert find_model(str(run), str(there)).before().base == str(there)
    with pytest.raises(CannotRun, match=r"was trained on, .*/gone, is not there: give it by --base$"):
        find_model(str(run))


@pytest.fixture
def full(tiny: Path, tmp_path: Path) -> Path:
    """What a run without an adapter leaves behind whose base has been moved since."""
    folder = tmp_path / "full"
    shutil.copytree(tiny, folder / "final")
    save_config(options(tmp_path / "gone", output_dir=folder, num_crops=3), folder / "run.toml")
    return folder


def test_a_full_run_is_told_what_it_began_with(full: Path, tiny: Path) -> None:
    assert find_model(str(full), str(tiny), has_before=True).before().base == str(tiny)
    with pytest.raises(CannotRun, match="/gone, is not there: give it by --base, or leave it out with --when after"):
        find_model(str(full)).before()
    for name, has_before in ((full, False), (full / "final", True)):
        with pytest.raises(UsageError, match="is no adapter, so it has no --base"):
            find_model(str(name), str(tiny), has_before=has_before)


def test_a_copied_checkpoint_tells_of_its_run(run: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(run / "final", tmp_path / "checkpoint-7")
    (copied / "run.toml").unlink()
    (copied / "metrics.json").unlink()
    identity = {"method": "qlora_frozen_vision", "num_crops": 5, "precision": "bf16", "model_name_or_path": "base"}
    (copied / "complete.json").write_text(json.dumps({"step": 7, "identity": identity}))
    files = find_model(str(copied))
    assert files.quantization == "nf4" and resolve_num_crops(files, None) == 5


def test_a_model_inside_a_folder_of_a_run_is_not_of_the_run(run: Path, tiny: Path) -> None:
    for name, is_of_it in (("merged", False), ("checkpoint-3", True)):
        shutil.copytree(tiny, run / name)
        assert bool(find_model(str(run / name)).run) == is_of_it


def test_crops_are_the_given_ones_else_the_runs_else_the_checkpoints(full: Path, tiny: Path, tmp_path: Path) -> None:
    own = shutil.copytree(tiny, tmp_path / "own")
    config = own / "preprocessor_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"num_crops": 9}))
    for name, given, crops in ((own, None, 9), (own, 2, 2), (full, None, 3), (full, 2, 2)):
        files = find_model(str(name))
        assert resolve_num_crops(files, given) == crops
        assert load_answering_processor(files, given).image_processor.num_crops == crops


def test_a_folder_that_holds_no_model_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(CannotRun, match=f"^{tmp_path} holds no config.json: give the folder of a checkpoint"):
        load_answering_processor(find_model(str(tmp_path)))


def test_an_evaluation_takes_data_and_images_together_from_the_run(full: Path, tiny: Path, tmp_path: Path) -> None:
    given = options(tmp_path / "gone", output_dir=full, num_crops=1, images_dir=tmp_path / "pictures")
    save_config(given, full / "final" / "run.toml")
    command = ["eval", str(full), "--base", str(tiny), "--num_workers", "0", "--max_new_tokens", "2"]
    with pytest.raises(UsageError, match=r"^the run's --data_dir unused is not here: give --data_dir$"):
        cli.main(command, standalone_mode=False)
    write_split(tmp_path / "data", "val", [record("a", turn("What?", "This.", ("64x48.png",)))])
    cli.main([*command, "--data_dir", str(tmp_path / "data")], standalone_mode=False)
    before, after = (json.loads((full / f"eval_{when}.json").read_text()) for when in ("before", "after"))
    assert before["setting"]["model"] == str(tiny) and after["setting"]["model"] == str(full / "final")


def test_broken_options_of_a_run_are_named(run: Path) -> None:
    (run / "final" / "run.toml").write_text("use_lora = tru")
    with pytest.raises(
        CannotRun, match=r"^.*/final/run\.toml, the options of a training run, cannot be read: "
    ) as caught:
        find_model(str(run))
    assert "--config" not in str(caught.value)


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


def test_final_is_written_of_a_checkpoint_that_does_not_tell_its_base(run: Path, tiny: Path) -> None:
    checkpoint = run.parent / "checkpoint-1"
    (run / "final").rename(checkpoint)
    Phi3VProcessor.from_pretrained(tiny).save_pretrained(checkpoint)
    told = (checkpoint / "base.json").read_bytes()
    (checkpoint / "base.json").unlink()
    (checkpoint / "trainer_state.json").write_text(json.dumps({"log_history": []}))
    given = options(tiny, "lora", output_dir=run)
    final = write_final(Checkpoint(checkpoint, 1, {}), given, runtime())
    assert (final / "base.json").read_bytes() == told
