"""Training in several processes: every one of them uses every trainable parameter, images or none."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import torch

from tests.phi3v_train.model import ddp_worker, golden
from tests.phi3v_train.model.rows import alone

ROOT = Path(__file__).parents[3]


def test_a_process_without_images_trains_along(tmp_path):
    """Real processes under torchrun, DistributedDataParallel with no `find_unused_parameters`."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    worker = ["-m", ddp_worker.__name__, str(tmp_path)]
    paths = os.pathsep.join([str(ROOT), str(ROOT / "schemas"), str(ROOT / "converters")])
    environment = {**os.environ, "PYTHONPATH": paths}
    process = subprocess.Popen([*command, *worker], cwd=ROOT, env=environment, start_new_session=True)
    try:
        assert process.wait(timeout=120) == 0
    finally:  # workers that wait for each other outlive their launcher
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    together = [torch.load(tmp_path / f"gradients-{rank}.pt") for rank in range(2)]
    expected = {}
    for row in ddp_worker.ROWS:
        model, inputs = golden.model("a").train(), alone(row)
        model(**inputs, labels=inputs["input_ids"].masked_fill(inputs["input_ids"] < 0, -100)).loss.backward()
        for name, parameter in model.named_parameters():
            gradient = parameter.grad if parameter.grad is not None else torch.zeros_like(parameter)
            expected[name] = expected.get(name, 0) + gradient / len(ddp_worker.ROWS)
    for gradients in together:
        for name, gradient in gradients.items():
            if gradient is None:
                assert "encoder.layers.2." in name or "post_layernorm" in name
            else:
                torch.testing.assert_close(gradient, expected[name], atol=1e-6, rtol=1e-4, msg=name)
