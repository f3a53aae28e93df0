"""Training in several processes: every one of them uses every trainable parameter, images or none."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from tests.phi3v_train.model import ddp_worker

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("kind", ["whole", "unfrozen", "adapters", "sharded"])
def test_a_process_without_images_trains_along(tmp_path, kind):
    """Real processes under torchrun, DistributedDataParallel with no `find_unused_parameters`, or shards (FSDP)."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    worker = ["-m", ddp_worker.__name__, kind, str(tmp_path)]
    paths = os.pathsep.join([str(ROOT), str(ROOT / "schemas"), str(ROOT / "converters")])
    environment = {**os.environ, "PYTHONPATH": paths}
    process = subprocess.Popen([*command, *worker], cwd=ROOT, env=environment, start_new_session=True)
    try:
        assert process.wait(timeout=120) == 0
    finally:  # workers that wait for each other outlive their launcher
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    together = [torch.load(tmp_path / f"gradients-{rank}.pt") for rank in range(2)]
    expected = mean_gradients(kind)
    for gradients in together:
        assert gradients.keys() == expected.keys()
        for name, gradient in gradients.items():
            if gradient is None:  # frozen, as the unused part of CLIP
                assert not expected[name].any(), name
            else:
                torch.testing.assert_close(gradient, expected[name], atol=1e-6, rtol=1e-4, msg=name)


def mean_gradients(kind):
    """What one process computes from the rows in turn, without anything for the sake of others."""
    means = {}
    for row in range(2):
        model = ddp_worker.model_of(kind)
        ddp_worker.loss_of(model, row).backward()
        for name, parameter in model.named_parameters():
            gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            means[name] = means.get(name, 0) + gradient / 2
    return means
