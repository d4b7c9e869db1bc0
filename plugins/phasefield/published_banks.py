"""The published banks. None carries a state, and none reads the text: two were meant to, and have parameters for it.

What differs from banks.py, beside what all published parts share:
- semantic: the softmax of a cosine over 512 concepts is nearly uniform; `concept_proj` is computed and thrown away; in
  training a branch is multiplied by 1 + Re(branch), whatever the dropout;
- context: the window is not carried; dropout is declared and not applied;
- language: the language is 0 always, so the maps of the 15 others (`unspoken`) never get a gradient; dropout as before;
- morphology: affixes never enter, `prefix_proj` and `suffix_proj` are not used; its activation gates the two planes
  apart, which turns phases;
- orthography: no explicit feature enters, `position_encoding` is not used;
- morphology and orthography multiply a branch by 1 + Re(branch), in evaluation too, where dropout keeps all of it;
- emotion: a placeholder, which mixes 8 vectors by the real part of a map.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import PhaseFieldConfig
from .phase import cayley, magnitude, multiply, unit
from .published_phase import (
    BRANCH,
    BiasedComplexLinear,
    cosine,
    drop_real,
    normed_map,
    scale_planes,
    small,
    small_linear,
)

LAYERS = 2
PATTERNS, SHAPES, SCRIPTS, LANGUAGES, EMOTIONS = 128, 64, 16, 16, 8


class PublishedBank(nn.Module):
    """What the banks share: layers h + 0.1 gelu(Re u) u with u = W norm(h), and a last normed map. Carries nothing."""

    def __init__(self, config: PhaseFieldConfig):
        super().__init__()
        self.layers = nn.ModuleList(normed_map(config.dim) for _ in range(LAYERS))
        self.output = normed_map(config.dim)
        self.dropout = config.dropout_rate

    def process(self, h: Tensor) -> Tensor:
        for layer in self.layers:
            u = layer(h)
            h = h + BRANCH * self.branch(scale_planes(u, F.gelu(u[..., :u.shape[-1] // 2])))
        return self.output(h)

    def branch(self, u: Tensor) -> Tensor:
        return u


class PublishedSemanticBank(PublishedBank):
    def __init__(self, config: PhaseFieldConfig):
        super().__init__(config)
        self.concepts = small(config.concepts, 2 * config.dim)
        self.concept_proj = BiasedComplexLinear(config.dim, config.concepts)

    def forward(self, z: Tensor, state: None = None) -> tuple[Tensor, None]:
        weight = torch.softmax(2 * cosine(z, self.concepts), dim=-1)
        return self.process(z + BRANCH * weight @ self.concepts), None

    def branch(self, u: Tensor) -> Tensor:
        return drop_real(u, self.dropout, True) if self.training else u


class PublishedContextBank(PublishedBank):
    def __init__(self, config: PhaseFieldConfig):
        super().__init__(config)
        self.taps = nn.Parameter(torch.full((config.context,), 1 / config.context))
        self.context = BiasedComplexLinear(config.dim, config.dim)
        self.modulation = BiasedComplexLinear(2 * config.dim, config.dim)

    def forward(self, z: Tensor, state: None = None) -> tuple[Tensor, None]:
        seen = F.pad(z, (0, 0, len(self.taps) - 1, 0))
        mixture = (seen.unfold(1, len(self.taps), 1) * torch.softmax(self.taps, dim=0)).sum(dim=-1)      # (B, T, 2d)
        pair = torch.cat([z.unflatten(-1, (2, -1)), self.context(mixture).unflatten(-1, (2, -1))], dim=-1).flatten(-2)
        return self.process(multiply(z, unit(self.modulation(pair)))), None


class PublishedLanguageBank(PublishedBank):
    """Maps g_l z by a universal and a language's own map."""

    def __init__(self, config: PhaseFieldConfig):
        super().__init__(config)
        dim = config.dim
        self.gate_table = nn.Parameter(torch.cat([torch.ones(LANGUAGES, dim), torch.zeros(LANGUAGES, dim)], dim=-1))
        self.universal, self.own = BiasedComplexLinear(dim, dim), BiasedComplexLinear(dim, dim)
        self.unspoken = nn.ModuleList(BiasedComplexLinear(dim, dim) for _ in range(LANGUAGES - 1))

    def forward(self, z: Tensor, state: None = None) -> tuple[Tensor, None]:
        h = multiply(z, self.gate_table[0])
        return self.process(self.universal(h) + 0.5 * self.own(h)), None


