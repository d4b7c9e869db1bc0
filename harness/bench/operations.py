"""Floating-point operations that PyTorch counts in a call, beside those that a model declares.

PyTorch's counter knows matrix products, convolutions and attention. Two corrections: a complex product takes four real
ones, and fused attention on a CPU, which it does not know, counts the pairs that the mask leaves. Kernels of a
plugin's own and operations on single elements are not counted, so a model may declare more, within reason.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from ..model import LanguageModel
from .limits import Phase

ATEN = torch.ops.aten
PRODUCTS = (ATEN.mm, ATEN.addmm, ATEN.bmm, ATEN.baddbmm)
APART = 2.0                             # times, beyond which a declaration is told beside the count
PASSES = 3                              # a training step's operations over those of its forward pass


def complex_too(formula: Callable[..., int]) -> Callable[..., int]:
    """The formula of a product, four times as much where it is complex."""
    def count(*args: Any, **kwargs: Any) -> int:
        return formula(*args, **kwargs) * (4 if any(isinstance(a, Tensor) and a.is_complex() for a in args) else 1)

    return raw(count)


def cpu_attention(
    query: Tensor, key: Tensor, value: Tensor, dropout_p: float = 0.0, is_causal: bool = False, **_: Any,
) -> int:
    """(…, T, D) and (…, S, D), (…, S, E): scores and their product with the values."""
    pairs = query.shape[:-1].numel() * key.shape[-2]
    if is_causal:
        pairs = query.shape[:-1].numel() * (key.shape[-2] + 1) // 2
    return 2 * pairs * (query.shape[-1] + value.shape[-1])


def raw(formula: Callable[..., int]) -> Callable[..., int]:
    """Of tensors, not of shapes: how the counter tells one from the other."""
    formula._get_raw = True                                 # type: ignore[attr-defined]
    return formula


CORRECTED = {product: complex_too(flop_registry[product]) for product in PRODUCTS}
CORRECTED[ATEN._scaled_dot_product_flash_attention_for_cpu] = raw(cpu_attention)


@torch.no_grad()
def counted(model: LanguageModel, tokens: Tensor) -> int:
    """Operations of one forward pass of tokens (B, T)."""
    mode = model.training
    model.eval()
    try:
        with FlopCounterMode(display=False, custom_mapping=CORRECTED) as counter:
            model(tokens)
    finally:
        model.train(mode)
    return int(counter.get_total_flops())


def disagreement(declared: float, forward: int, phase: Phase) -> str:
    """A note where less than half, or more than twice, of what is counted in a forward pass is declared for the phase
    on the same tokens, "" else. Nothing is said where nothing could be counted."""
    count = forward * (PASSES if phase == "train" else 1)
    if not count or 1 / APART <= declared / count <= APART:
        return ""
    return (f"declares {declared:.3g} floating-point operations in {phase}, {declared / count:.2g} times those that "
            "PyTorch counts")
