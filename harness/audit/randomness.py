"""Where a model's random numbers come from: to repeat them, to see whether any were drawn, and to silence noise."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree


class Sources:
    """The generators of torch, of Python and of numpy, and those that lie in attributes of the model."""

    def __init__(self, model: nn.Module, device: torch.device):
        self.device = device if device.type == "cuda" else None
        leaves = pytree.tree_leaves([dict(vars(m)) for m in model.modules()])
        held: Any = {id(leaf): leaf for leaf in leaves}.values()
        self.torch = [g for g in held if isinstance(g, torch.Generator)]
        self.python = [g for g in held if isinstance(g, random.Random)]
        self.bits: list[Any] = [g.bit_generator for g in held if isinstance(g, np.random.Generator)]
        self.bits += [g._bit_generator for g in held if isinstance(g, np.random.RandomState)]

    @property
    def held(self) -> bool:
        """Whether the model has generators of its own."""
        return bool(self.torch or self.python or self.bits)

    def seed(self, seed: int) -> None:
        """Bring every source into the state that belongs to `seed`."""
        torch.default_generator.manual_seed(seed)
        random.seed(seed)
        if self.device is not None:
            with torch.cuda.device(self.device):
                torch.cuda.manual_seed(seed)
        np.random.seed(seed)
        for generator in self.torch:
            generator.manual_seed(seed)
        for held in self.python:
            held.seed(seed)
        for bits in self.bits:
            bits.state = type(bits)(seed).state

    def state(self) -> list[Any]:
        """The states, in a form that compares by ==."""
        read = [torch.get_rng_state().numpy().tobytes(), random.getstate()]
        read += [torch.cuda.get_rng_state(self.device).numpy().tobytes()] if self.device is not None else []
        numpy: Any = np.random.get_state()
        read += [numpy[1].tobytes(), numpy[2:]]
        read += [g.get_state().numpy().tobytes() for g in self.torch] + [g.getstate() for g in self.python]
        return read + [repr(bits.state) for bits in self.bits]

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Restore every source on leaving."""
        cpu, python, numpy = torch.get_rng_state(), random.getstate(), np.random.get_state()
        cuda = torch.cuda.get_rng_state(self.device) if self.device is not None else None
        held = [g.get_state() for g in self.torch], [g.getstate() for g in self.python], [b.state for b in self.bits]
        try:
            yield
        finally:
            torch.set_rng_state(cpu)
            random.setstate(python)
            np.random.set_state(numpy)
            if self.device is not None and cuda is not None:
                torch.cuda.set_rng_state(cuda, self.device)
            for generator, state in zip(self.torch, held[0], strict=True):
                generator.set_state(state)
            for own, known in zip(self.python, held[1], strict=True):
                own.setstate(known)
            for bits, content in zip(self.bits, held[2], strict=True):
                bits.state = content


class Silence(TorchFunctionMode):
    """Dropout, wherever it is called, drops nothing; what is drawn from a normal distribution is its mean."""

    def __init__(self, sources: Sources):
        super().__init__()
        self.sources = sources

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, name = dict(kwargs or {}), getattr(func, "__name__", "")
        if name.endswith(("dropout", "dropout_", "dropout1d", "dropout2d", "dropout3d")) and "native" not in name:
            return args[0] if args else kwargs["input"]
        if name == "scaled_dot_product_attention":
            args, kwargs = args[:4], dict(zip(("is_causal",), args[5:6], strict=False)) | kwargs | {"dropout_p": 0.0}
        if name not in ("randn", "randn_like", "normal", "normal_"):
            return func(*args, **kwargs)
        with self.sources.kept():
            drawn = func(*args, **kwargs)
        given = {"normal": 0, "normal_": 1}.get(name)
        mean = 0.0 if given is None else kwargs.get("mean", args[given] if len(args) > given else 0.0)
        with torch.no_grad():
            return drawn.copy_(torch.as_tensor(mean, dtype=drawn.dtype, device=drawn.device))


@contextmanager
def without_dropout(model: nn.Module) -> Iterator[None]:
    """Within, dropout rates of modules, in float attributes and in fields of configs named after it are zero. For
    kernels that drop inside, where `Silence` does not reach; a model can see that they are zero."""
    def rates(values: dict[str, Any]) -> dict[str, float]:
        return {name: 0.0 for name, value in values.items() if "drop" in name and isinstance(value, float)}

    before = [(module, dict(vars(module))) for module in model.modules()]
    for module, attributes in before:
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
        vars(module).update(rates(attributes))
        for name, value in attributes.items():
            if is_dataclass(value) and not isinstance(value, type):
                found = rates({f.name: getattr(value, f.name) for f in fields(value)})
                vars(module)[name] = _with(value, found) if found else value
    changed = [(module, name, value) for module, attributes in before for name, value in attributes.items()
               if vars(module)[name] is not value]
    try:
        yield
    finally:
        for module, name, value in changed:
            vars(module)[name] = value


def _with(config: Any, values: dict[str, float]) -> Any:
    """A copy of a dataclass that has these values. Its constructor is not called: it may decide other fields anew, such
    as which attention a model uses."""
    copied = copy.copy(config)
    for name, value in values.items():
        object.__setattr__(copied, name, value)
    return copied
