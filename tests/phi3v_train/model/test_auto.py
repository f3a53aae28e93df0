"""Auto* classes: a folder as it is on the hub loads without remote code, without a question, without a warning."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoProcessor,
    AutoTokenizer,
)

import phi3v_train.model
from phi3v_train.model import Phi3VConfig, Phi3VForCausalLM, Phi3VImageProcessor, Phi3VModel, Phi3VProcessor, register
from phi3v_train.model.tiny import tiny_config, tiny_model, write_tiny
from phi3v_train.model.tiny_tokenizer import tiny_tokenizer
from tests.helpers import run_python
from tests.phi3v_train.model.prompts import CASES, HUB

HUB_PREPROCESSOR = {
    "do_convert_rgb": True,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_processor_type": "Phi3VImageProcessor",
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "num_crops": 4,
    "num_img_tokens": 144,
    "processor_class": "Phi3VProcessor",
}
"""The published `preprocessor_config.json`, without its remote code."""

PROBES = [" a", "<|end|>\n", "<|assistant|>\nHi", "<s>x", "</s>"]
LOAD = """
import json, sys
import phi3v_train.model
from transformers import AutoConfig, AutoImageProcessor, AutoModelForCausalLM, AutoProcessor, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

disable_progress_bar()
*folders, probes = sys.argv[1:]
for folder in folders:
    autos = (AutoConfig, AutoImageProcessor, AutoModelForCausalLM, AutoProcessor, AutoTokenizer)
    config, image_processor, model, processor, tokenizer = loaded = [auto.from_pretrained(folder) for auto in autos]
    ids = [[made(text)["input_ids"] for text in json.loads(probes)] for made in (tokenizer, processor.tokenizer)]
    template = processor.apply_chat_template([{"role": "user", "content": "Q"}], add_generation_prompt=True)
    names = [type(made).__name__ for made in (*loaded, processor.image_processor, processor.tokenizer)]
    print(json.dumps([names, ids, template, image_processor.num_crops]))
"""


def edit(path: Path, **fields: Any) -> None:
    """Set fields of a JSON file, which may not be there yet."""
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps({**known, **fields}), encoding="utf-8")


def write_like_the_hub(folder: Path) -> None:
    """Write a tiny checkpoint whose files say what the published ones say: remote code, Llama's tokenizer."""
    write_tiny(folder)
    template = (folder / "chat_template.jinja").read_text(encoding="utf-8")
    (folder / "chat_template.jinja").unlink()
    code = {"AutoProcessor": "processing_phi3_v.Phi3VProcessor"}
    edit(folder / "processor_config.json", auto_map=code)
    edit(
        folder / "preprocessor_config.json",
        auto_map={"AutoImageProcessor": "processing_phi3_v.Phi3VImageProcessor", **code},
    )
    edit(
        folder / "tokenizer_config.json",
        tokenizer_class="LlamaTokenizer",
        chat_template=template,
        auto_map={"AutoProcessor": "processing_phi3_v.Phi3VProcessor"},
        add_bos_token=True,
        legacy=False,
    )
    point_to_remote_code(folder)


def write_with_the_hubs_files(folder: Path) -> None:
    """Write the published files, with tiny sizes in `config.json`, and random weights of those sizes."""
    shutil.copytree(HUB, folder, ignore=shutil.ignore_patterns("*.md"))
    published = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    tiny = tiny_config(tiny_tokenizer()).to_diff_dict()
    sizes = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")
    edit(folder / "config.json", **{name: tiny[name] for name in (*sizes, "rope_scaling", "vision_config")})
    config = Phi3VConfig(**json.loads((folder / "config.json").read_text(encoding="utf-8")))
    tensors = {name: tensor.contiguous() for name, tensor in tiny_model(config).state_dict().items()}
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    assert published["auto_map"]


