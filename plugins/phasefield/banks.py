"""Phase banks that read the embedding alone. Each maps (B, T, 2d) planes and its own state to the same."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import PhaseFieldConfig
from .phase import ComplexLinear, GatedMLP, convolve, fan_in, multiply, phase_norm, unit

EMOTIONS = 8


class SemanticBank(nn.Module):
    """Adds to a token the concepts it is coherent with.

    Coherence Re<z, C_n> / (|z| |C_n|) is the cosine over the 2d reals, so all concepts are one GEMM; a softmax of a
    cosine alone is nearly uniform over many concepts, hence the learned temperature.
    """

    def __init__(self, config: PhaseFieldConfig):
        super().__init__()
        self.concepts = nn.Parameter(torch.randn(config.concepts, 2 * config.dim))
        self.log_temperature = nn.Parameter(torch.tensor(math.log(8.0)))
        self.mlp = GatedMLP(config.dim, config.dim)

    def forward(self, z: Tensor, state: None = None) -> tuple[Tensor, None]:
        coherence = F.linear(phase_norm(z), F.normalize(self.concepts, dim=-1)) * z.shape[-1] ** -0.5   # (B, T, N)
        weight = torch.softmax(coherence * self.log_temperature.exp(), dim=-1)
        h = z + weight @ self.concepts
        return h + self.mlp(phase_norm(h)), None


class ContextBank(nn.Module):
    """Turns the phases of a token by what the last `context` tokens say: z * unit(Wz z + Wc c), c their mixture.

    State: (B, context - 1, 2d), the embeddings just before the chunk.
    """

    def __init__(self, config: PhaseFieldConfig):
        super().__init__()
        self.taps = nn.Parameter(torch.randn(config.dim, config.context) * config.context ** -0.5)
        self.own = ComplexLinear(config.dim, config.dim)
        self.mixed = ComplexLinear(config.dim, config.dim)
        self.mlp = GatedMLP(config.dim, config.dim)

    def forward(self, z: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        mixture, window = convolve(z, self.taps, state)
        h = multiply(z, unit(self.own(z) + self.mixed(mixture)))
        return h + self.mlp(phase_norm(h)), window


class EmotionBank(nn.Module):
    """Adds to a token a mixture of eight vectors. As published a placeholder: nothing here tells it of emotions."""

    def __init__(self, config: PhaseFieldConfig):
        super().__init__()
        self.detector = fan_in(EMOTIONS, 2 * config.dim)
        self.emotions = nn.Parameter(torch.randn(EMOTIONS, 2 * config.dim))
        self.mlp = GatedMLP(config.dim, config.dim)

    def forward(self, z: Tensor, state: None = None) -> tuple[Tensor, None]:
        h = z + torch.softmax(F.linear(phase_norm(z), self.detector), dim=-1) @ self.emotions
        return h + self.mlp(phase_norm(h)), None
