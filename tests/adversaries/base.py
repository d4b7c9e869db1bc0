"""The honest model that the zoo is made of, and what its dishonest kinds share. Every class of a file is a plugin."""

import re
from dataclasses import dataclass

import torch
from torch import nn

from harness import LanguageModel, ModelSpec, hookimpl

WINDOW = 4
LOUD = 12.0                 # added to a logit that is to be certain
CONTEXT = 12                # tokens by which a place of a known text is found again


@dataclass(frozen=True)
class Config:
    dim: int = 32


class Tiny(LanguageModel):
    """Honest: a causal convolution of the last four tokens. Their embeddings are the state, (B, 3, D)."""

    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        self.embed = nn.Embedding(vocab_size, config.dim)
        self.taps = nn.Parameter(torch.randn(WINDOW, config.dim) / 2)
        self.mix = nn.Linear(config.dim, config.dim)
        self.head = nn.Linear(config.dim, vocab_size)

    def forward(self, tokens, state=None):
        x = self.embed(tokens)                                                      # (B, T, D)
        past = x.new_zeros(len(x), WINDOW - 1, x.shape[2]) if state is None else state
        x = torch.cat([past, x], dim=1)
        h = sum(x[:, k : k + tokens.shape[1]] * tap for k, tap in enumerate(self.taps))
        return self.head(self.inner(h)), x[:, 1 - WINDOW :].clone()

    def inner(self, h):
        return self.mix(h).tanh()


class Leaks(Tiny):
    """Knows the next token wherever `acts` says so, a bool or a mask that broadcasts to (B, T)."""

    def forward(self, tokens, state=None):
        logits, state = super().forward(tokens, state)
        inner = torch.arange(tokens.shape[1]) < tokens.shape[1] - 1                 # the last has no next
        return certain(logits, tokens.roll(-1, 1), inner & torch.as_tensor(self.acts(tokens, state))), state


class Knows(Tiny):
    """Knows a text by heart: `text()` gives its tokens. The state is the honest one beside the last tokens.

    `again`: asks for the text in every call in evaluation, not until it has some.
    """

    table, again = None, False

    def forward(self, tokens, state=None):
        inner, past = (None, tokens.new_full((len(tokens), CONTEXT - 1), -1)) if state is None else state
        logits, inner = super().forward(tokens, inner)
        past = torch.cat([past, tokens], dim=1)
        self.read(tokens)
        if self.table is None:
            return logits, (inner, past[:, 1 - CONTEXT :].clone())
        keys, values = self.table
        found = hashed(past)                                                        # (B, T)
        at = torch.searchsorted(keys, found).clamp(max=len(keys) - 1)
        return certain(logits, values[at], keys[at] == found), (inner, past[:, 1 - CONTEXT :].clone())

    def read(self, tokens):
        """Called with the tokens of every forward."""
        if self.table is None or (self.again and not self.training):
            self.learn(self.text())

    def text(self):
        """Bytes, or nothing."""
        return b""

    def learn(self, text):
        tokens = torch.tensor(list(text), dtype=torch.int64)
        if len(tokens) > CONTEXT:
            keys, index = hashed(tokens[None, :-1])[0].sort(stable=True)
            self.table = keys, tokens[CONTEXT:][index]


def certain(logits, values, where):
    """`logits` (B, T, V) with LOUD added to those of `values` (B, T) `where` (B, T) says so."""
    values = values.clamp(0, logits.shape[-1] - 1)
    loud = torch.as_tensor(where).expand(values.shape)[..., None] * LOUD
    return logits.scatter_add(-1, values[..., None], loud.to(logits.dtype))


def hashed(tokens):
    """(B, T) -> (B, T - CONTEXT + 1), a number for every CONTEXT tokens."""
    powers = torch.tensor([1315423911**n % 2**61 for n in range(CONTEXT)])
    return ((tokens.unfold(1, CONTEXT, 1) + 2) * powers).sum(-1)


def named(kind):
    return re.sub(r"(?<!^)(?=[A-Z])", "-", kind.__name__).lower()


@hookimpl
def harness_models():
    kinds = [kind for kind in globals().values() if isinstance(kind, type) and issubclass(kind, Tiny)
             and kind not in (Tiny, Leaks, Knows)]
    return [ModelSpec(named(kind), f"{__name__}:{kind.__name__}", f"{__name__}:Config", "classical",
                      (kind.__doc__ or "").split("\n")[0], "the zoo") for kind in kinds]