def point_to_remote_code(folder: Path) -> None:
    code = {
        "AutoConfig": "configuration_phi3_v.Phi3VConfig",
        "AutoModelForCausalLM": "modeling_phi3_v.Phi3VForCausalLM",
    }
    edit(folder / "config.json", auto_map=code, _attn_implementation="flash_attention_2")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each kind of folder loads as, in a fresh interpreter in which every warning is an error."""
    folders = {name: tmp_path_factory.mktemp("checkpoints") / name for name in ("like the hub", "tiny", "hub")}
    write_tiny(folders["tiny"])
    write_like_the_hub(folders["like the hub"])
    if HUB.is_dir():
        write_with_the_hubs_files(folders["hub"])
    else:
        del folders["hub"]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", LOAD, *map(str, folders.values()), json.dumps(PROBES)],
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return dict(zip(folders, map(json.loads, done.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("name", ["like the hub", "tiny", "hub"])
def test_loads_as_ours(loaded: dict[str, Any], name: str) -> None:
    if name not in loaded:
        pytest.skip(f"the published files are not at {HUB}")
    names, ids, template, num_crops = loaded[name]
    image_processor, tokenizer = "Phi3VImageProcessor", "TokenizersBackend"
    ours = ["Phi3VConfig", image_processor, "Phi3VForCausalLM", "Phi3VProcessor", tokenizer]
    assert names == [*ours, image_processor, tokenizer]
    made_here = tiny_tokenizer()
    probes = CASES["tok_probe"]
    expected = [probes[text][0] if name == "hub" else made_here(text)["input_ids"] for text in PROBES]
    assert ids == [expected, expected]
    assert template == "<|user|>\nQ<|end|>\n<|assistant|>\n"
    assert num_crops == 4


class TestProcessorFolders:
    def test_saved_and_loaded_it_is_the_same(self, tmp_path: Path) -> None:
        write_like_the_hub(tmp_path / "hub")
        processor = AutoProcessor.from_pretrained(tmp_path / "hub")
        processor.image_processor.num_crops = 16
        processor.save_pretrained(tmp_path / "saved")
        again = AutoProcessor.from_pretrained(tmp_path / "saved")
        assert again.to_dict() == processor.to_dict()
        assert again.chat_template == processor.chat_template == processor.tokenizer.chat_template
        assert again.tokenizer.backend_tokenizer.to_str() == processor.tokenizer.backend_tokenizer.to_str()
        assert AutoImageProcessor.from_pretrained(tmp_path / "saved").to_dict() == processor.image_processor.to_dict()
        assert (
            AutoTokenizer.from_pretrained(tmp_path / "saved")(PROBES)["input_ids"]
            == again.tokenizer(PROBES)["input_ids"]
        )
        assert "auto_map" not in "".join(file.read_text(encoding="utf-8") for file in (tmp_path / "saved").iterdir())

    def test_the_files_have_the_hubs_form(self, tmp_path: Path) -> None:
        processor = Phi3VProcessor(Phi3VImageProcessor(num_crops=16, exif_orientation=True), tiny_tokenizer())
        files = [Path(file).name for file in processor.save_pretrained(tmp_path)]
        assert files == ["processor_config.json", "preprocessor_config.json", "tokenizer_config.json"]
        whole, images, tokenizer = (json.loads((tmp_path / name).read_text(encoding="utf-8")) for name in files)
        assert whole == {"processor_class": "Phi3VProcessor"}
        assert images.items() >= {**HUB_PREPROCESSOR, "num_crops": 16, "exif_orientation": True}.items()
        assert tokenizer["tokenizer_class"] == "PreTrainedTokenizerFast"
        assert tokenizer["additional_special_tokens"] == ["<|system|>", "<|end|>", "<|user|>"]
        assert "extra_special_tokens" not in tokenizer  # transformers 4 takes it for a dictionary

    def test_an_edited_file_counts(self, tmp_path: Path) -> None:
        write_tiny(tmp_path / "tiny")
        edit(tmp_path / "tiny" / "preprocessor_config.json", num_crops=9)
        assert AutoProcessor.from_pretrained(tmp_path / "tiny").image_processor.num_crops == 9
        assert AutoImageProcessor.from_pretrained(tmp_path / "tiny").num_crops == 9

    @pytest.mark.parametrize("options", [{}, {"repo_id": "me/it", "commit_message": "Add"}])
    def test_uploading_takes_the_written_files(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, str]
    ) -> None:
        calls: list[Any] = []
        monkeypatch.setattr(Phi3VProcessor, "push_to_hub", lambda self, repo, **given: calls.append((repo, given)))
        processor = Phi3VProcessor(Phi3VImageProcessor(), tiny_tokenizer())
        processor.save_pretrained(tmp_path / "saved", push_to_hub=True, **options)
        repo = options.pop("repo_id", "saved")
        assert calls == [(repo, options)]
        assert (tmp_path / "saved" / "preprocessor_config.json").exists()

    def test_crops_may_be_chosen_when_loading(self, tmp_path: Path) -> None:
        write_like_the_hub(tmp_path / "hub")
        processor = AutoProcessor.from_pretrained(tmp_path / "hub", num_crops=16)
        assert processor.image_processor.num_crops == 16
        processor.save_pretrained(tmp_path / "saved")
        assert AutoProcessor.from_pretrained(tmp_path / "saved").image_processor.num_crops == 16
        assert "num_crops" not in (tmp_path / "saved" / "tokenizer_config.json").read_text(encoding="utf-8")

    def test_a_folder_without_the_model(self, tmp_path: Path) -> None:
        """As adapters are published: the tokenizer must not turn into Llama's for want of a `config.json`."""
        write_like_the_hub(tmp_path / "hub")
        (tmp_path / "hub" / "config.json").unlink()
        processor = AutoProcessor.from_pretrained(tmp_path / "hub", trust_remote_code=False)
        assert isinstance(processor, Phi3VProcessor)
        assert processor.tokenizer(PROBES)["input_ids"] == tiny_tokenizer()(PROBES)["input_ids"]


