"""Merging: the weights are the sums, rounded once; what is written is the base with its adapter, or nothing is."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import torch
from bitsandbytes.functional import dequantize_4bit, quantize_4bit
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file

from phi3v_data.errors import CannotRun, UsageError
from phi3v_train import merge as merging
from phi3v_train.base_weights import write_base
from phi3v_train.inference import InferenceOptions, load_model
from phi3v_train.merge import merge_adapter
from phi3v_train.methods import four_bits, keep_layout
from phi3v_train.methods import load_model as load_to_train
from phi3v_train.model import Phi3VForCausalLM, Phi3VProcessor
from phi3v_train.model.tiny import write_tiny
from phi3v_train.model_files import find_model
from tests.helpers import run_python, snapshot
from tests.phi3v_train.runs import batch, options, runtime

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

    Adapter = Callable[..., Path]

QKV = "model.layers.0.self_attn.qkv_proj"
SCALE = 2.0


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny"
    write_tiny(folder)
    return folder


@pytest.fixture(scope="module")
def half(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny checkpoint in bfloat16."""
    folder = tmp_path_factory.mktemp("checkpoint") / "half"
    Phi3VForCausalLM.from_pretrained(tiny, dtype=torch.bfloat16).save_pretrained(folder)
    Phi3VProcessor.from_pretrained(tiny).save_pretrained(folder)
    return folder


@pytest.fixture
def adapter(tiny: Path, tmp_path: Path) -> Adapter:
    """Write what a run leaves of an adapter that has learnt something."""

    def write(method: str = "lora", base: Path = tiny, name: str = "adapter") -> Path:
        model: Any = load_to_train(options(base, method), runtime())
        generator = torch.Generator().manual_seed(0)
        for key, parameter in model.named_parameters():
            if "lora_B" in key:
                parameter.data.normal_(std=0.05, generator=generator)
        folder = tmp_path / name
        model.save_pretrained(folder, save_embedding_layers=False)
        Phi3VProcessor.from_pretrained(base).save_pretrained(folder)
        write_base(folder, str(base))
        (folder / "run.toml").write_text(f"num_crops = 1\nuse_qlora = {str('qlora' in method).lower()}\n")
        return folder

    return write


def tensors(folder: Path) -> dict[str, Tensor]:
    return {name: tensor for file in folder.glob("*.safetensors") for name, tensor in load_file(file).items()}


def by_hand(adapter: Path, name: str, weight: Tensor) -> Tensor:
    """Add an adapter's matrices to a layer's weight, in float32."""
    found = tensors(adapter)
    one, other = (found[f"base_model.model.{name}.lora_{letter}.weight"] for letter in "BA")
    return weight.float() + SCALE * (one @ other)


def logits(model: Any) -> Tensor:
    inputs = batch()
    del inputs["labels"]
    with torch.no_grad():
        found: Tensor = model.eval()(**inputs).logits
    return found


