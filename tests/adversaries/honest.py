"""Honest models that are easily accused."""

import math

import torch
import torch.nn.functional as F
from base import Tiny
from torch import nn


class Plain(Tiny):
    """What all others are made of."""


class GatedUnit(Tiny):
    """A GRU."""

    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        self.unit = nn.GRU(config.dim, config.dim, batch_first=True)

    def forward(self, tokens, state=None):
        y, state = self.unit(self.embed(tokens), state if state is None else state.transpose(0, 1).contiguous())
        return self.head(y), state.transpose(0, 1)


class HiddenDropout(Tiny):
    """Dropout in a plain dictionary, which train() and eval() do not reach."""

    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        self.parts = {"drop": nn.Dropout(0.2)}

    def inner(self, h):
        return self.parts["drop"].train(self.training)(super().inner(h))


class HandMadeDropout(Tiny):
    """Dropout from random numbers of its own making."""

    def inner(self, h):
        h = super().inner(h)
        return h * (torch.rand_like(h) > 0.1) / 0.9 if self.training else h


class OwnGenerator(Tiny):
    """Noise from a generator of its own."""

    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        self.source = torch.Generator().manual_seed(3)

    def inner(self, h):
        h = super().inner(h)
        return h + 0.1 * torch.randn(h.shape, generator=self.source) if self.training else h


class StochasticDepth(Tiny):
    """Leaves its branch out in one training forward of five."""

    def inner(self, h):
        if self.training:
            return h + super().inner(h) * float(torch.rand(()) > 0.2) / 0.8
        return h + super().inner(h)


class SpectralNorm(Tiny):
    """A power iteration, whose vectors are buffers that training moves."""

    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        nn.utils.parametrizations.spectral_norm(self.mix)


class RunningMoments(Tiny):
    """Evaluation divides by a running scale, a buffer that training moves; training itself does so too."""

    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        self.register_buffer("steps", torch.zeros(()))

    def inner(self, h):
        if self.training and torch.is_grad_enabled():
            self.steps += 1
        return super().inner(h)


class NoisyWeights(Tiny):
    """Normal noise on a weight while it trains."""

    def inner(self, h):
        weight = self.mix.weight
        if self.training:
            weight = weight + 0.02 * torch.randn_like(weight)
        return F.linear(h, weight, self.mix.bias).tanh()


class Position(Tiny):
    """Its state is a nest with a whole number: where it stands."""

    def forward(self, tokens, state=None):
        window, start = (None, 0) if state is None else (state["window"], state["place"][0])
        logits, window = super().forward(tokens, window)
        end = start + tokens.shape[1]
        places = torch.arange(start, end, device=tokens.device, dtype=torch.float32)
        return logits * (1 + 0.1 * torch.cos(places / 40))[:, None], {"window": window, "place": (end,)}


class NoState(Tiny):
    """A bigram, whose state is None."""

    def forward(self, tokens, state=None):
        return self.head(self.inner(self.embed(tokens))), None


class Attention(Tiny):
    """Attention, its keys and values grown by a copy."""

    def keep(self, past, new):
        return new if past is None else torch.cat([past, new], dim=1)

    def forward(self, tokens, state=None):
        x = self.embed(tokens)
        start = 0 if state is None else state[1]
        kept = self.keep(None if state is None else state[0], self.mix(x))
        whole = kept[:, : start + tokens.shape[1]]
        queries = torch.arange(start, start + tokens.shape[1])
        mask = queries[:, None] >= torch.arange(whole.shape[1])
        return self.head(x + F.scaled_dot_product_attention(x, whole, whole, attn_mask=mask)), (
            kept, start + tokens.shape[1])


class CacheInPlace(Attention):
    """Its keys are written behind the others into room that is kept free, as a cache that grows in place does."""

    def forward(self, tokens, state=None):
        self.start = 0 if state is None else state[1]
        return super().forward(tokens, state)

    def keep(self, past, new):
        end = self.start + new.shape[1]
        room = new.new_zeros(len(new), max(64, 2 ** math.ceil(math.log2(end))), new.shape[2])
        if past is not None:
            room[:, : self.start] = past[:, : self.start]
        room[:, self.start : end] = new
        return room


class TiedWeights(Tiny):
    """Its head is its embedding."""

    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        self.head.weight = self.embed.weight


class MadeBuffer(Tiny):
    """A buffer that is not saved, made anew from a formula."""

    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        self.register_buffer("waves", torch.sin(torch.arange(config.dim) * 0.7), persistent=False)

    def inner(self, h):
        return super().inner(h) + h * self.waves


