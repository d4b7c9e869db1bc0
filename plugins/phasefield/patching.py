"""Patches of P bytes: one latent a patch goes through the model, a narrow local decoder predicts byte by byte.

The logits for offset p of patch j come from what the model said after patch j - 1 (a learned start for the first), and
from the last LOCAL bytes before it, of whatever patch. So no byte is predicted from a latent that holds it, training
and generation are one function, and a text may be cut at any byte. Published, the latent of a patch predicts the bytes
of the same patch; published_patching.py has that form.

What reads bytes is a sum of one table row per position, of tables (positions, V + 1, out) that are made from the byte
embeddings once a forward: V rows in place of B T.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import PhaseFieldConfig
from .phase import ComplexLinear, GatedMLP, gate_planes, phase_norm

LOCAL = 4                               # bytes that the decoder reads itself


class ByteWindow(nn.Module):
    """sum_k W_k e(byte_k) over K bytes, with `rows` real outputs before the complex ones: (B, n, K) ids -> (B, n, out).

    The id V stands for no byte, which adds nothing.
    """

    def __init__(self, channels: int, size: int, out: int, rows: int = 0):
        super().__init__()
        self.size, self.channels = size, channels
        self.map = ComplexLinear(size * channels, out, rows=rows)

    def forward(self, ids: Tensor, embedding: Tensor) -> Tensor:
        """`embedding` (V, 2 channels) are planes."""
        whole = self.map.matrix(embedding)                                           # (out, 2 K channels)
        each = whole.unflatten(1, (2, self.size, self.channels)).permute(2, 0, 1, 3).flatten(2)      # (K, out, 2c)
        tables = F.pad(embedding.to(each.dtype) @ each.mT, (0, 0, 0, 1))             # (K, V + 1, out)
        wide = torch.promote_types(each.dtype, torch.float32)                        # no bag sums in half precision
        offset = torch.arange(self.size, device=ids.device) * tables.shape[1]
        rows = F.embedding_bag((ids + offset).flatten(0, 1), tables.flatten(0, 1).to(wide), mode="sum")
        return rows.unflatten(0, ids.shape[:2]).to(each.dtype)


class Patches(nn.Module):
    """Encoder and decoder. State: the tokens of the unfinished patch (B, r), r < P, the context of that patch (B, 2d),
    and the last LOCAL - 1 tokens (B, LOCAL - 1)."""

    def __init__(self, config: PhaseFieldConfig, vocab_size: int):
        super().__init__()
        dim, local = config.dim, config.local
        self.size, self.local, self.vocab_size = config.patch, local, vocab_size
        self.table = nn.Parameter(0.1 * torch.randn(vocab_size, 2 * local))          # of bytes read and predicted
        self.encoder = ByteWindow(local // 2, self.size, dim)
        self.reader = ByteWindow(local // 2, LOCAL, 2 * local, rows=2 * local)
        self.down = ComplexLinear(2 * local, local)
        self.start = nn.Parameter(torch.randn(2 * dim))
        self.context = ComplexLinear(dim, self.size * local)
        self.mlp = GatedMLP(local, local)
        self.scale = nn.Parameter(torch.ones(local))

    def embedding(self) -> Tensor:
        """Half of the channels of every byte, (V, local): as many suffice for reading."""
        return phase_norm(self.table.unflatten(1, (2, -1))[:, :, :self.local // 2].flatten(1))

    def flops_per_token(self) -> int:
        """Of reading and predicting one byte; tables of embeddings are made once a forward and not counted."""
        maps = (self.down, self.mlp.up, self.mlp.down)
        complex_weights = sum(m.weight[0].numel() for m in maps) + self.context.weight[0].numel() // self.size
        return 8 * complex_weights + 2 * sum(p.numel() for p in (self.table, self.mlp.up.rows) if p is not None)

    def begin(self, batch: int, like: Tensor) -> dict[str, Tensor]:
        return {"pending": like.new_empty(batch, 0), "context": self.start.expand(batch, -1),
                "recent": like.new_full((batch, LOCAL - 1), self.vocab_size)}

    def encode(self, tokens: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, int]:
        """The latents (B, n, 2d) of the patches that are complete by now, and how many tokens were waiting for that."""
        waiting = state["pending"].shape[1]
        text = torch.cat([state["pending"], tokens], dim=1)
        count = text.shape[1] // self.size
        return self.encoder(text[:, :count * self.size].unflatten(1, (-1, self.size)), self.embedding()), waiting

    def decode(self, tokens: Tensor, z: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Tokens (B, T) and what the model made of the latents (B, n, 2d) -> logits (B, T, V), the next state."""
        waiting, length, size = state["pending"].shape[1], tokens.shape[1], self.size
        contexts = torch.cat([state["context"][:, None].to(z.dtype), z], dim=1)      # (B, n + 1, 2d)
        said = self.context(phase_norm(contexts)).unflatten(-1, (2, size, self.local))
        said = said.transpose(2, 3).flatten(3).flatten(1, 2)                         # (B, (n + 1) P, 2 local)
        seen = torch.cat([state["recent"], tokens], dim=1)
        read = self.down(gate_planes(self.reader(seen.unfold(1, LOCAL, 1), self.embedding())))
        y = read + said[:, waiting + 1:waiting + 1 + length]
        y = y + self.mlp(phase_norm(y))
        pending = torch.cat([state["pending"], tokens], dim=1)[:, z.shape[1] * size:]
        after: dict[str, Any] = {
            "pending": pending.clone(), "context": contexts[:, -1].clone(), "recent": seen[:, length:].clone()}
        return F.linear(phase_norm(y) * self.scale.repeat(2), self.table), after
