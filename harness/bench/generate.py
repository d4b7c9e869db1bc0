"""Generation: text token by token with the carried state, and the usual ways to draw the next token.

Notable:
- the prompt is read once; from then on every call is advance(token, state), for no state is used again;
- logits are worked on in float64, in this order: repetition penalty, temperature, top-k, top-p, min-p;
- the draws come from a generator of their own, so a seed gives the same text whatever else the process does.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..data.tokenizers import Tokenizer
from ..errors import HarnessError, UsageError, unknown
from ..model import LanguageModel

PREFILL = 1024                          # tokens of a prompt that are read at once


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn. The defaults draw from the model's own distribution. Raises UsageError."""

    temperature: float = 1.0            # logits are divided by it; 0 takes the likeliest token
    top_k: int = 0                      # keep the k likeliest tokens; 0 keeps all (Fan et al. 2018)
    top_p: float = 1.0                  # keep the fewest likeliest tokens that reach p together (Holtzman et al. 2020)
    min_p: float = 0.0                  # drop what is less likely than this share of the likeliest (Nguyen et al. 2024)
    repetition_penalty: float = 1.0     # divides logits > 0 of tokens seen, multiplies others (Keskar et al. 2019)

    def __post_init__(self) -> None:
        for name, valid, what in (
            ("temperature", 0 <= self.temperature < 1e6, "at least 0"), ("top_k", self.top_k >= 0, "at least 0"),
            ("top_p", 0 < self.top_p <= 1, "above 0 and at most 1"), ("min_p", 0 <= self.min_p <= 1, "from 0 to 1"),
            ("repetition_penalty", 0 < self.repetition_penalty < 1e6, "above 0"),
        ):
            if not valid:
                raise UsageError(f"--{name.replace('_', '-')} must be {what}, got {getattr(self, name)}")


PRESETS = {
    "conservative": Sampling(temperature=0.6, top_k=30, top_p=0.8),
    "balanced": Sampling(temperature=0.7, top_k=50, top_p=0.9),
    "creative": Sampling(temperature=0.8, top_k=100, top_p=0.95),
}


def probabilities(logits: Tensor, seen: Tensor, sampling: Sampling) -> Tensor:
    """logits (V,), seen (V,) bool -> what the next token is drawn from, (V,) float64 that sums to 1."""
    logits = logits.double()
    if sampling.repetition_penalty != 1:
        penalty = sampling.repetition_penalty
        logits = torch.where(seen, torch.where(logits > 0, logits / penalty, logits * penalty), logits)
    if sampling.temperature == 0:
        return torch.zeros_like(logits).index_fill_(0, logits.argmax(), 1.0)
    logits = logits / sampling.temperature
    if 0 < sampling.top_k < len(logits):
        least = logits.topk(sampling.top_k).values[-1]
        logits = logits.masked_fill(logits < least, -torch.inf)
    p = logits.softmax(0)
    if sampling.top_p < 1:
        ordered, order = p.sort(descending=True, stable=True)
        before = ordered.cumsum(0) - ordered                # the token that crosses top_p is kept
        p = p.index_fill(0, order[before >= sampling.top_p], 0.0)
    p = p.masked_fill(p < sampling.min_p * p.max(), 0.0)
    return p / p.sum()


def make_sampling(preset: str, **refined: float | None) -> Sampling:
    """A preset with what is not None in `refined` put in its place. Raises UsageError."""
    if preset not in PRESETS:
        raise unknown("preset", preset, PRESETS)
    given: dict[str, Any] = {name: value for name, value in refined.items() if value is not None}
    return replace(PRESETS[preset], **given)


def text_pieces(tokenizer: Tokenizer, tokens: Iterable[int]) -> Iterator[str]:
    """Text as soon as its characters are whole; bytes that are no UTF-8 become U+FFFD."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for token in tokens:
        yield decoder.decode(tokenizer.decode([token]))
    yield decoder.decode(b"", final=True)


@torch.inference_mode()
def generate(
    model: LanguageModel, prompt: Sequence[int], count: int, sampling: Sampling, *,
    seed: int = 0, end: int | None = None, chunk: int = PREFILL,
) -> Iterator[int]:
    """Yield at most `count` tokens after `prompt`, each as soon as it is drawn; stop before the token `end`.

    The prompt is read in pieces of `chunk` tokens, which by the split law changes nothing. Raises UsageError for an
    empty prompt, HarnessError where the model gives no finite distribution.
    """
    if not len(prompt):
        raise UsageError("generation needs at least one token to begin with")
    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(seed)
    seen = torch.zeros(model.vocab_size, dtype=torch.bool)
    seen[list(prompt)] = True
    model.eval()
    first, *pieces = torch.tensor([list(prompt)], device=device).split(chunk, dim=1)
    logits, state = model(first)                                                    # (1, T, V)
    for piece in pieces:
        logits, state = model.advance(piece, state)
    for drawn in range(count):
        last = logits[0, -1].cpu()
        if not last.max().isfinite():
            raise HarnessError(f"the model's logits are not finite after {len(prompt) + drawn} tokens")
        token = int(torch.multinomial(probabilities(last, seen, sampling), 1, generator=generator))
        if token == end:
            return
        yield token
        seen[token] = True
        if drawn + 1 < count:
            logits, state = model.advance(torch.tensor([[token]], device=device), state)
