"""Calls of different shapes: a text in pieces, a row by itself. An honest model gives the same, to rounding.

Kernels round differently for another shape, in float32 by 1e-6 std. A model may amplify that: a count of shots jumps
when a probability crosses what was drawn. A copy in float64 then tells rounding from another function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from .probe import ContractBroken, Difference, Probe, spread

OTHER_SHAPE = {"float32": 2e-3, "bfloat16": 0.25}       # tolerances in std, by the dtype of a call

ROUNDING, AMPLIFIED = 2.0**-24, 8               # relative, of float32; times what rounded weights do

Compare = Callable[[Probe, str], Difference]            # of the probe's calls in a dtype


def single(probe: Probe, tokens: Tensor, dtype: str) -> Difference:
    """The first row by itself, beside the first of all rows."""
    base, alone = (probe.logits(t, dtype=dtype) for t in (tokens, tokens[:1]))
    return Difference.between(base[:1], alone, spread(base), OTHER_SHAPE[dtype])


def cut(probe: Probe, tokens: Tensor, plans: Sequence[tuple[int, ...]], dtype: str) -> Difference:
    """Every plan of cuts beside the whole. They advance in turn, which mixes up a state kept in the model."""
    length, tolerance = tokens.shape[1], OTHER_SHAPE[dtype]
    whole = probe.logits(tokens, dtype=dtype)
    unit, worst = spread(whole), Difference()
    states: list[Any] = [None] * len(plans)
    for step in range(max(map(len, plans), default=-1) + 1):
        for index, plan in enumerate(plans):
            bounds = (0, *plan, length)
            if step > len(plan):
                continue
            start, end = bounds[step : step + 2]
            logits, states[index] = probe(tokens[:, start:end], states[index], dtype=dtype)
            found = Difference.between(whole[:, start:end], logits, unit, tolerance)
            if found.size > worst.size:
                worst = found.after(start)
    return worst


def in_float64(probe: Probe, compare: Compare) -> Difference:
    """What a float64 copy of the model gives; an infinite difference where it has no such copy."""
    try:
        return compare(probe.in_float64(), "float32")
    except ContractBroken:
        return Difference(float("inf"))


def of_rounding(probe: Probe, tokens: Tensor) -> float:
    """How far weights that are off by a rounding of float32 move the logits of `tokens` (B, T), in std: what a model
    that computes in float32 whatever its weights are may differ by."""
    copied = probe.in_float64()
    before, generator = copied.logits(tokens), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in copied.model.parameters():
            p.mul_(1 + ROUNDING * (2 * torch.rand(p.shape, generator=generator) - 1).to(p.device))
    return Difference.between(before, copied.logits(tokens), spread(before), 0.0).size