class PublishedMixtureBank(PublishedBank):
    """What morphology and orthography share: vectors added by the softmax of the magnitudes of a complex map, and
    layers of their own."""

    def mixture(self, z: Tensor, detector: BiasedComplexLinear, vectors: Tensor) -> Tensor:
        return torch.softmax(magnitude(detector(z)), dim=-1) @ vectors

    def branch(self, u: Tensor) -> Tensor:
        return drop_real(u, self.dropout, self.training)


class PublishedMorphologyBank(PublishedMixtureBank):
    def __init__(self, config: PhaseFieldConfig):
        super().__init__(config)
        self.patterns = small(PATTERNS, 2 * config.dim)
        self.detector = BiasedComplexLinear(config.dim, PATTERNS)
        self.turn_table = nn.Parameter(torch.randn(LAYERS, config.dim) * 0.01)
        self.prefix_proj, self.suffix_proj = small_linear(1, config.dim), small_linear(1, config.dim)

    def forward(self, z: Tensor, state: None = None) -> tuple[Tensor, None]:
        h = z + BRANCH * self.mixture(z, self.detector, self.patterns)
        for layer, half_tangent in zip(self.layers, self.turn_table, strict=True):
            norm, linear = layer.children()
            re, im = linear(multiply(norm(h), torch.cat(cayley(half_tangent)))).chunk(2, dim=-1)
            h = h + BRANCH * self.branch(torch.cat([F.gelu(re), im * torch.sigmoid(re)], dim=-1))
        return self.output(h), None


class PublishedOrthographyBank(PublishedMixtureBank):
    def __init__(self, config: PhaseFieldConfig):
        super().__init__(config)
        self.shapes, self.scripts = small(SHAPES, 2 * config.dim), small(SCRIPTS, 2 * config.dim)
        self.shape_detector = BiasedComplexLinear(config.dim, SHAPES)
        self.script_detector = BiasedComplexLinear(config.dim, SCRIPTS)
        self.gates = nn.ModuleList(small_linear(2 * config.dim, config.dim) for _ in self.layers)
        self.position_encoding = small(2 * config.dim)

    def forward(self, z: Tensor, state: None = None) -> tuple[Tensor, None]:
        h = z + BRANCH * self.mixture(z, self.shape_detector, self.shapes)
        h = h + BRANCH / 2 * self.mixture(z, self.script_detector, self.scripts)
        for layer, gate in zip(self.layers, self.gates, strict=True):
            u = layer(h)
            h = h + BRANCH * self.branch(scale_planes(u, torch.sigmoid(gate(u))))
        return self.output(h), None


class PublishedEmotionBank(nn.Module):
    def __init__(self, config: PhaseFieldConfig):
        super().__init__()
        self.emotions = small(EMOTIONS, 2 * config.dim)
        self.detector = BiasedComplexLinear(config.dim, EMOTIONS)
        self.output = normed_map(config.dim)

    def forward(self, z: Tensor, state: None = None) -> tuple[Tensor, None]:
        weight = torch.softmax(self.detector(z)[..., :EMOTIONS], dim=-1)
        return self.output(z + BRANCH * weight @ self.emotions), None


BANKS = {
    "semantic": PublishedSemanticBank, "context": PublishedContextBank, "language": PublishedLanguageBank,
    "morphology": PublishedMorphologyBank, "orthography": PublishedOrthographyBank, "emotion": PublishedEmotionBank,
}
