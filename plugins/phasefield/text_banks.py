"""Banks that read the text behind the tokens: the language so far, the affixes of the word, script and shape.

Each maps (B, T, 2d) planes, its own state and the features of text.py to a reading and its next state.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness import affixes

from ..scan import real_scan
from .config import PhaseFieldConfig
from .phase import ComplexLinear, GatedMLP, cayley, multiply, phase_norm
from .text import PLACES, SCRIPTS, SHAPES, TextFeatures

PREFIXES, SUFFIXES = len(affixes.PREFIXES), len(affixes.SUFFIXES)


class LanguageBank(nn.Module):
    """W z * sum_l p_l g_l: one complex map for all languages, modulated by the gates of those that the text may be in.

    Every feature of a token is evidence for each language, a learned number; p is the softmax of its average over the
    text so far, a_t = r a_{t-1} + (1 - r) e_t, with a learned retention r per language whose half-life starts at 16 to
    256 tokens. So no language is ever switched off, and a text begins in all of them alike. State: a (B, languages).
    """

    reads_text = True

    def __init__(self, config: PhaseFieldConfig):
        super().__init__()
        dim, count = config.dim, config.languages
        self.sizes = len(SCRIPTS), len(SHAPES), PLACES, 1 + PREFIXES, 1 + SUFFIXES     # as the features come
        self.evidence_table = nn.Parameter(torch.randn(sum(self.sizes), count))
        self.retention = nn.Parameter(torch.logit(0.5 ** 2.0 ** -torch.linspace(4, 8, count)))
        self.map = ComplexLinear(dim, dim)
        self.gates = nn.Parameter(0.5 * torch.randn(count, 2 * dim) + torch.tensor([1.0, 0.0]).repeat_interleave(dim))
        self.mlp = GatedMLP(dim, dim)

    def forward(self, z: Tensor, state: Tensor | None, text: TextFeatures) -> tuple[Tensor, Tensor]:
        share, carried = self.estimate(text, state)
        h = multiply(self.map(z), share.to(self.gates.dtype) @ self.gates)
        return h + self.mlp(phase_norm(h)), carried

    def estimate(self, text: TextFeatures, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """p (B, T, languages) after each token, and the average evidence after the last."""
        rows = torch.stack([ids + sum(self.sizes[:k]) for k, ids in enumerate(text)], dim=-1)            # (B, T, 5)
        evidence = F.embedding(rows, self.evidence_table).sum(dim=-2)
        keep = torch.sigmoid(self.retention)
        average = real_scan(keep.expand_as(evidence), (1 - keep) * evidence, state)
        return torch.softmax(average, dim=-1), average[:, -1].clone()


class MorphologyBank(nn.Module):
    """Affixes act on a token as they act on a word: each turns its channels and changes their sizes.

    z * m_p exp(i w_p) * m_s exp(i w_s), to which a vector for the place in the word is added. Without an affix z is
    not touched.
    """

    reads_text = True

    def __init__(self, config: PhaseFieldConfig):
        super().__init__()
        self.turn_table = nn.Parameter(0.5 * torch.randn(PREFIXES + SUFFIXES, config.dim))     # tan(w / 2)
        self.size_table = nn.Parameter(0.1 * torch.randn(PREFIXES + SUFFIXES, config.dim))     # log m
        self.place_table = nn.Parameter(0.5 * torch.randn(PLACES, 2 * config.dim))
        self.mlp = GatedMLP(config.dim, config.dim)

    def forward(self, z: Tensor, state: None, text: TextFeatures) -> tuple[Tensor, None]:
        h = self.inflect(z, text) + F.embedding(text.place, self.place_table.to(z.dtype))
        return h + self.mlp(phase_norm(h)), None

    def inflect(self, z: Tensor, text: TextFeatures) -> Tensor:
        """What the affixes make of z."""
        turn, size = (F.pad(table, (0, 0, 1, 0)) for table in (self.turn_table, self.size_table))    # no affix: 1 + 0i
        acts = (torch.cat(cayley(turn), dim=-1) * size.exp().repeat(1, 2)).to(z.dtype)               # (1 + P + S, 2d)
        for ids in (text.prefix, text.suffix + PREFIXES * (text.suffix > 0)):
            z = multiply(z, F.embedding(ids, acts))
        return z


class OrthographyBank(nn.Module):
    """Adds to a token vectors for the script and the shape of the character that it ends with."""

    reads_text = True

    def __init__(self, config: PhaseFieldConfig):
        super().__init__()
        self.script_table = nn.Parameter(0.5 * torch.randn(len(SCRIPTS), 2 * config.dim))
        self.shape_table = nn.Parameter(0.5 * torch.randn(len(SHAPES), 2 * config.dim))
        self.mlp = GatedMLP(config.dim, config.dim)

    def forward(self, z: Tensor, state: None, text: TextFeatures) -> tuple[Tensor, None]:
        h = z + F.embedding(text.script, self.script_table.to(z.dtype))
        h = h + F.embedding(text.shape, self.shape_table.to(z.dtype))
        return h + self.mlp(phase_norm(h)), None
