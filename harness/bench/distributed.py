"""Data parallel training: processes that torchrun started, each with its rows of one global batch.

The mean gradient over equal shares is the gradient of the whole batch, so the result is that of one process up to the
order of summation. Gradients are reduced in one buffer after the backward pass: for models of this size that costs less
than it complicates, and it holds for models whose losses use parameters outside of forward.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ..errors import UsageError


@dataclass(frozen=True)
class Ranks:
    """This process's place among `world` equal ones; rank 0 writes and decides."""

    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        return self.rank == 0

    def share(self, batch: Tensor) -> Tensor:
        """This process's rows of a global batch, (B, …) -> (B / world, …)."""
        return batch.chunk(self.world)[self.rank]

    def average(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace every gradient by its mean over the processes; one that no process has stays absent."""
        if self.world == 1:
            return
        flags = parameters[0].new_tensor([p.grad is not None for p in parameters])
        flat = torch.cat([flags, *((torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in parameters)])
        dist.all_reduce(flat)
        present = flat[:len(parameters)].tolist()
        gradients = (flat[len(parameters):] / self.world).split([p.numel() for p in parameters])
        for parameter, gradient, count in zip(parameters, gradients, present, strict=True):
            parameter.grad = gradient.view_as(parameter) if count else None

    def sum(self, value: Tensor) -> Tensor:
        """The sum over the processes of a tensor on any device."""
        if self.world > 1:
            dist.all_reduce(value)
        return value

    def decided(self, values: Sequence[float]) -> list[float]:
        """The values of rank 0, for what a clock or a signal decides; through the host, so no GPU waits."""
        if self.world == 1:
            return list(values)
        decision = torch.tensor(values, dtype=torch.float64)
        dist.broadcast(decision, 0)
        return decision.tolist()

    def gathered(self, value: Tensor) -> Tensor:
        """One row of every process, (world, …), of a tensor on the host."""
        rows = [torch.empty_like(value) for _ in range(self.world)]
        if self.world == 1:
            return value[None]
        dist.all_gather(rows, value)
        return torch.stack(rows)

    def wait(self) -> None:
        """Until every process is here."""
        self.sum(torch.zeros(1))


def device_of(device: str, environ: Mapping[str, str] = os.environ) -> str:
    """The device of this process: one GPU each where torchrun started several on a machine."""
    return f"cuda:{environ.get('LOCAL_RANK', '0')}" if device == "cuda" else device


@contextmanager
def joined(device: str, environ: Mapping[str, str] = os.environ) -> Iterator[Ranks]:
    """The group that torchrun's variables describe, or one process alone. Raises UsageError where they do not fit."""
    if "RANK" not in environ or "WORLD_SIZE" not in environ:
        yield Ranks()
        return
    if device.startswith("cuda"):
        if torch.device(device).index >= (gpus := torch.cuda.device_count()):
            raise UsageError(f"torchrun started more processes than the {gpus} GPUs of this machine")
        torch.cuda.set_device(device)
    # Its functions name the group of the moment in their defaults. Imported later, by an optimiser's first step, they
    # would keep the group and its threads past destruction, and such a thread can abort the interpreter as it exits.
    importlib.import_module("torch.distributed.nn.functional")
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo")
    ranks = Ranks(dist.get_rank(), dist.get_world_size())
    try:
        yield ranks
        ranks.wait()                                        # none takes its end of a connection away while others work
    finally:
        dist.destroy_process_group()
