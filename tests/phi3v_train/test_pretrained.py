"""Checkpoints that cannot be trained: one sentence that says what is wrong, before or instead of random weights."""

from __future__ import annotations

import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from phi3v_data.errors import CannotRun
from phi3v_train.model.tiny import write_tiny
from phi3v_train.pretrained import load_config, load_processor, load_weights
from tests.helpers import run_python

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EMBEDDING = "model.embed_tokens.weight"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny"
    write_tiny(folder)
    return folder


@pytest.fixture
def tiny(written: Path, tmp_path: Path) -> Path:
    """A checkpoint to spoil."""
    return shutil.copytree(written, tmp_path / "tiny")


def edit_config(folder: Path, **changes: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))


def edit_weights(folder: Path, **changes: torch.Tensor | None) -> None:
    tensors = {**load_file(folder / "model.safetensors"), **changes}
    kept = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    save_file(kept, folder / "model.safetensors", {"format": "pt"})


def refusal(call: Any, *args: Any, **options: Any) -> str:
    with pytest.raises(CannotRun) as caught:
        call(*args, **options)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def test_a_whole_checkpoint_loads(tiny: Path) -> None:
    config, model = load_config(str(tiny)), load_weights(str(tiny), dtype=torch.bfloat16)
    assert config.hidden_size == model.config.hidden_size == 64
    tensors = load_file(tiny / "model.safetensors")
    assert all(torch.equal(weights, tensors[name].bfloat16()) for name, weights in model.state_dict().items())
    assert load_processor(str(tiny), num_crops=7).image_processor.num_crops == 7


def test_another_model_is_named(tiny: Path) -> None:
    edit_config(tiny, model_type="llama")
    assert refusal(load_config, str(tiny)) == (
        f"{tiny} is a model of the type 'llama', and only 'phi3_v' is trained here"
    )


def test_a_configuration_of_another_shape_is_refused(tiny: Path) -> None:
    edit_config(tiny, vision_config={"image_size": 224})
    assert refusal(load_config, str(tiny)).endswith(
        "images are cut into crops of 336 pixels and patches of 14, not 224 and 14"
    )


def test_a_configuration_that_is_no_json(tiny: Path) -> None:
    (tiny / "config.json").write_text("{")
    assert refusal(load_config, str(tiny)).startswith(f"{tiny} cannot be loaded: It looks like the config file at")


def test_a_folder_without_a_checkpoint(tmp_path: Path) -> None:
    assert refusal(load_config, str(tmp_path)).startswith(f"{tmp_path} holds no config.json")
    missing = tmp_path / "missing"
    assert refusal(load_config, str(missing)) == f"there is no folder {missing}: check the name"


def test_an_adapter_names_its_base(tiny: Path, tmp_path: Path) -> None:
    adapted = get_peft_model(load_weights(str(tiny)), LoraConfig(target_modules=["qkv_proj"], r=2))
    adapted.save_pretrained(tmp_path / "adapter")
    assert refusal(load_config, str(tmp_path / "adapter")) == (
        f"{tmp_path / 'adapter'} holds an adapter, not a model: give the model that it was trained on, {tiny}"
    )


def test_missing_weights_are_not_made_up(tiny: Path) -> None:
    edit_weights(tiny, **{EMBEDDING: None})
    assert (
        refusal(load_weights, str(tiny))
        == f"{tiny}: {EMBEDDING} is missing in the checkpoint's files: download it again"
    )
    edit_weights(tiny, **{"lm_head.weight": None})
    assert refusal(load_weights, str(tiny)).startswith(f"{tiny}: 2 tensors, such as lm_head.weight, are missing in")


def test_weights_of_another_shape_are_refused(tiny: Path, caplog: pytest.LogCaptureFixture) -> None:
    edit_weights(tiny, **{EMBEDDING: torch.zeros(3, 64)})
    assert f"{EMBEDDING} is of another shape than config.json says" in refusal(load_weights, str(tiny))
    assert not caplog.text


def test_weights_that_are_cut_short_or_not_there(tiny: Path) -> None:
    weights = tiny / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    assert refusal(load_weights, str(tiny)).startswith(f"{tiny} cannot be loaded: ")
    weights.unlink()
    assert "no file named model.safetensors" in refusal(load_weights, str(tiny))


def test_attention_that_is_not_installed(tiny: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("flash attention may be there")
    assert refusal(load_weights, str(tiny), attn_implementation="flash_attention_2").startswith(
        f"{tiny} cannot be loaded"
    )


CODE = """
import sys
from phi3v_data.errors import CannotRun
from phi3v_train.pretrained import load_config
try:
    load_config("someone/something")
except CannotRun as error:
    print(error)
"""


class Hub(BaseHTTPRequestHandler):
    """A hub that refuses everything, for one reason."""

    reason = ""

    def do_GET(self) -> None:
        self.send_response(401)
        self.send_header("X-Error-Code", self.reason)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("reason", "says"),
    [
        ("GatedRepo", "is gated: accept its terms on its page on the hub, then log in with `hf auth login`"),
        ("RepoNotFound", "neither a folder nor on the hub: check it, or log in with `hf auth login`"),
    ],
)
def test_what_the_hub_refuses(
    hub: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: str, says: str
) -> None:
    monkeypatch.setattr(Hub, "reason", reason)
    done = run_python(
        "-c", CODE, env={"HF_ENDPOINT": hub, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "0"}, cwd=tmp_path
    )
    assert "someone/something" in done.stdout and says in done.stdout


def test_no_hub(tmp_path: Path) -> None:
    done = run_python("-c", CODE, env={"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}, cwd=tmp_path)
    assert done.stdout.strip() == (
        "there is no folder someone/something, and the hub cannot be reached: check the name and the connection"
    )