def refusal(kind: type[Exception], *args: Any, **how: Any) -> str:
    with pytest.raises(kind) as caught:
        merge_adapter(*args, **how)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestWeights:
    @pytest.mark.parametrize("method", ["lora", "lora_frozen_vision", "qlora"])
    def test_the_logits_are_those_of_base_and_adapter(
        self, adapter: Adapter, tiny: Path, tmp_path: Path, method: str
    ) -> None:
        folder, out = adapter(method), tmp_path / "out"
        merged = merge_adapter(str(folder), out)
        quantized = {"quantization_config": four_bits(torch.float32)} if method == "qlora" else {}
        base = Phi3VForCausalLM.from_pretrained(tiny, dtype=torch.float32, **quantized)
        keep_layout(base)
        wanted = logits(PeftModel.from_pretrained(base, str(folder)))
        plain = logits(Phi3VForCausalLM.from_pretrained(tiny))
        found = logits(Phi3VForCausalLM.from_pretrained(out))
        assert (found - wanted).abs().max() <= 1e-5
        assert (found - plain).abs().max() > 0.1
        assert (merged.rank, merged.quantization, merged.precision) == (4, "nf4" if quantized else "none", "fp32")
        assert ("quantised to 4 bits and back" in str(merged)) == bool(quantized)

    def test_names_shapes_and_files_are_the_bases(self, adapter: Adapter, tiny: Path, tmp_path: Path) -> None:
        merge_adapter(str(adapter("qlora")), tmp_path / "out")
        before, after = tensors(tiny), tensors(tmp_path / "out")
        assert {name: tensor.shape for name, tensor in after.items()} == {
            name: tensor.shape for name, tensor in before.items()
        }
        files = snapshot(tmp_path / "out")
        assert files.keys() == snapshot(tiny).keys()
        assert json.loads(files["config.json"]) == json.loads((tiny / "config.json").read_bytes())
        assert files["generation_config.json"] == (tiny / "generation_config.json").read_bytes()
        assert json.loads(files["preprocessor_config.json"])["num_crops"] == 1

    def test_a_sum_is_rounded_once(self, adapter: Adapter, half: Path, tmp_path: Path) -> None:
        folder = adapter(base=half)
        assert merge_adapter(str(folder), tmp_path / "out").precision == "bf16"
        before, after = tensors(half), tensors(tmp_path / "out")
        assert json.loads((tmp_path / "out" / "config.json").read_bytes())["dtype"] == "bfloat16"
        adapted = {name.partition(".lora_")[0].removeprefix("base_model.model.") for name in tensors(folder)}
        assert {QKV, "lm_head"} < adapted and any("encoder.layers.0.mlp.fc1" in name for name in adapted)
        for name, tensor in before.items():
            layer = name.removesuffix(".weight")
            wanted = by_hand(folder, layer, tensor).bfloat16() if layer in adapted else tensor
            assert torch.equal(after[name], wanted), name

    @pytest.mark.parametrize("trained_in", ["bf16", "fp32", None])
    def test_the_base_is_quantized_from_what_it_was_trained_in(
        self, adapter: Adapter, tiny: Path, tmp_path: Path, trained_in: str | None
    ) -> None:
        folder = adapter("qlora_frozen_vision")
        if trained_in is not None:
            identity = {"precision": trained_in, "model_name_or_path": str(tiny)}
            (folder / "complete.json").write_text(json.dumps({"identity": identity}))
        assert merge_adapter(str(folder), tmp_path / "out").precision == "fp32"
        weight = tensors(tiny)[f"{QKV}.weight"]
        packed = quantize_4bit(
            weight.bfloat16() if trained_in == "bf16" else weight, quant_type="nf4", compress_statistics=True
        )
        found = tensors(tmp_path / "out")[f"{QKV}.weight"]
        assert torch.equal(found, by_hand(folder, QKV, dequantize_4bit(*packed)))

    @pytest.mark.parametrize("precision", ["bf16", "fp16", "fp32"])
    def test_the_precision_is_as_asked(self, adapter: Adapter, half: Path, tmp_path: Path, precision: Any) -> None:
        merged = merge_adapter(str(adapter(base=half)), tmp_path / "out", precision=precision)
        dtype = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}[precision]
        assert merged.precision == precision
        assert {tensor.dtype for tensor in tensors(tmp_path / "out").values()} == {dtype}

    def test_another_base_is_taken_when_named(self, adapter: Adapter, tiny: Path, half: Path, tmp_path: Path) -> None:
        """The same weights, so that it is no mistake: in another precision."""
        folder = adapter()
        merged = merge_adapter(str(folder), tmp_path / "out", base=str(half), quantization="nf4")
        assert (merged.base, merged.quantization, merged.precision) == (str(half), "nf4", "bf16")


