"""Quixer (Khatri et al. 2406.04305), with a prediction at every position of a text.

Notable:
- a token is a unitary U on n qubits, whose angles a linear map makes of its embedding; the window is
  M = sum_j b_j U_j, a linear combination of unitaries, and the register holds (c_0 + c_1 M + … + c_d M^d) |0…0>, what a
  singular-value transformation makes of it, with |b| and |c| summing to one each;
- one more layer of the ansatz, X, Y and Z of every qubit, and a feed-forward layer give the logits;
- the published model makes one prediction a window. Here the window slides: every position is one prediction, from the
  32 tokens that end with it; before the start of a text stands a padding token with a unitary of its own, as there;
- the squared norm of the vector is the probability that a device's post-selection succeeds (`diagnostics`); the
  published code calls the norm so, without the square;
- it is simulated densely. Equal tokens have equal unitaries, so those of a batch are computed once, as matrices where
  the positions are many, and on their states alone where they are few, as in decoding.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from harness import LanguageModel, Unsupported

from ..blocks import gemm_flops, precise
from .config import QuixerConfig
from .powers import Powers
from .registers import Modes, Qubits


class Quixer(LanguageModel):
    """The state is the last `window` - 1 tokens, (B, window - 1) int64."""

    config: QuixerConfig

    def __init__(self, config: QuixerConfig, vocab_size: int):
        super().__init__(config, vocab_size)
        n, dim = config.qubits, config.dim
        self.register = (Modes(n, config.ansatz_layers) if config.circuit == "classical"
                         else Qubits(n, config.ansatz_layers, config.entangler))
        self.embedding = nn.Embedding(vocab_size + 1, dim)                           # the last is the padding
        self.dropout = nn.Dropout(config.dropout)
        self.angles = nn.Linear(dim, 4 * n * config.ansatz_layers)
        self.mix = nn.Parameter(torch.rand(config.window, 2))                        # b as planes, the oldest first
        self.polynomial = nn.Parameter(torch.rand(config.degree + 1))                # c
        self.reader = nn.Parameter(torch.rand(4 * n))                                # angles of the last layer
        self.up = nn.Linear(3 * n, dim)
        self.head = nn.Linear(dim, vocab_size)
        self.probability = torch.zeros(())
        nn.init.normal_(self.embedding.weight, std=0.02)
        for linear in (self.angles, self.up, self.head):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        window = self.config.window
        if state is None:
            state = tokens.new_full((tokens.shape[0], window - 1), self.vocab_size)
        seen = torch.cat([state, tokens], dim=1)                                     # (B, window - 1 + T)
        with torch.autocast(tokens.device.type, enabled=False):
            psi = self.evolve(seen.unfold(1, window, 1).flatten(0, 1))
            found = self.register.read(precise(self.reader), psi)
        x = self.up(found.to(self.up.weight.dtype)).relu().unflatten(0, tokens.shape)
        return self.head(x), seen[:, tokens.shape[1]:].clone()

    def evolve(self, windows: Tensor) -> Tensor:
        """The vectors of unit norm after windows of tokens (P, window): (P, N)."""
        c = precise(self.polynomial)
        c = c / c.abs().sum().clamp(min=1e-6)
        start = torch.zeros(len(windows), self.register.size, dtype=c.dtype.to_complex(), device=windows.device)
        start[:, 0] = 1
        psi = c[0] * start + (c[1:, None] * self.powers(windows, start)).sum(1)
        square = psi.abs().square().sum(-1, keepdim=True)
        self.probability = square.detach().mean()                                    # a float would wait for a device
        return psi / square.clamp(min=1e-12).sqrt()

    def powers(self, windows: Tensor, psi: Tensor) -> Tensor:
        """M psi, M² psi, … of vectors (P, N): (P, degree, N)."""
        register, shape, degree = self.register, windows.shape, self.config.degree
        distinct, index = windows.unique(return_inverse=True)                        # (K,), (P, window)
        angles = precise(self.angles(self.dropout(self.embedding(distinct))))        # (K, A)
        b = torch.view_as_complex(precise(self.mix))
        b = b / b.abs().sum().clamp(min=1e-6)
        if windows.numel() * degree >= len(distinct) * register.size:                # runs of a token's circuit
            shares = b.new_zeros(shape[0], len(distinct)).scatter_add(1, index, b.expand(shape))
            matrices = (shares @ register.transposed(angles).flatten(1)).unflatten(1, (register.size, -1))
            return Powers.apply(matrices, psi, degree)
        each, found = angles[index.flatten()], []
        for _ in range(degree):
            turned = register.turn(each, psi.repeat_interleave(shape[1], 0)).unflatten(0, shape)
            psi = (turned * b[:, None]).sum(1)
            found.append(psi)
        return torch.stack(found, 1)

    def note(self) -> str:
        return f"predicts from the last {self.config.window} tokens"

    def diagnostics(self) -> dict[str, float]:
        """How often a device's post-selection would succeed, mean over the last positions."""
        return {"post_selection_probability": float(self.probability)}

    def circuit_cost(self, seq_len: int, basis: str = "cz", coupling: str = "heavy-hex") -> dict[str, Any]:
        raise Unsupported("the circuit of a whole window is not built here; the paper has what a device would take")

    def flops(self, batch: int, seq_len: int, phase: str) -> int:
        """Operations of one call, at most: linear maps, 14 for each amplitude and gate of every token's unitary, and
        the sums and products of matrices."""
        positions = batch * (1 if phase == "decode" else seq_len)
        size, gates = self.register.size, self.angles.out_features
        tokens = min(self.vocab_size + 1, positions + batch * (self.config.window - 1))
        unitaries = 14 * gates * size * min(tokens * size, positions * self.config.window * self.config.degree)
        mixing = 8 * positions * size * size * (min(tokens, self.config.window) + self.config.degree)
        return (3 if phase == "train" else 1) * (positions * gemm_flops(self) + unitaries + mixing)
