"""Models without storage, to count what they hold: no values are drawn, no random state moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

DRAWS = (Tensor.normal_, Tensor.uniform_, Tensor.random_, Tensor.bernoulli_, Tensor.exponential_)


class Unfilled(TorchFunctionMode):
    """Leaves tensors as they are allocated. Drawing values for tensors without storage costs more than all the rest."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if function in DRAWS or getattr(function, "__module__", "") == nn.init.__name__:
            return args[0] if args else kwargs["tensor"]
        return function(*args, **kwargs)


@contextmanager
def without_storage() -> Iterator[None]:
    """Within, tensors are made on the meta device."""
    before = torch.get_rng_state()
    try:
        with torch.device("meta"), Unfilled():
            yield
    finally:
        torch.set_rng_state(before)


def constant_parameters(model: nn.Module, make: Callable[[int], nn.Module], vocab_size: int) -> set[str] | None:
    """The names of parameters of `model`, which `make(vocab_size)` built, that do not grow with the vocabulary; None
    where no other vocabulary can be had."""
    try:
        with without_storage():
            large = {name: parameter.shape for name, parameter in make(2 * vocab_size + 1).named_parameters()}
    except Exception:                                       # it takes this vocabulary alone
        return None
    return {name for name, parameter in model.named_parameters() if parameter.shape == large.get(name)}
