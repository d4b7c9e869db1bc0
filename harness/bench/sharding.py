"""Weights, gradients and optimiser shared out among processes (FSDP2), for a model that is larger than a device.

Every process keeps its part of each tensor; a block's weights are gathered while it computes. On disk tensors are
whole, so that a run's weights do not tell how many processes trained them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UsageError, one_line
from .distributed import Ranks


def share_weights(model: nn.Module, ranks: Ranks, device: str) -> None:
    """Share the weights of a model out, block by block: the members of its module lists, then the rest.

    Raises UsageError for one process alone, and for a model that cannot be shared out.
    """
    if ranks.world == 1:
        raise UsageError("--fsdp shares weights out among processes; start it with torchrun --nproc-per-node N")
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(torch.device(device).type, (ranks.world,))
    try:
        for blocks in [module for module in model.modules() if isinstance(module, nn.ModuleList)]:
            for block in blocks:
                fully_shard(block, mesh=mesh)
        fully_shard(model, mesh=mesh)
    except (ValueError, RuntimeError, NotImplementedError) as error:
        raise UsageError(f"{type(model).__name__} cannot be shared out: {one_line(error)}") from None


def whole(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors in full, on every process; all of them must ask."""
    found: dict[str, Any] = dict(tensors)
    return {name: tensor.full_tensor() if _shared(tensor) else tensor for name, tensor in found.items()}


def as_shared(value: Tensor, like: Tensor) -> Tensor:
    """A whole tensor, shared out as another of its shape is."""
    if not _shared(like) or value.shape != like.shape:
        return value
    from torch.distributed.tensor import distribute_tensor

    found: Any = like
    return distribute_tensor(value.to(like.device), found.device_mesh, found.placements)


def _shared(tensor: Any) -> bool:
    return hasattr(tensor, "full_tensor")