class TestModels:
    @pytest.mark.parametrize("auto", [AutoModelForCausalLM, AutoModelForImageTextToText])
    def test_the_whole_model(self, tmp_path: Path, auto: Any) -> None:
        model = write_tiny(tmp_path / "tiny")
        point_to_remote_code(tmp_path / "tiny")
        again, report = auto.from_pretrained(tmp_path / "tiny", output_loading_info=True)
        assert type(again) is Phi3VForCausalLM
        assert not any(report.values())
        expected = model.state_dict()
        assert all(torch.equal(tensor, expected[name]) for name, tensor in again.state_dict().items())

    def test_the_model_without_its_head(self, tmp_path: Path) -> None:
        write_tiny(tmp_path / "tiny")
        model, report = AutoModel.from_pretrained(tmp_path / "tiny", output_loading_info=True)
        assert type(model) is Phi3VModel
        assert report["unexpected_keys"] == {"lm_head.weight"} and not report["missing_keys"]


class TestRegistration:
    def test_twice_is_once(self) -> None:
        register()
        importlib.reload(phi3v_train.model)
        assert AutoConfig.for_model("phi3_v").__class__ is Phi3VConfig
        assert phi3v_train.model.Phi3VConfig is Phi3VConfig

    @pytest.mark.parametrize("missing", ["torch", "transformers"])
    def test_a_missing_extra_is_one_sentence(self, missing: str) -> None:
        code = (
            f"import sys; sys.modules[{missing!r}] = None; import phi3v_train\n"
            "from phi3v_data.errors import MissingExtra\n"
            "try:\n    import phi3v_train.model\nexcept MissingExtra as error:\n    print(error)"
        )
        said = run_python("-c", code).stdout
        assert said.startswith(f"Phi-3.5-vision needs the package {missing!r}: run pip install ")
        assert "[train]'" in said
