"""Manas, Buddhi, Viveka, Smriti: what a phase-field model does with a text, as means over its tokens.

h are the S oscillators of a layer; p the predicted distribution over V tokens, p1 and p2 its largest values; a and b
readings of two banks; w the weights of the M slots of the associative memory, W their mean over tokens; H the entropy.
None of these numbers depends on how many texts or tokens it is taken from, but by sampling.

| number            | formula                                | as published                                           |
|-------------------|----------------------------------------|--------------------------------------------------------|
| manas_magnitude   | rms |h|                                | mean |h| after zero padding: .112 at 64 tokens, .0001  |
|                   |                                        | at 200                                                 |
| manas_entropy     | H(|h_s|^2 / sum) / log S               | H(softmax over layers, batch and S at once) / 10: the  |
|                   |                                        | size of the tensor, log(layers B S) / 10               |
| manas_activity    | share of |h_s| > rms |h| of the token  | share of |h_s| > 0.1: .53 at 64 tokens, 0 at 200       |
| buddhi_confidence | p1                                     | the same                                               |
| buddhi_margin     | p1 - p2                                | of logits, over 10: has no bound                       |
| buddhi_entropy    | H(p) / log V                           | the same                                               |
| viveka_coherence  | |Re<a, b>| / (|a| |b|)                 | (1 + mean Re(a b*) / (mean |a| mean |b|)) / 2: 1.14    |
|                   |                                        | for equal banks                                        |
| viveka_energy     | (rms a - 1)^2                          | max(0, 1 - mean (|a_n| - 1)^2)                         |
| viveka_stability  | Re<a_t, a_(t-1)> / (|a_t| |a_(t-1)|)   | 1: the readings before were never passed               |
| smriti_sharpness  | 1 - H(w) / log M                       | 0: the weights were never passed                       |
| smriti_hit_rate   | share of tokens with max w > 1/2       | 0, likewise; meant as max w > 2 / M                    |
| smriti_coverage   | exp(H(W)) / M                          | 0, likewise; meant as the share of slots that some     |
|                   |                                        | token weighs above 2 / M, which grows with the text    |
| norm_flips        | of the published norms only: share of  | none; .54 of Gaussian input                            |
|                   | channels turned by half a circle       |                                                        |

Means run over layers, banks or pairs of them as well. What a model has not got has no number: bank numbers take a bank,
coherence and routing two of them, stability two tokens. Buddhi is confidence and entropy of the prediction under
another name; the others read what the model is made of.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn

from .coupler import routing_entropy
from .objectives import energy
from .phase import magnitude
from .published_phase import FlippingNorm


def measure(model: Any, tokens: Tensor) -> dict[str, float]:
    """Every number that the model has, from reading tokens (B, T) once more in evaluation."""
    seen: dict[str, list[Tensor]] = defaultdict(list)

    def watch(name: str, modules: Sequence[nn.Module], look: Callable[[Any, tuple, Any], Tensor]) -> list[Any]:
        return [module.register_forward_hook(lambda *call: seen[name].append(look(*call))) for module in modules]

    handles = [
        *watch("oscillators", model.backbone.layers, lambda layer, given, _: layer.oscillators(given[0])),
        *watch("banks", model.banks, lambda bank, _, result: result[0]),
        *watch("routing", [model.coupler] if len(model.banks) > 1 and model.coupler else [],
               lambda coupler, _, result: result[1]),
        *watch("weights", [model.memory] if hasattr(model.memory, "weights") else [],
               lambda memory, given, _: memory.weights(given[0])),
        *watch("norms", [module for module in model.modules() if isinstance(module, FlippingNorm)],
               lambda _, given, result: flipped(given[0], result)),
    ]
    training = model.training
    try:
        with torch.no_grad():
            logits, _ = model.eval()(tokens)
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    numbers = manas(seen["oscillators"], tokens.shape[1]) | buddhi(logits) | viveka(seen["banks"])
    for weights in seen["weights"]:
        numbers |= smriti(weights)
    for routing in filter(lambda share: share is not None, seen["routing"]):
        numbers["routing_entropy"] = torch.tensor(routing_entropy(routing))
    if seen["norms"]:
        numbers["norm_flips"] = mean(seen["norms"])
    return {name: float(value) for name, value in numbers.items()}


def manas(layers: Sequence[Tensor], length: int) -> dict[str, Tensor]:
    """Oscillators (B, T, 2S) of every layer; what lies beyond `length` tokens is padding."""
    size = torch.stack([magnitude(h[:, :length], eps=0.0) for h in layers])         # (L, B, T, S)
    power = size.square()
    share = power / power.sum(dim=-1, keepdim=True).clamp_min(torch.finfo(power.dtype).tiny)
    return {
        "manas_magnitude": power.mean().sqrt(),
        "manas_entropy": evenness(share).mean(),
        "manas_activity": (share * share.shape[-1] > 1).to(share.dtype).mean(),
    }


def buddhi(logits: Tensor) -> dict[str, Tensor]:
    """Logits (B, T, V)."""
    p = torch.softmax(logits, dim=-1)
    first, second = p.topk(2, dim=-1).values.unbind(dim=-1)
    return {
        "buddhi_confidence": first.mean(),
        "buddhi_margin": (first - second).mean(),
        "buddhi_entropy": evenness(p).mean(),
    }


def viveka(banks: Sequence[Tensor]) -> dict[str, Tensor]:
    """Readings (B, T, 2d) of every bank."""
    numbers: dict[str, Tensor] = {}
    if len(banks) > 1:
        numbers["viveka_coherence"] = mean(cosine(a, b).abs() for a, b in combinations(banks, 2))
    if banks:
        numbers["viveka_energy"] = mean(map(energy, banks))
    if banks and banks[0].shape[1] > 1:
        numbers["viveka_stability"] = mean(cosine(bank[:, 1:], bank[:, :-1]) for bank in banks)
    return numbers


def smriti(weights: Tensor) -> dict[str, Tensor]:
    """Weights (B, T, M) of the slots of the associative memory."""
    slots = weights.shape[-1]
    use = weights.flatten(0, -2).mean(dim=0)
    return {
        "smriti_sharpness": 1 - evenness(weights).mean(),
        "smriti_hit_rate": (weights.amax(dim=-1) > 0.5).to(weights.dtype).mean(),
        "smriti_coverage": torch.special.entr(use).sum().exp() / slots,
    }


def flipped(z: Tensor, normed: Tensor) -> Tensor:
    """Which channels of z (..., 2n) the norm turns by over a quarter circle: Re(z* norm(z)) < 0, as flags (..., n)."""
    return ((z * normed).unflatten(-1, (2, -1)).sum(dim=-2) < 0).to(normed.dtype)


def evenness(p: Tensor) -> Tensor:
    """Entropy of distributions (..., n) over that of the uniform one: (...), in [0, 1]; 0 for a single outcome."""
    return torch.special.entr(p).sum(dim=-1) / max(math.log(p.shape[-1]), 1e-12)


def cosine(a: Tensor, b: Tensor) -> Tensor:
    return torch.cosine_similarity(a, b, dim=-1)


def mean(values: Any) -> Tensor:
    """The mean of the means."""
    return torch.stack([value.mean() for value in values]).mean()
