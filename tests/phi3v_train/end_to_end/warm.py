"""A process that has imported the trainer once, and forks one that runs the command for every request.

Importing takes longer than a short run. Nothing has been computed here when a child is forked, so that it is as good
as a process started afresh: it has a pid, threads and random numbers of its own, and can be killed.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import resource
import runpy
import sys

import psutil

IMPORTED = (
    "phi3v_data.validate",
    "phi3v_train.train",
    "bitsandbytes",
    "deepspeed",
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "torch.utils.tensorboard",
)


def serve() -> None:
    """Answer requests, a line of JSON each.

    `start` is answered with the pid of a child, `wait` with its exit code, `size` with the bytes of address space.
    """
    for name in IMPORTED:
        importlib.import_module(name)
    gc.freeze()  # else the first collection in a child copies all that it shares with this process
    for line in sys.stdin:
        request = json.loads(line)
        if "size" in request:
            answer = psutil.Process().memory_info().vms
        elif "wait" in request:
            answer = os.waitstatus_to_exitcode(os.waitpid(request["wait"], 0)[1])
        elif not (answer := os.fork()):
            become(**request["start"])
            return
        print(json.dumps(answer), flush=True)


def become(arguments: list[str], output: str, environment: dict[str, str], folder: str, limits: dict[str, int]) -> None:
    """Run the command here, at the head of a process group, with its output in the files `output`.out and .err."""
    os.setsid()
    os.chdir(folder)
    os.environ.update(environment)
    for stream, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{output}.{name}", os.O_WRONLY), stream)
    for name, value in limits.items():
        resource.setrlimit(getattr(resource, name), (value, resource.RLIM_INFINITY))
    sys.argv = ["phi3v-train", *arguments]
    runpy.run_module("phi3v_train", run_name="__main__")


if __name__ == "__main__":
    serve()