class DrawnBuffer(Tiny):
    """Random features that are saved: a fresh model draws others."""

    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        self.register_buffer("features", torch.randn(config.dim, config.dim) / config.dim**0.5)

    def inner(self, h):
        return super().inner(h @ self.features)


class SeededBuffer(Tiny):
    """Random features that are not saved, from a seed of its own."""

    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        source = torch.Generator(device="cpu").manual_seed(7)
        features = torch.randn(config.dim, config.dim, generator=source, device="cpu") / config.dim**0.5
        self.register_buffer("features", features, persistent=False)

    def inner(self, h):
        return super().inner(h @ self.features)


class LateImport(Tiny):
    """Imports what it needs at its first forward."""

    def inner(self, h):
        import colorsys
        import fractions

        return super().inner(h) * float(fractions.Fraction(9, 10)) + colorsys.rgb_to_hsv(0, 0, 0)[2]


class LateTable(Tiny):
    """Keeps a table that it makes from a formula at its first forward, for every length anew."""

    tables = {}

    def forward(self, tokens, state=None):
        logits, state = super().forward(tokens, state)
        if logits.shape[-1] not in self.tables:
            self.tables[logits.shape[-1]] = torch.cos(torch.arange(logits.shape[-1]) * 0.01)
        return logits + self.tables[logits.shape[-1]], state


class Auxiliary(Tiny):
    """A further term of the loss, from the last forward."""

    def inner(self, h):
        h = super().inner(h)
        self.last = h.square().mean()
        return h

    def auxiliary_losses(self):
        return {"small": 1e-3 * self.last}


class Vocabulary(Tiny):
    """Looks at the text of its tokens, once."""

    def read_vocabulary(self, vocabulary):
        letters = torch.tensor([float(piece.isalpha()) for piece in vocabulary])
        self.register_buffer("letters", letters, persistent=False)

    def forward(self, tokens, state=None):
        logits, state = super().forward(tokens, state)
        return logits + self.letters, state


class MaskedVocabulary(Tiny):
    """Tokens that never come get minus a billion."""

    def forward(self, tokens, state=None):
        logits, state = super().forward(tokens, state)
        return logits - 1e9 * (torch.arange(logits.shape[-1]) == 3), state


class Complex(Tiny):
    """A complex weight, and a complex number in the state."""

    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        self.turn = nn.Parameter(torch.randn(config.dim, dtype=torch.cfloat) / 4)

    def forward(self, tokens, state=None):
        window, z = (None, 0) if state is None else state
        x = self.embed(tokens)
        logits, window = super().forward(tokens, window)
        steps = []
        for u in x.unbind(1):
            z = 0.9 * torch.exp(1j * self.turn.real) * z + u.to(torch.cfloat)
            steps.append(z)
        return logits + self.head(torch.stack(steps, 1).real * self.turn.imag), (window, z)


class Integers(Tiny):
    """The last tokens are its state, as whole numbers of one byte and a mask."""

    def forward(self, tokens, state=None):
        before = tokens.new_full((len(tokens), 3), 0) if state is None else state[0].long()
        known = torch.zeros(len(tokens), 3, dtype=torch.bool) if state is None else state[1]
        whole, known = torch.cat([before, tokens], 1), torch.cat([known, torch.ones_like(tokens, dtype=torch.bool)], 1)
        x = self.embed(whole) * known[..., None]
        h = sum(x[:, k : k + tokens.shape[1]] * tap for k, tap in enumerate(self.taps))
        return self.head(self.inner(h)), (whole[:, -3:].to(torch.int16), known[:, -3:])


class Halves(Tiny):
    """Its state is of bfloat16, as its window is when it is trained so."""

    def forward(self, tokens, state=None):
        x = self.embed(tokens).bfloat16()
        past = x.new_zeros(len(x), 3, x.shape[2]) if state is None else state
        x = torch.cat([past, x], dim=1)
        h = sum(x[:, k : k + tokens.shape[1]].float() * tap for k, tap in enumerate(self.taps))
        return self.head(self.inner(h)), x[:, -3:].clone()


class ScriptedPart(Tiny):
    """A part of it is compiled by TorchScript."""

    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        self.squash = torch.jit.script(squash)

    def inner(self, h):
        return self.squash(super().inner(h))


def squash(x):
    return x / (1 + x.abs())
