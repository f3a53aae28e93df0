"""One of two processes that train together, one of them without images; writes its gradients to a file."""

import sys

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from tests.phi3v_train.model import golden
from tests.phi3v_train.model.rows import alone, image_row, text_row

ROWS = [image_row(["1x1"], text=12), text_row(14)]


def main(folder: str) -> None:
    distributed.init_process_group("gloo")
    rank = distributed.get_rank()
    model = DistributedDataParallel(golden.model("a").train())
    inputs = alone(ROWS[rank])
    for _ in range(2):  # an unused parameter is only noticed at the start of the next step
        model.zero_grad()
        model(
            **inputs, labels=inputs["input_ids"].clamp(min=-1).masked_fill(inputs["input_ids"] < 0, -100)
        ).loss.backward()
    gradients = {name: parameter.grad for name, parameter in model.module.named_parameters()}
    torch.save(gradients, f"{folder}/gradients-{rank}.pt")
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1])
