"""One of two processes that train together, one of them without images; writes its gradients to a file."""

import sys

import torch
from torch import Tensor, distributed, nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from tests.phi3v_train.model import golden
from tests.phi3v_train.model.adapters import adapted
from tests.phi3v_train.model.rows import alone, image_row, text_row

ROWS = [image_row(["1x1"], text=12), text_row(14)]


def model_of(kind: str) -> nn.Module:
    """Model `a` as it is trained: whole, all of it unfrozen, with adapters on every layer, or without its tower."""
    model = adapted() if kind == "adapters" else golden.model("a")
    if kind == "unfrozen":
        model.requires_grad_(True)
    if kind == "sharded":
        model.model.vision_embed_tokens.requires_grad_(False)
    return model.train()


def loss_of(model: nn.Module, row: int) -> Tensor:
    inputs = alone(ROWS[row])
    return model(**inputs, labels=inputs["input_ids"].masked_fill(inputs["input_ids"] < 0, -100)).loss


def shard(model: nn.Module) -> nn.Module:
    for module in model.modules():
        if type(module).__name__ in model._no_split_modules:
            fully_shard(module)
    return fully_shard(model)


def main(kind: str, folder: str) -> None:
    distributed.init_process_group("gloo")
    rank, model = distributed.get_rank(), model_of(kind)
    together = shard(model) if kind == "sharded" else DistributedDataParallel(model)
    for _ in range(2):  # an unused parameter is only noticed at the start of the next step
        together.zero_grad()
        loss_of(together, rank).backward()
    gradients = {name: _whole(parameter.grad) for name, parameter in model.named_parameters()}
    with torch.no_grad():
        loss_of(together.eval(), rank)
    torch.save(gradients, f"{folder}/gradients-{rank}.pt")
    distributed.destroy_process_group()


def _whole(gradient: Tensor | None) -> Tensor | None:
    return gradient.full_tensor() if isinstance(gradient, DTensor) else gradient


if __name__ == "__main__":
    main(*sys.argv[1:])
