"""A coordinate check: how large activations and updates are after a few steps of training (Yang et al. 2022, app. D).

Beside those of other widths it tells whether a learning rate does the same at each. Nothing is asked of a model but
that it is made of modules: the blocks of its outermost lists are looked at, or every module without parts where it has
none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from ..errors import Unsupported
from ..model import LanguageModel
from ..options import width_of
from .train import TrainStep, autocast

LOGITS = "logits"


@dataclass(frozen=True)
class Coordinates:
    """Of a model `width` channels wide: the root mean square of what each part puts out, and of the change of its
    matrices relative to what they were, by the part's name."""

    width: int
    activations: dict[str, float]
    updates: dict[str, float]


def coordinates(model: LanguageModel, batches: Sequence[tuple[Tensor, Tensor]], lr: float, dtype: str) -> Coordinates:
    """After a step on each of the `batches`, all at one rate; activations are those of the first batch. Raises
    Unsupported where the model has no width."""
    width = width_of(model.config)
    if not width:
        raise Unsupported(f"{type(model).__name__} has no dim or width to compare by")
    before = {name: parameter.detach().clone() for name, parameter in matrices(model)}
    step = TrainStep(model.train(), lr=lr, dtype=dtype)
    for inputs, targets in batches:
        step(inputs, targets)
    squares: dict[str, list[Tensor]] = {}
    for name, parameter in matrices(model):
        part = next((part for part in parts(model) if name.startswith(f"{part}.")), name.partition(".")[0])
        norms = torch.stack([(parameter.detach() - before[name]).square().sum(), before[name].square().sum()])
        squares.setdefault(part, []).append(norms)
    totals = {part: torch.stack(found).sum(0).double() for part, found in squares.items()}
    return Coordinates(int(getattr(model.config, width)), activations(model, batches[0][0], dtype),
                       {part: float((moved / whole).sqrt()) for part, (moved, whole) in totals.items() if whole})


def matrices(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    return ((name, parameter) for name, parameter in model.named_parameters() if parameter.dim() >= 2)


def parts(model: nn.Module) -> dict[str, nn.Module]:
    """The blocks of the outermost lists of modules; without such, every module that has no parts of its own."""
    leaves = {name: module for name, module in model.named_modules() if name and not any(module.children())}
    return dict(_blocks(model, "")) or leaves


def _blocks(module: nn.Module, above: str) -> Iterator[tuple[str, nn.Module]]:
    for name, child in module.named_children():
        if isinstance(child, nn.ModuleList):
            yield from ((f"{above}{name}.{index}", block) for index, block in enumerate(child))
        else:
            yield from _blocks(child, f"{above}{name}.")


@torch.no_grad()
def activations(model: LanguageModel, tokens: Tensor, dtype: str) -> dict[str, float]:
    """The root mean square of the first tensor of numbers that each part puts out, over all of its calls, and of the
    logits."""
    found: dict[str, list[Tensor]] = {}

    def note(part: str, output: Any) -> None:
        numbers = [leaf for leaf in pytree.tree_leaves(output) if isinstance(leaf, Tensor)
                   and (leaf.is_floating_point() or leaf.is_complex())]
        for leaf in numbers[:1]:
            found.setdefault(part, []).append(leaf.abs().double().square().mean())

    with ExitStack() as hooks, autocast(tokens.device, dtype):
        for part, module in parts(model).items():
            hook = module.register_forward_hook(lambda _, given, output, part=part: note(part, output))
            hooks.callback(hook.remove)
        logits, _ = model.eval()(tokens)
    note(LOGITS, logits)
    return {part: float(torch.stack(squares).mean().sqrt()) for part, squares in found.items()}