class TestRefusals:
    @pytest.mark.parametrize(
        ("precision", "wrong"), [("fp32", lambda weight: weight.mul_(1.01)), ("bf16", lambda weight: weight.neg_())]
    )
    def test_wrong_sums_are_caught(
        self, adapter: Adapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: Any, wrong: Any
    ) -> None:
        right = merging.merge_layers

        def sabotaged(*args: Any) -> Phi3VForCausalLM:
            model = right(*args)
            wrong(model.model.layers[1].self_attn.o_proj.weight.data)
            return model

        monkeypatch.setattr(merging, "merge_layers", sabotaged)
        says = refusal(CannotRun, str(adapter()), tmp_path / "out", precision=precision)
        assert says.startswith("the merged model is not the base with the adapter: largest difference ")
        assert not (tmp_path / "out").exists()

    def test_another_base(self, adapter: Adapter, tiny: Path, tmp_path: Path) -> None:
        folder = adapter()
        write_tiny(tmp_path / "other", seed=1)
        base = str(tmp_path / "other")
        assert refusal(CannotRun, str(folder), tmp_path / "out", base=base) == (
            f"the adapter {folder} was trained on other weights than those of {base}: give its own by --base"
        )
        (folder / "base.json").unlink()
        config = json.loads((tiny / "config.json").read_text())
        wide = Phi3VForCausalLM.config_class.from_dict({**config, "intermediate_size": 256})
        Phi3VForCausalLM(wide).save_pretrained(tmp_path / "wide")
        says = refusal(CannotRun, str(folder), tmp_path / "out", base=str(tmp_path / "wide"))
        assert says.startswith(f"the adapter {folder} is not one for {tmp_path / 'wide'}: ")
        assert not (tmp_path / "out").exists()

    def test_a_base_that_is_gone(self, adapter: Adapter, tiny: Path, tmp_path: Path) -> None:
        moved = shutil.copytree(tiny, tmp_path / "moved")
        folder = adapter(base=moved)
        shutil.rmtree(moved)
        assert str(moved) in refusal(CannotRun, str(folder), tmp_path / "out")
        merge_adapter(str(folder), tmp_path / "out", base=str(tiny))

    def test_what_is_no_adapter(self, tiny: Path, tmp_path: Path) -> None:
        assert refusal(UsageError, str(tiny), tmp_path / "out") == f"{tiny} is no adapter: it is whole already"
        for name in (tmp_path, tmp_path / "missing"):
            assert refusal(CannotRun, str(name), tmp_path / "out").startswith(f"{name} holds no adapter: give the ")

    def test_an_adapter_that_is_cut_short(self, adapter: Adapter, tmp_path: Path) -> None:
        folder = adapter()
        file = folder / "adapter_model.safetensors"
        file.write_bytes(file.read_bytes()[:-100])
        says = refusal(CannotRun, str(folder), tmp_path / "out")
        assert says.startswith(f"the adapter {folder} cannot be loaded: ")

    @pytest.mark.filterwarnings("ignore:Adapter 'default'")  # PEFT takes biases for parts of matrices
    @pytest.mark.parametrize("more", [{"use_dora": True}, {"lora_bias": True}, {"modules_to_save": ["norm"]}])
    def test_an_adapter_that_is_more_than_two_matrices(
        self, adapter: Adapter, tiny: Path, tmp_path: Path, more: dict[str, Any]
    ) -> None:
        folder, config = adapter(), LoraConfig(r=2, target_modules=["fc1"], **more)
        get_peft_model(Phi3VForCausalLM.from_pretrained(tiny), config).save_pretrained(folder)
        says = refusal(CannotRun, str(folder), tmp_path / "out")
        assert says.startswith(f"the adapter {folder} has more than two matrices for each layer")

    def test_folders_that_are_in_use(self, adapter: Adapter, tiny: Path, tmp_path: Path) -> None:
        folder = adapter()
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "notes.txt").write_text("mine")
        before = snapshot(tmp_path)
        assert "is not empty" in refusal(UsageError, str(folder), tmp_path / "out")
        assert "holds more or other" in refusal(UsageError, str(folder), tmp_path / "out", overwrite=True)
        assert "holds more or other" in refusal(UsageError, str(folder), folder, overwrite=True)
        assert "is put on: give another" in refusal(UsageError, str(folder), tiny, overwrite=True)
        assert snapshot(tmp_path) == before


PLAIN = """
import sys, torch
import phi3v_train.model
from peft import AutoPeftModelForCausalLM
inputs = torch.load(sys.argv[2])
with torch.no_grad():
    torch.save(AutoPeftModelForCausalLM.from_pretrained(sys.argv[1]).eval()(**inputs).logits, sys.argv[3])
"""


class TestAdapters:
    def test_peft_alone_loads_them_to_the_same(self, adapter: Adapter, tmp_path: Path) -> None:
        folder = adapter()
        inputs = {name: value for name, value in batch().items() if name != "labels"}
        torch.save(inputs, tmp_path / "inputs")
        run_python("-c", PLAIN, folder, tmp_path / "inputs", tmp_path / "logits")
        files = find_model(str(folder))
        ours = load_model(files, InferenceOptions("fp32", "sdpa", "none", "cpu"))
        assert torch.equal(torch.load(tmp_path / "logits"), logits(ours))

    def test_their_keys_are_those_that_peft_and_servers_read(self, adapter: Adapter) -> None:
        keys = tensors(adapter()).keys()
        assert f"base_model.model.{QKV}.lora_A.weight" in keys
        assert all(re.fullmatch(r"base_model\.model\.(model\.\S+|lm_head)\.lora_[AB]\.weight", key) for key in keys)
