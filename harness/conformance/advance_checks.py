"""Does a model's own `advance` go on as `forward` does? It may write into its state, so that `forward` gets a copy."""

from __future__ import annotations

from itertools import product

import torch

from ..audit.probe import Difference, add_noise, spread, untouched
from ..audit.shapes import OTHER_SHAPE
from ..bench.continuation import writes_state
from ..bench.train import autocast
from ..data.batches import uniform_tokens
from ..model import LanguageModel, copied_state
from .result import CheckFailed

BATCHES = (1, 2)
CHUNKS = ((9, 1, 1, 4, 1), (1, 7, 1, 2))        # tokens of the call that begins a text, and of those that go on


def check_advance(model: LanguageModel, jitter: float, dtype: str = "float32") -> str:
    """A model in evaluation goes on from the state of its first call, call after call, as `forward` does from copies.

    Its weights are noisy by `jitter` meanwhile, so that branches behind a zero are open. Raises CheckFailed.
    """
    if not writes_state(model):
        return "is forward itself"
    device = next(model.parameters()).device
    with untouched(model, device), torch.inference_mode(), autocast(device, dtype):
        add_noise(model, jitter, torch.Generator().manual_seed(0))
        apart = max(_apart(model, batch, chunks, dtype) for batch, chunks in product(BATCHES, CHUNKS))
    return "as forward from a copy of the state" + (f"; within {apart:.1g} std" if apart else "")


def _apart(model: LanguageModel, batch: int, chunks: tuple[int, ...], dtype: str) -> float:
    """How far the logits of `advance` are from those of `forward` at most, in std. Raises CheckFailed."""
    device = next(model.parameters()).device
    begin, *following = uniform_tokens(model.vocab_size, batch, sum(chunks), 0).to(device).split(chunks, dim=1)
    _, state = model(begin)
    used, worst = copied_state(state), 0.0
    for number, tokens in enumerate(following, 1):
        expected, state = model(tokens, copied_state(state))
        logits, used = model.advance(tokens.clone(), used)
        call = f"call {number} after {chunks[0]} tokens, of {batch} x {tokens.shape[1]} tokens"
        if logits.shape != expected.shape:
            raise CheckFailed(f"{call}, returns logits of shape {tuple(logits.shape)}, not {tuple(expected.shape)}")
        found = Difference.between(expected, logits, spread(expected), OTHER_SHAPE[dtype]).size
        if not found <= OTHER_SHAPE[dtype]:                 # nor is what is not a number
            raise CheckFailed(f"{call}, gives logits that are {found:.2g} std from those of forward")
        worst = max(worst, found)
    return worst
